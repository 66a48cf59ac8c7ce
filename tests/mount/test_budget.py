"""What a file or a user can make grow is charged: resident memory stays within cache_size + 64 MiB + a decode for each processor.

The worst files there are. Long form: PIXFS_LONG=1.
"""
import json
import os
import struct
import threading
import time
import zipfile
import zlib

import numpy as np
import pytest

import make_jpeg
import make_png
from case import pattern
from pixmount import SLOW, read_all

MIB = 1 << 20
LONG = bool(os.environ.get("PIXFS_LONG"))
plain_only = pytest.mark.skipif(SLOW > 1, reason="a sanitizer's own memory hides what the daemon uses")


def resident_bytes(mount, field="VmHWM"):
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) << 10


def attribute(name, kind, value):
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def tiny_tiles(side):
    """An EXR of half "Y" in tiles of one pixel, and its values."""
    box = struct.pack("<4i", 0, 0, side - 1, side - 1)
    header = struct.pack("<II", 20000630, 2 | 0x200) + b"".join([
        attribute("channels", "chlist", b"Y\0" + struct.pack("<iB3xii", 1, 0, 1, 1) + b"\0"), attribute("compression", "compression", b"\0"),
        attribute("dataWindow", "box2i", box), attribute("displayWindow", "box2i", box), attribute("lineOrder", "lineOrder", b"\0"),
        attribute("pixelAspectRatio", "float", struct.pack("<f", 1)), attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        attribute("screenWindowWidth", "float", struct.pack("<f", 1)), attribute("tiles", "tiledesc", struct.pack("<IIB", 1, 1, 0))]) + b"\0"
    count = side * side
    tiles = np.zeros(count, [("x", "<i4"), ("y", "<i4"), ("level", "<i4", 2), ("size", "<i4"), ("value", "<u2")])
    index = np.arange(count)
    tiles["x"], tiles["y"], tiles["size"], tiles["value"] = index % side, index // side, 2, index * 7 % 0x7C00
    offsets = len(header) + 8 * count + tiles.itemsize * index
    return header + offsets.astype("<u8").tobytes() + tiles.tobytes(), tiles["value"].view(np.float16).astype("<f4")


@plain_only
def test_tiles_of_one_pixel(source, mounted):
    """Each is decoded once in a pass, and what it costs to know it is charged (it is 80 times what it holds)."""
    count, side = (4, 1000) if LONG else (2, 300)
    data, values = tiny_tiles(side)
    for number in range(count):
        (source / f"{number}.exr").write_bytes(data)
    mount = mounted(source, "cache_size=16M")
    for number in range(count):
        assert read_all(mount.at(f"{number}.exr", "pixels.f32")) == values.tobytes()
        assert mount.stats()["decodes"] == (number + 1) * side * side
        assert mount.stats()["cache_bytes"] <= 16 * MIB
    assert resident_bytes(mount) < (16 + 64) * MIB


