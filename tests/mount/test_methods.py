"""Entries packed by every method: what damage says, and in which order they may be read. 7-Zip, zstd and Python pack them."""
import bz2
import errno
import os
import struct
import signal
import subprocess

import numpy as np
import pytest

import make_png
import make_zip
from case import pattern
from make_exr import attribute
from make_zip import METHODS, STORED, Entry, zip_of
from pixmount import BIN, errno_of

NAMES = {make_zip.DEFLATE: "deflated", make_zip.DEFLATE64: "Deflate64", make_zip.BZIP2: "bzip2", make_zip.LZMA: "LZMA", make_zip.ZSTD: "Zstandard", make_zip.XZ: "xz"}
PACKED = [method for method in METHODS if method != STORED]


@pytest.mark.parametrize("method", PACKED)
def test_check_names_a_damaged_member_and_its_method(source, method):
    image = make_png.png(pattern(300, 400, 3, 16, seed=7), make_png.RGB, 16)
    packed = make_zip.squeeze(image, method)
    cut = packed[: len(packed) // 2]
    (source / "a.zip").write_bytes(zip_of(Entry(b"good.png", image, method), Entry(b"dir/cut.png", image, method, packed=cut)))
    done = subprocess.run([BIN, "check", str(source)], capture_output=True, text=True, check=False, timeout=120)
    told = [line for line in (done.stdout + done.stderr).splitlines() if "cut.png" in line]
    assert done.returncode == 1 and len(told) == 1 and "a.zip/dir/cut.png" in told[0] and NAMES[method] in told[0], done
    assert "good.png" not in done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_crc_is_damage_whatever_the_method(source, mounted, method):
    image = make_png.png(pattern(30, 40, 3, 8), make_png.RGB, 8)
    (source / "a.zip").write_bytes(zip_of(Entry(b"a.png", image, method, crc=1)))
    assert errno_of(open, mounted(source).at("a.zip", "a.png", "pixels.f32"), "rb") == errno.EIO


def test_an_unknown_method_is_named(source, mounted):
    number, packed = make_zip.seven_zip(b"text " * 100, "PPMd")
    (source / "a.zip").write_bytes(zip_of(Entry(b"a.txt", b"text " * 100, number, packed=packed), Entry(b"b.png", b"text", 77, packed=b"x")))
    mount = mounted(source)
    assert errno_of(open, mount.at("a.zip", "a.txt"), "rb") == errno.EOPNOTSUPP
    with open(mount.at("a.zip", "b.png", "error.txt"), encoding="utf-8") as file:
        assert "compression method 77 (unknown)" in file.read()
    told = [line["message"] for line in mount.errors() if line["path"] == "a.zip/a.txt"]
    assert told and "compression method 98 (PPMd) can't be decoded" in told[0]


def backwards_exr(height, width=1024):
    """Half values, one uncompressed chunk for each row, and the chunks in the file from the last row to the first."""
    box = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    head = (struct.pack("<II", 20000630, 2) + attribute("channels", "chlist", b"Z\0" + struct.pack("<IIII", 1, 0, 1, 1) + b"\0") + attribute("compression", "compression", b"\0")
            + attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box) + attribute("lineOrder", "lineOrder", b"\0")
            + attribute("pixelAspectRatio", "float", struct.pack("<f", 1)) + attribute("screenWindowCenter", "v2f", bytes(8)) + attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0")
    rows = (np.arange(height * width, dtype=np.uint32).reshape(height, width) % 2000).astype("<f2")
    size, first = 8 + 2 * width, len(head) + 8 * height
    table = struct.pack(f"<{height}Q", *(first + (height - 1 - y) * size for y in range(height)))
    return head + table + b"".join(struct.pack("<iI", y, 2 * width) + rows[y].tobytes() for y in reversed(range(height))), rows


@pytest.mark.parametrize("method", PACKED)
def test_chunks_that_run_backwards_cost_no_more_than_forwards(source, mounted, method):
    """8 MB in 4000 chunks: unpacked anew for each they were 16 GB, which takes minutes. There is memory to keep 6 MB."""
    data, rows = backwards_exr(4000)
    (source / "a.zip").write_bytes(zip_of(Entry(b"a.exr", data, method)))
    mount = mounted(source, "cache_size=16M")
    got = np.load(mount.at("a.zip", "a.exr", "pixels.npy"), mmap_mode="r")
    for y in (3999, 2000, 0):
        assert np.array_equal(got[y, :, 0], rows[y].astype(np.float32))
    assert np.array_equal(np.fromfile(mount.at("a.zip", "a.exr", "channels", "Z.f32"), "<f4").reshape(rows.shape), rows.astype(np.float32))


@pytest.mark.parametrize("method", PACKED)
def test_readers_at_different_places(source, mounted, method):
    data = os.urandom(1000) + bytes(2 << 20) + os.urandom(2 << 20) + pattern(1000, 2000, 1, 8, 3).tobytes()
    (source / "a.zip").write_bytes(zip_of(Entry(b"a.bin", data, method)))
    path = mounted(source).at("a.zip", "a.bin")
    program = "import sys; f = open(sys.argv[1], 'rb', 0); n = int(sys.argv[2])\nfor i in range(12): f.seek((n * 1000003 + i * 131072) % 6000000); sys.stdout.buffer.write(f.read(131072))"
    readers = [subprocess.Popen(["/usr/bin/python3", "-c", program, path, str(n)], stdout=subprocess.PIPE) for n in range(4)]
    for n, reader in enumerate(readers):
        got = reader.communicate(timeout=100)[0]
        places = [(n * 1000003 + i * 131072) % 6000000 for i in range(12)]
        assert got == b"".join(data[at : at + 131072] for at in places)


def test_a_reader_that_is_killed_is_gone_at_once(source, mounted):
    """A picture with 8 GB of zeros behind it, as streams of 8 MB: its CRC-32 takes minutes, and so do its last bytes."""
    image, stream, count = make_png.png(pattern(30, 40, 3, 8), make_png.RGB, 8), bz2.compress(bytes(8 << 20)), 1000
    entries = [Entry(name, b"", make_zip.BZIP2, packed=bz2.compress(image) + stream * count, size=len(image) + count * (8 << 20), zip64=True) for name in (b"a.png", b"a.bin")]
    (source / "a.zip").write_bytes(zip_of(*entries))
    mount = mounted(source)
    program = "import os, sys; print('here', flush=True); fd = os.open(sys.argv[1], os.O_RDONLY); os.pread(fd, 10, 8000 << 20)"
    for path in ("a.png/pixels.f32", "a.bin"):
        with subprocess.Popen(["/usr/bin/python3", "-c", program, mount.at("a.zip", path)], stdout=subprocess.PIPE) as reader:
            assert reader.stdout.readline() == b"here\n"
            with pytest.raises(subprocess.TimeoutExpired):
                reader.wait(1)
            reader.send_signal(signal.SIGKILL)
            reader.wait(10)  # it can't end while its request is under way


def test_many_archives_are_found_at_once_and_hold_no_descriptors(source, mounted):
    data = zip_of(Entry(b"a.txt", b"x"))
    for n in range(1500):
        (source / f"{n}.zip").write_bytes(data)
    mount = mounted(source)
    for n in range(1500):
        assert os.stat(mount.at(f"{n}.zip", "a.txt")).st_size == 1
    assert len(os.listdir(f"/proc/{mount.process.pid}/fd")) < 1200
