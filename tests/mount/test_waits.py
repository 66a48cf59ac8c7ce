"""Who waits for a decode holds up nobody: not those who need none, not the decode itself; and when memory ran out, it comes back.

Long form: PIXFS_LONG=1.
"""
import os
import resource
import signal
import subprocess
import threading
import time

import numpy as np
import pytest

import make_jpeg
import make_png
from case import pattern
from pixmount import SLOW, errno_of, read_all, wait_for

LONG = bool(os.environ.get("PIXFS_LONG"))


def in_threads(*calls):
    """Runs them at once; the results, or the exceptions, in order."""
    results = [None] * len(calls)

    def run(number):
        try:
            results[number] = calls[number]()
        except OSError as error:
            results[number] = error
    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(scope="module")
def slow_jpeg():
    """Decoded as a whole, for about a second."""
    side = 8 if LONG else 4
    return make_jpeg.encode(np.tile(make_jpeg.photograph(900, 900), (side, side, 1)), progressive=True)


def test_stacks_and_views_of_the_same_large_images(source, mounted):
    """Two readers of two images and two of stacks of them, on two threads: as much work as one pass, and in about its time."""
    side = 8 if LONG else 3
    jpeg = make_jpeg.encode(np.tile(make_jpeg.photograph(700, 700), (side, side, 1)))
    for number in range(2):
        (source / f"{number}.jpg").write_bytes(jpeg)
    mount = mounted(source, "threads=2")
    names = [("0.jpg", "views", "rgb,size=64x64,u8.npy"), ("1.jpg", "views", "rgb,size=64x64,u8.npy"), (".pixfs", "stack", "rgb,size=8x8,u8.npy"),
             (".pixfs", "stack", "rgb,size=9x9,u8.npy")]
    start = time.monotonic()
    results = in_threads(*[lambda name=name: read_all(mount.at(*name)) for name in names])
    seconds = time.monotonic() - start
    decodes, busy = mount.stats()["decodes"], mount.stats()["decode_ms"] / 1000
    assert [len(data) for data in results] == [128 + 64 * 64 * 3] * 2 + [128 + 2 * 8 * 8 * 3, 128 + 2 * 9 * 9 * 3]
    assert results[0] == results[1]
    assert seconds < 5 * SLOW + 3 * busy, f"{decodes} bands took {seconds:.1f} s for {busy:.1f} s of decoding"


def test_more_waiting_opens_than_threads(source, mounted, slow_jpeg):
    """While 600 opens wait for one image, names, attributes and status files are answered; those who are killed go at once."""
    readers = 600
    (source / "slow.jpg").write_bytes(slow_jpeg)
    (source / "sub").mkdir()
    (source / "sub" / "t.txt").write_text("hi")
    mount = mounted(source)
    os.listdir(mount.at("sub"))
    ended, answered = [], []

    def opened(number):
        try:
            os.close(os.open(mount.at("slow.jpg", "views", f"crop=0:0:1:{number + 1}.f32"), os.O_RDONLY))
            ended.append(0)
        except OSError as error:
            ended.append(error.errno)

    before = threading.stack_size(256 << 10)
    threads = [threading.Thread(target=opened, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    threading.stack_size(before)
    while any(thread.is_alive() for thread in threads):
        waiting = readers - len(ended)
        start = time.monotonic()
        assert errno_of(os.stat, mount.at("sub", f"nothing{len(answered)}")) is not None
        assert (open(mount.at("sub", "t.txt"), encoding="ascii").read(), mount.stats()["errors"]) == ("hi", 0)
        answered.append((waiting, time.monotonic() - start))
    for thread in threads:
        thread.join()
    assert ended == [0] * readers
    assert any(waiting > 512 for waiting, _ in answered), "it was answered while more waited than there are threads"


def waits(pid):
    """Whether the process is asleep as cat, not as what it was before."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        _, name, state = file.read().split()[:3]
    return name == "(cat)" and state in "SD"


def test_a_reader_that_waits_for_anothers_check_can_be_killed(source, mounted, slow_jpeg):
    """An open that decodes the whole image is under way; who waits for its end goes when it is told to."""
    (source / "slow.jpg").write_bytes(slow_jpeg)
    mount = mounted(source, "threads=1")
    path = mount.at("slow.jpg", "views", "crop=0:0:2:2.npy")
    os.stat(path)
    first = subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL)
    others = [subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL) for _ in range(3)]
    for other in others:
        assert wait_for(lambda pid=other.pid: waits(pid))
    for other in others:
        other.send_signal(signal.SIGKILL)
    for other in others:
        other.wait(30 * SLOW)
    assert first.poll() is None
    assert first.wait(60 * SLOW) == 0
    assert np.load(path).shape == (2, 2, 3)


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer needs its address space")
def test_it_recovers_when_there_is_memory_again(source, mounted):
    """The address space is limited to what is in use: reads fail with ENOMEM, and nothing of that is remembered."""
    png = make_png.png(pattern(300, 200, 3, 8), make_png.RGB, 8)
    for number in range(20):
        (source / f"{number}.png").write_bytes(png)
    mount = mounted(source)
    names = [(f"{number}.png", kind) for number in range(20) for kind in ("pixels.f32", "meta.json")]
    names += [(f"{number}.png", "views", "rgb,size=64x64,u8.npy") for number in range(20)] + [(".pixfs", "stack", "rgb,size=32x32,u8.npy")]
    pid = mount.process.pid
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        size = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmSize"))
    limits = resource.prlimit(pid, resource.RLIMIT_AS)
    for extra in (0, 1 << 20, 8 << 20):
        resource.prlimit(pid, resource.RLIMIT_AS, (size + extra, limits[1]))
        in_threads(*[lambda name=name: read_all(mount.at(*name)) for name in names])
    resource.prlimit(pid, resource.RLIMIT_AS, limits)
    results = in_threads(*[lambda name=name: read_all(mount.at(*name)) for name in names])
    assert [result for result in results if isinstance(result, OSError)] == []


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer needs its address space")
def test_a_cache_larger_than_the_address_space(source, mounted):
    """The cache would hold more than the process may: it gives some back, and reading goes on."""
    png = make_png.png(pattern(700, 700, 4, 16), make_png.RGBA, 16)
    for number in range(32):
        (source / f"{number}.png").write_bytes(png)
    mount = mounted(source, "cache_size=4G,nopassthrough")
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        size = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmSize"))
    resource.prlimit(mount.process.pid, resource.RLIMIT_AS, (size + (64 << 20), resource.prlimit(mount.process.pid, resource.RLIMIT_AS)[1]))
    failed = 0
    for _ in range(2):
        for number in range(32):
            failed += errno_of(read_all, mount.at(f"{number}.png", "views", "native.npy")) is not None
    assert failed <= 4  # what met the limit first