@plain_only
def test_shrinking_tiles_of_one_pixel(source, mounted):
    """Thousands of chunks are pinned for one row: that costs no more than once for each."""
    side = 600 if LONG else 240
    data, values = tiny_tiles(side)
    (source / "a.exr").write_bytes(data)
    mount = mounted(source)
    start = time.monotonic()
    small = np.load(mount.at("a.exr", "views", "size=3x3.npy"))
    assert time.monotonic() - start < 15 * SLOW
    expected = values.reshape(3, side // 3, 3, side // 3).mean(axis=(1, 3), dtype=np.float64)
    assert np.allclose(small[:, :, 0], expected, rtol=1e-4)


def texts(count, body):
    packed = zlib.compress(body, 9)
    return b"".join(make_png.chunk(b"zTXt", b"key%d\0\0" % i + packed) for i in range(count))


@plain_only
def test_texts_that_grow(source, mounted):
    """14 KB of a PNG hold 14 MB of control characters, six bytes each as JSON: shown by their size; short ones are there."""
    before = texts(14, b"\x01" * ((1 << 20) - 200)) + make_png.chunk(b"tEXt", b"Title\0short")
    png = make_png.png(pattern(4, 4, 3, 8), make_png.RGB, 8, before=before)
    assert len(png) < 40_000
    count = 12 if LONG else 3
    for number in range(count):
        (source / f"{number}.png").write_bytes(png)
    mount = mounted(source, "cache_size=64M")
    sizes = []
    asking = [threading.Thread(target=lambda number=number: sizes.append(os.stat(mount.at(f"{number}.png", "meta.json")).st_size)) for number in range(count)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(sizes) == count and max(sizes) < 5 * MIB
    meta = json.loads(read_all(mount.at("0.png", "meta.json")))
    shown = meta["attributes"]["png"]
    assert shown["Title"] == "short"
    assert shown["key13"] == {"nbytes": (1 << 20) - 200}
    assert any("only the size" in warning for warning in meta["warnings"])


def test_meta_is_made_once(source, mounted):
    """The header isn't parsed, and the text not made, for each stat: it is the same, and a new version has another."""
    path = source / "a.png"
    path.write_bytes(make_png.png(pattern(4, 4, 3, 8), make_png.RGB, 8))
    mount = mounted(source)
    first = read_all(mount.at("a.png", "meta.json"))
    assert all(read_all(mount.at("a.png", "meta.json")) == first for _ in range(3))
    assert os.stat(mount.at("a.png", "meta.json")).st_size == len(first)
    other = source / "b"
    other.write_bytes(make_png.png(pattern(6, 5, 3, 8), make_png.RGB, 8))
    os.replace(other, path)
    time.sleep(1.1 * SLOW)  # as long as names live
    meta = json.loads(read_all(mount.at("a.png", "meta.json")))
    assert meta["shape"] == [6, 5, 3]


@plain_only
def test_stacks_that_were_only_looked_at(source, mounted):
    """Stacks of one directory share the list of its images, and those that nobody has leave by what they hold."""
    count = 200_000 if LONG else 20_000
    one = make_png.png(pattern(2, 2, 3, 8), make_png.RGB, 8)
    with zipfile.ZipFile(source / "a.zip", "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(f"class{number % 100:03d}/image_number_{number:09d}.png"), one)
    mount = mounted(source, "cache_size=16M")
    os.listdir(mount.at("a.zip"))
    before = resident_bytes(mount, "VmRSS")
    for number in range(64):
        assert os.stat(mount.at("a.zip", ".pixfs", "stack", f"recursive,size=1x{number + 1},u8.npy")).st_size == 128 + count * 3 * (number + 1)
    # the list, twice while it grows, and the states of those that stay
    assert resident_bytes(mount, "VmRSS") - before < count * 160 + 8 * MIB
    assert os.stat(mount.at("a.zip", ".pixfs", "stack", "recursive,size=1x1,u8.npy")).st_size == 128 + count * 3


@plain_only
def test_whole_images_at_once(source, mounted):
    """Decoders that keep all coefficients: they go on one after the other where there is room for one alone."""
    side = 6 if LONG else 3
    count = 8 if LONG else 3
    jpeg = make_jpeg.encode(np.tile(make_jpeg.photograph(900, 900), (side, side, 1)), progressive=True)
    side *= 900
    for number in range(count):
        (source / f"{number}.jpg").write_bytes(jpeg)
    mount = mounted(source, "cache_size=16M,threads=4")
    results = {}

    def read(number):
        with open(mount.at(f"{number}.jpg", "views", "crop=0:0:16:16,u8.npy"), "rb") as file:
            results[number] = file.read()

    readers = [threading.Thread(target=read, args=(number,)) for number in range(count)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(results) == count and len(set(results.values())) == 1
    coefficients = side * side * 3 * 2  # of 16 bits; less where chroma is subsampled
    assert resident_bytes(mount) < 16 * MIB + 64 * MIB + coefficients
    stats = mount.stats()
    bands = -(-side // mount.json("0.jpg", "meta.json")["chunk"][0])
    assert stats["decoding"] == 0 and stats["decodes"] == count * bands  # none of them starts again for another
