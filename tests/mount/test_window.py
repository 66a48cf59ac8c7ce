"""Pictures larger than the cache whose views need all rows for each of their own are decoded a few times, not at each read."""
import concurrent.futures
import io
import os
import random

import numpy as np
import pytest
from PIL import Image

import make_png
from case import pattern
from pixmount import read_all, read_range

MIB = 1 << 20
CACHE_BYTES = 4 * MIB
HEIGHT, WIDTH = 2000, 1600  # 9.6 MB of samples
WINDOW_BYTES = CACHE_BYTES / 4

SPECS = {
    "rot=90,u8.npy": np.rot90,
    "rot=270,chw,u8.npy": lambda a: np.rot90(a, -1).transpose(2, 0, 1),
    "rot=90,values.npy": lambda a: np.rot90(a).astype(np.float32),
    "rot=90,rgba,u8.npy": lambda a: np.rot90(np.dstack([a, np.full(a.shape[:2], 255, np.uint8)])),
    "rot=90.png": np.rot90,
    "rot=180,u8.npy": lambda a: a[::-1, ::-1],
    "bottomup,u8.npy": lambda a: a[::-1],
    "mirror,chw,u8.npy": lambda a: a[:, ::-1].transpose(2, 0, 1),
}


@pytest.fixture(scope="module")
def picture():
    return pattern(HEIGHT, WIDTH, 3, 8)


@pytest.fixture
def mount(source, mounted, picture):
    (source / "a.png").write_bytes(make_png.png(picture, 2, 8, filters=(0,)))
    return mounted(source, f"cache_size={CACHE_BYTES}")


def decodes(mount, action):
    before = mount.stats()["decodes"]
    result = action()
    return result, mount.stats()["decodes"] - before


def pass_of(mount):
    return decodes(mount, lambda: read_all(mount.at("a.png", "pixels.npy")))[1]


@pytest.mark.parametrize("spec", SPECS)
def test_a_whole_read_takes_few_passes(mount, picture, spec):
    """One for each window, of planes that lie behind each other one more each; reads of 128 KiB took 100 to 320."""
    bands, path = pass_of(mount), mount.at("a.png", "views", spec)
    windows = os.stat(path).st_size / WINDOW_BYTES
    data, count = decodes(mount, lambda: read_all(path))
    shown = np.array(Image.open(io.BytesIO(data))) if spec.endswith(".png") else np.load(io.BytesIO(data))
    assert np.array_equal(shown, SPECS[spec](picture))
    assert count <= (1.5 * windows + 8) * bands, spec
    assert mount.stats()["cache_bytes"] <= CACHE_BYTES


def test_readers_in_any_order_get_the_same_bytes(mount, picture):
    """Windows that many readers ask for at the same time, forwards, backwards and anywhere, of two views."""
    wanted = {"rot=90.u8": np.rot90(picture).tobytes(), "rot=270.u8": np.rot90(picture, -1).tobytes()}
    rng = random.Random(7)

    def read(number):
        spec, data = list(wanted.items())[number % 2]
        length = rng.choice([1, 4000, 100_000])
        offset = len(data) - (number + 1) * 40_000 if number < 8 else rng.randrange(len(data) // 2, len(data) // 2 + 600_000)
        return data[offset : offset + length] == read_range(mount.at("a.png", "views", spec), offset, length)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(16)))
