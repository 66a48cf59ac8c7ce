""".pixfs/prefetch: a list of what is read next is decoded in its order, no further ahead than the budget allows."""
import errno
import os
import random
import stat
import subprocess
import time

import cv2
import numpy as np
import pytest

from case import pattern
from pixmount import errno_of, wait_for

SLOW = float(os.environ.get("PIXFS_SLOW", "1"))
COUNT, SIZE = 40, 128
ROW = SIZE * SIZE * 3
STACK = ".pixfs/stack/u8.npy"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefetch")
    for i in range(COUNT):
        (folder / f"{i:03}.png").write_bytes(cv2.imencode(".png", pattern(SIZE, SIZE, 3, 8, i)[..., ::-1])[1].tobytes())
    return folder


def tell(mount, lines, mode="w"):
    with open(mount.at(".pixfs", "prefetch"), mode) as file:
        file.write("".join(line + "\n" for line in lines))


def decodes(mount):
    return mount.stats()["decodes"]


def settled(mount):
    last = -1
    while last != decodes(mount):
        last = decodes(mount)
        time.sleep(0.15 * SLOW)
    return last


def test_images_are_decoded_before_they_are_asked_for(source, mounted):
    mount = mounted(source)
    order = [i * 17 % COUNT for i in range(12)]
    tell(mount, [f"{i:03}.png" if i % 2 else f"/{i:03}.png/views/u8.npy" for i in order])
    wait_for(lambda: decodes(mount) == 12)
    for i in order:
        assert np.array_equal(np.load(mount.at(f"{i:03}.png", "views", "u8.npy")), pattern(SIZE, SIZE, 3, 8, i))
    assert settled(mount) == 12


def test_rows_of_a_stack_are_made_in_the_samplers_order(source, mounted):
    mount = mounted(source)
    order = random.Random(2).sample(range(COUNT), 20)
    tell(mount, [STACK + "\t" + "\t".join(map(str, order[:11])), *(f"{STACK}\t{i}" for i in order[11:])])
    wait_for(lambda: decodes(mount) == 20)
    with open(mount.at(STACK), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for i in order:
            assert os.pread(file.fileno(), ROW, 128 + i * ROW) == pattern(SIZE, SIZE, 3, 8, i).tobytes()


def test_it_keeps_within_a_quarter_of_the_cache_and_goes_on_with_the_reader(source, mounted):
    mount = mounted(source, "cache_size=2M")  # 10 images' worth of room ahead
    order = [i * 17 % COUNT for i in range(COUNT)]
    tell(mount, [f"{i:03}.png" for i in order])
    first = settled(mount)
    assert 8 <= first <= 12
    for n, i in enumerate(order):
        if n == 20:
            continue  # one that is left out holds nothing up
        assert np.array_equal(np.load(mount.at(f"{i:03}.png", "views", "u8.npy")), pattern(SIZE, SIZE, 3, 8, i))
        wait_for(lambda: decodes(mount) >= min(COUNT, n + 8))
    assert settled(mount) == COUNT


def test_cutting_it_forgets_what_was_not_reached(source, mounted):
    mount = mounted(source, "cache_size=2M")
    order = [i * 17 % COUNT for i in range(COUNT)]
    tell(mount, [f"{i:03}.png" for i in order])
    before = settled(mount)
    assert before <= 12
    tell(mount, [f"{order[20]:03}.png"])  # opens with O_TRUNC
    tell(mount, [f"{order[30]:03}.png"], "a")
    for i in order[:before]:
        np.load(mount.at(f"{i:03}.png", "views", "u8.npy"))
    assert settled(mount) == before + 2


def test_what_doesnt_exist_is_left_out(source, mounted):
    mount = mounted(source)
    tell(mount, ["nothing.png", "", "..", "../../etc/passwd", ".pixfs/stack/frobnicate.npy\t3", STACK + "\t99999", STACK + "\tx",
                 STACK, "0" * 5000, ".pixfs/prefetch", ".", "003.png\r"])
    wait_for(lambda: decodes(mount) >= 1)
    assert np.array_equal(np.load(mount.at("003.png", "views", "u8.npy")), pattern(SIZE, SIZE, 3, 8, 3))


def test_a_shell_can_write_it(source, mounted):
    mount = mounted(source)
    subprocess.run(f"cd '{mount.path}' && ls | head -5 > .pixfs/prefetch && printf 030.png >> .pixfs/prefetch", shell=True, check=True)
    wait_for(lambda: decodes(mount) == 6)


def test_it_can_only_be_written(source, mounted):
    mount = mounted(source)
    path = mount.at(".pixfs", "prefetch")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o222 and os.stat(path).st_size == 0
    assert errno_of(os.open, path, os.O_RDONLY) == errno.EACCES
    assert errno_of(os.stat, mount.at("000.png", ".pixfs")) == errno.ENOENT
