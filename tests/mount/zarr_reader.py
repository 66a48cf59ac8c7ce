"""Reads Zarr v3 arrays as the core specification says, with nothing of a Zarr library: zarr.json, a regular grid, chunk keys
"c" + separator + indices, the codecs transpose and bytes. A chunk that isn't there raises (a library would take it for the
fill value)."""
import itertools
import json
import os

import numpy as np


def metadata(folder):
    with open(os.path.join(folder, "zarr.json")) as file:
        return json.load(file)


def chunk_name(meta, index):
    encoding = meta["chunk_key_encoding"]
    assert encoding["name"] == "default"
    return encoding["configuration"]["separator"].join(["c", *map(str, index)])


def read_chunk(folder, meta, index):
    """The whole chunk, in the array's order of dimensions."""
    shape = meta["chunk_grid"]["configuration"]["chunk_shape"]
    order = list(range(len(shape)))
    for codec in meta["codecs"][:-1]:
        assert codec["name"] == "transpose"
        order = codec["configuration"]["order"]
    assert meta["codecs"][-1] == {"name": "bytes", "configuration": {"endian": "little"}}
    with open(os.path.join(folder, chunk_name(meta, index)), "rb") as file:
        data = np.frombuffer(file.read(), np.dtype(meta["data_type"]).newbyteorder("<"))
    return data.reshape([shape[i] for i in order]).transpose(np.argsort(order))


def grid(meta):
    return [-(-n // m) for n, m in zip(meta["shape"], meta["chunk_grid"]["configuration"]["chunk_shape"])]


def read(folder):
    meta = metadata(folder)
    chunks = meta["chunk_grid"]["configuration"]["chunk_shape"]
    whole = np.empty([n * m for n, m in zip(grid(meta), chunks)], np.dtype(meta["data_type"]).newbyteorder("<"))
    for index in itertools.product(*map(range, grid(meta))):
        at = tuple(slice(i * m, (i + 1) * m) for i, m in zip(index, chunks))
        whole[at] = read_chunk(folder, meta, index)
    return whole[tuple(slice(0, n) for n in meta["shape"])]
