"""Memory stays bounded whatever is read: cached samples by their budget, archive entries by a window (section 9)."""
import io
import os
import signal
import subprocess
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import HALF, ZIP, Channel, Part
from make_zip import DEFLATE, Entry, zip_of
from pixmount import SLOW, read_all, read_range, wait_for

MIB = 1 << 20
plain_only = pytest.mark.skipif(SLOW > 1, reason="a sanitizer's own memory hides what the daemon uses")


def peak_bytes(mount):
    """VmHWM: the most that was ever resident."""
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) << 10


def large_exr(seed, side=2048):
    """RGBA half of 2048 x 2048: 32 MiB of samples in 128 chunks."""
    y, x = np.mgrid[0:side, 0:side]
    planes = {name: ((x // 8 + y * (n + 3) + seed) % 0x3C00).astype(np.uint16) for n, name in enumerate("ABGR")}
    part = Part([Channel(name, HALF, {(0, 0): plane}) for name, plane in planes.items()], (0, 0, side - 1, side - 1), compression=ZIP)
    return make_exr.exr(part), make_exr.stack(part.channels, list("RGBA"))


@plain_only
def test_reading_more_than_the_cache_holds(source, mounted):
    """Four images of 32 MiB through a cache of 16 MiB: cache_size + 64 MiB + the chunks in flight."""
    data, pixels = large_exr(0)
    for number in range(4):
        (source / f"{number}.exr").write_bytes(data)
    mount = mounted(source, "cache_size=16M")
    for _ in range(2):
        for number in range(4):
            assert read_all(mount.at(f"{number}.exr", "pixels.f32")) == pixels.tobytes()
    assert peak_bytes(mount) < (16 + 64 + 16) * MIB


@plain_only
def test_many_small_images(source, mounted):
    png = make_png.png(pattern(64, 64, 3, 8), make_png.RGB, 8)
    jpeg = make_jpeg.encode(make_jpeg.photograph(64, 64))
    for number in range(1500):
        (source / f"{number}.png").write_bytes(png)
        (source / f"{number}.jpg").write_bytes(jpeg)
    mount = mounted(source, "cache_size=4M")
    for number in range(1500):
        for kind in ("png", "jpg"):
            read_range(mount.at(f"{number}.{kind}", "pixels.f32"), 0, 4096)
    assert peak_bytes(mount) < (4 + 64) * MIB


def zeros_entry(count):
    """A deflated entry of `count` MiB of zeros: one flushed piece again and again."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(6, zlib.DEFLATED, -15)
    crc = 0
    for _ in range(count):
        crc = zlib.crc32(bytes(MIB), crc)
    return Entry(b"zeros.bin", b"", DEFLATE, packed=piece * count + end.flush(), size=count * MIB, crc=crc)


@plain_only
def test_many_deflated_images(source, mounted):
    """What is inflated of an entry is kept for a while, but all of it together is bounded."""
    png = make_png.png(pattern(200, 200, 3, 16, seed=5), make_png.RGB, 16)
    assert len(png) > 200_000
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(png) + packer.flush()
    (source / "a.zip").write_bytes(zip_of(*(Entry(b"%d.png" % number, b"", DEFLATE, packed=packed, size=len(png), crc=zlib.crc32(png)) for number in range(500))))
    mount = mounted(source, "cache_size=4M")
    first = read_all(mount.at("a.zip", "0.png", "pixels.f32"))
    for number in range(1, 500):
        assert read_range(mount.at("a.zip", f"{number}.png", "pixels.f32"), 0, 4096) == first[:4096]
    assert peak_bytes(mount) < (4 + 64) * MIB


@plain_only
def test_large_deflated_entries_need_little(source, mounted):
    (source / "a.zip").write_bytes(zip_of(zeros_entry(512)))
    mount = mounted(source, "cache_size=16M")
    path = mount.at("a.zip", "zeros.bin")
    assert os.stat(path).st_size == 512 * MIB
    with open(path, "rb", buffering=0) as file:
        while part := file.read(MIB):
            assert not any(part[:64])
    assert read_range(path, 300 * MIB, 4096) == bytes(4096)
    assert peak_bytes(mount) < (16 + 64) * MIB


@pytest.mark.parametrize("options", ["cache_size=64K", "cache_size=64K,threads=1", "cache_size=1M,threads=4"])
def test_a_cache_smaller_than_one_chunk_still_gives_every_byte(source, mounted, options):
    """Sixteen threads, each chunk larger than the budget: nobody waits for ever, nothing is wrong."""
    data, pixels = large_exr(7, side=512)
    stored = pattern(400, 300, 3, 16)
    (source / "a.exr").write_bytes(data)
    (source / "b.png").write_bytes(make_png.png(stored, make_png.RGB, 16))
    (source / "c.jpg").write_bytes(make_jpeg.encode(make_jpeg.photograph(300, 400), progressive=True))
    mount = mounted(source, options)
    whole = {"a.exr": pixels.tobytes(), "b.png": (stored.astype(np.float32) / np.float32(65535)).tobytes(), "c.jpg": read_all(mount.at("c.jpg", "pixels.f32"))}
    wrong = []

    def read(seed):
        random = np.random.default_rng(seed)
        for _ in range(12):
            name = list(whole)[random.integers(3)]
            offset = int(random.integers(len(whole[name])))
            if read_range(mount.at(name, "pixels.f32"), offset, 50000) != whole[name][offset : offset + 50000]:
                wrong.append((name, offset))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert read_all(mount.at("a.exr", "pixels.f32")) == whole["a.exr"]


def test_a_reader_that_is_killed_harms_nobody(source, mounted):
    """In the middle of a slow decode, many times."""
    (source / "slow.png").write_bytes(make_png.slow_png(4096))
    stored = pattern(9, 9, 3, 8)
    (source / "a.png").write_bytes(make_png.png(stored, make_png.RGB, 8))
    mount = mounted(source)
    readers = [subprocess.Popen(["cat", mount.at("slow.png", "pixels.f32")], stdout=subprocess.DEVNULL) for _ in range(8)]
    time.sleep(0.1)
    for reader in readers:
        reader.send_signal(signal.SIGKILL)
    for reader in readers:
        reader.wait(60 * SLOW)
    assert read_all(mount.at("a.png", "pixels.f32")) == (stored.astype(np.float32) / np.float32(255)).tobytes()
    assert read_range(mount.at("slow.png", "pixels.f32"), 1 << 20, 4096) == bytes(4096)


def forget():
    """The kernel forgets all names and attributes that nobody uses."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes the kernel forget")
def test_an_archive_that_is_looked_up_anew_is_the_same_one(tmp_path, mounted):
    """Its index isn't read twice, and its images aren't decoded again."""
    source = tmp_path / "source"
    source.mkdir()
    with zipfile.ZipFile(source / "a.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"x/{i}.png", make_png.png(pattern(40, 50, 3, 8, i), make_png.RGB, 8))
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as nested:
            nested.writestr("y.png", make_png.png(pattern(40, 50, 3, 8, 9), make_png.RGB, 8))
        archive.writestr("b.zip", inner.getvalue())
    mount = mounted(source)
    names = [("a.zip", "x", f"{i}.png") for i in range(3)] + [("a.zip", "b.zip", "y.png")]
    for round_ in range(3):
        for name in names:
            assert np.load(mount.at(*name, "views", "u8.npy")).shape == (40, 50, 3)
        forget()
        assert wait_for(lambda: mount.stats()["nodes"] <= 4), "the last read directories stay known, for the next in order"
    assert mount.stats()["decodes"] == 4 and mount.stats()["opens"] == 4
