#!/usr/bin/python3
"""A PyTorch DataLoader with workers over a stack: torch_stack.py MOUNT/train [SIZE]

The dataset is a memory map of one file; each worker opens it itself. Before an epoch the sampler's order is written to
.pixfs/prefetch, so images are decoded before a worker asks for them. What can't be decoded is 0 by fill=0 and left out: an
input/output error in a memory map would be the worker's end. The index names it afterwards."""
import json
import os
import sys

import numpy as np
import torch


def root_of(folder):
    while not os.path.ismount(folder):
        folder = os.path.dirname(folder)
    return folder


class Stack(torch.utils.data.Dataset):
    def __init__(self, folder, spec):
        self.path = os.path.join(os.path.abspath(folder), ".pixfs", "stack", spec)
        index = self.index()
        self.rows = [line["i"] for line in index if line["ok"] is not False]  # None: nobody looked yet
        self.classes = sorted({line["label"] for line in index})
        self.labels = [self.classes.index(index[i]["label"]) for i in self.rows]
        self.array = None

    def index(self):
        with open(self.path[:-len("npy")] + "jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, n):
        if self.array is None:  # in the worker
            self.array = np.load(self.path, mmap_mode="r")
        return torch.from_numpy(np.array(self.array[self.rows[n]])), self.labels[n]

    def prefetch(self, order):
        """Rows of the dataset in the order in which they will be asked for."""
        root = root_of(self.path)
        path = os.path.relpath(self.path, root)
        with open(os.path.join(root, ".pixfs", "prefetch"), "w", encoding="utf-8") as file:
            file.writelines(f"{path}\t{self.rows[n]}\n" for n in order)


def main():
    folder, size = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "224x224"
    data = Stack(folder, f"recursive,rgb,size={size},u8,chw,fill=0.npy")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(1)).tolist()
    data.prefetch(order)
    loader = torch.utils.data.DataLoader(data, batch_size=32, sampler=order, num_workers=2)
    count, total, labels = 0, torch.zeros(3, dtype=torch.float64), []
    for images, targets in loader:
        there = images.flatten(1).any(dim=1)
        images, targets = images[there], targets[there]
        count += len(images)
        total += images.double().mean(dim=(2, 3)).sum(dim=0)
        labels += targets.tolist()
    means = (total / count / 255).tolist()
    for line in data.index():
        if line["ok"] is False:
            print(f"left out: {line['file_name']}", file=sys.stderr)
    print(f"{count} images of {len(data.classes)} classes, mean R G B {means[0]:.6f} {means[1]:.6f} {means[2]:.6f}")


if __name__ == "__main__":
    main()
