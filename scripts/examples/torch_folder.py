#!/usr/bin/python3
"""torchvision's ImageFolder and DatasetFolder, unmodified, over a mounted folder or archive of class folders:
torch_folder.py MOUNT/train.zip"""
import sys

import numpy as np
import torch
from torchvision.datasets import DatasetFolder, ImageFolder
from torchvision.transforms import functional


def total(data):
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2)
    return sum(float(image.double().sum()) for image, _ in loader)


def main():
    arrays = DatasetFolder(sys.argv[1], loader=np.load, extensions=(".npy",), transform=torch.from_numpy)
    pictures = ImageFolder(sys.argv[1], transform=functional.to_tensor)
    print(f"DatasetFolder: {len(arrays)} arrays of {len(arrays.classes)} classes, sum {total(arrays):.3f}")
    print(f"ImageFolder: {len(pictures)} pictures of {len(pictures.classes)} classes, sum {total(pictures):.3f}")


if __name__ == "__main__":
    main()
