"""Images that are read one after the other: the next ones are decoded before they are asked for, and no others."""
import os
import random
import subprocess
import sys
import time
import zipfile

import cv2
import numpy as np
import pytest

from case import pattern
from pixmount import wait_for

SLOW = float(os.environ.get("PIXFS_SLOW", "1"))
COUNT = 60


def image(i, size=96):
    return cv2.imencode(".png", pattern(size, size, 3, 8, i)[..., ::-1])[1].tobytes()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ahead")
    (folder / "train").mkdir()
    for i in range(COUNT):
        (folder / "train" / f"{i:03}.png").write_bytes(image(i))
    order = random.Random(3).sample(range(COUNT), COUNT)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for i in order:
            archive.writestr(f"{i:03}.png", image(i))
    return folder


def read(mount, *path):
    i = int(path[-1][:3])
    assert np.array_equal(np.load(mount.at(*path, "views", "u8.npy")), pattern(96, 96, 3, 8, i))


def names():
    return [f"{i:03}.png" for i in range(COUNT)]


def decodes(mount):
    return mount.stats()["decodes"]


def settled(mount):
    """How many were decoded when no more are."""
    last = -1
    while last != decodes(mount):
        last = decodes(mount)
        time.sleep(0.15 * SLOW)
    return last


@pytest.mark.parametrize("folder", ["train", "a.zip"])
def test_reading_by_name_decodes_the_next_ones_ahead(source, mounted, folder):
    mount = mounted(source)
    for name in names()[:6]:
        read(mount, folder, name)
        time.sleep(0.05 * SLOW)  # the decoder is idle meanwhile
    wait_for(lambda: decodes(mount) > 6)
    ahead = settled(mount)
    for name in names()[6:ahead]:
        read(mount, folder, name)
    for name in names()[ahead:]:
        read(mount, folder, name)
    assert settled(mount) == COUNT  # each once


def test_reading_in_the_order_of_the_listing_is_noticed_too(source, mounted):
    mount = mounted(source)
    listed = [name for name in os.listdir(mount.at("a.zip")) if name.endswith(".png")]
    assert listed != sorted(listed)
    for name in listed[:6]:
        read(mount, "a.zip", name)
        time.sleep(0.05 * SLOW)
    wait_for(lambda: decodes(mount) > 6)
    for name in listed[6:]:
        read(mount, "a.zip", name)
    assert settled(mount) == COUNT


def test_random_reading_decodes_nothing_else(source, mounted):
    mount = mounted(source)
    order = random.Random(8).sample(names(), 25)
    for name in order:
        read(mount, "train", name)
    assert settled(mount) == len(order)


def test_what_is_decoded_ahead_stays_within_the_budget(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    for i in range(24):
        (source / f"{i:03}.png").write_bytes(image(i, 512))  # 768 KiB each
    mount = mounted(source, "cache_size=4M")
    for i in range(24):
        assert np.load(mount.at(f"{i:03}.png", "views", "u8.npy")).shape == (512, 512, 3)
        assert mount.stats()["cache_bytes"] <= 4 << 20
    assert settled(mount) == 24 * 4  # chunks: nothing was decoded in vain


def test_what_is_decoded_ahead_while_it_is_asked_for_is_decoded_once(tmp_path, mounted):
    """Who decodes ahead may keep the array and drop the samples, but not those that a reader has begun with."""
    source = tmp_path / "source"
    source.mkdir()
    for i in range(24):
        (source / f"{i:03}.png").write_bytes(image(i, 512))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        for _ in range(5):
            mount = mounted(source, "cache_size=4M")  # room for one ahead
            for i in range(24):
                np.load(mount.at(f"{i:03}.png", "views", "u8.npy"))
                mount.stats()
            assert settled(mount) == 24 * 4  # chunks
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_reading_a_part_of_each_decodes_no_next_one(source, mounted):
    mount = mounted(source)
    for name in names()[:10]:
        with open(mount.at("train", name, "pixels.f32"), "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            os.pread(file.fileno(), 64, 0)
    assert settled(mount) == 10


def test_several_readers_have_runs_of_their_own(source, mounted):
    mount = mounted(source)
    for i in range(5):
        read(mount, "train", f"{i:03}.png")
        read(mount, "train", f"{i + 30:03}.png")
        time.sleep(0.05 * SLOW)
    wait_for(lambda: decodes(mount) > 10)
    for i in range(5, 30):
        read(mount, "train", f"{i:03}.png")
        read(mount, "train", f"{i + 30:03}.png")
    assert settled(mount) == COUNT
