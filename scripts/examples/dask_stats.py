#!/usr/bin/python3
"""Mean and standard deviation of each channel of a stack on a Dask cluster: dask_stats.py MOUNT/train [SIZE]

Each worker process opens the mount itself; a task is a few images. On several machines each mounts the same shared source at
the same place, and the cluster is theirs instead of a LocalCluster: dask.distributed.Client('scheduler:8786')."""
import os
import sys

import dask.array
import numpy as np
from dask.distributed import Client, LocalCluster

ROWS_PER_TASK = 16


def rows(path, start, stop):
    return np.array(np.load(path, mmap_mode="r")[start:stop])


def stack_as_dask(path):
    shape, dtype = (array := np.load(path, mmap_mode="r")).shape, array.dtype
    parts = []
    for start in range(0, shape[0], ROWS_PER_TASK):
        stop = min(start + ROWS_PER_TASK, shape[0])
        part = dask.delayed(rows)(path, start, stop)
        parts.append(dask.array.from_delayed(part, (stop - start, *shape[1:]), dtype))
    return dask.array.concatenate(parts)


def main():
    folder, size = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "224x224"
    path = os.path.join(folder, ".pixfs", "stack", f"recursive,rgb,size={size},u8.npy")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        values = stack_as_dask(path).astype("f8") / 255
        mean, deviation = dask.compute(values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2)))
    print("mean", *(f"{v:.9f}" for v in mean), "std", *(f"{v:.9f}" for v in deviation))


if __name__ == "__main__":
    main()
