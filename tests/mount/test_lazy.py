"""Only what a read needs is decoded, nothing twice, and a slow image stands in nobody's way: shown by stats.json."""
import os
import threading
import time

import numpy as np
import pytest

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import HALF, NONE, ZIP, ZIPS, Channel, Part, exr
from make_zip import DEFLATE, STORED, Entry, zip_of
from pixmount import SLOW, read_all, read_range

WIDTH, HEIGHT = 2048, 1024
ROW = WIDTH * 3 * 4
PAGE = 4096


def large_exr(compression=ZIP, tile=None):
    """RGB half, 2048 x 1024; rows differ, values compress well."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [((x // 16 + y * (n + 3)) % 0x3C00).astype(np.uint16) for n in range(3)]
    part = Part([Channel(name, HALF, {(0, 0): plane}) for name, plane in zip("BGR", planes)], (0, 0, WIDTH - 1, HEIGHT - 1), compression=compression, tile=tile)
    return exr(part), make_exr.stack(part.channels, ["R", "G", "B"])


@pytest.fixture(scope="module")
def scanlines():
    return large_exr()


@pytest.fixture(scope="module")
def tiles():
    return large_exr(tile=(64, 64))


def spent(mount, action):
    """What the counters of stats.json grow by during action()."""
    before = mount.stats()
    action()
    after = mount.stats()
    return {key: after[key] - before[key] for key in before if isinstance(before[key], (int, float))}


def test_stats_have_all_counters(fixture_mount):
    wanted = {"opens", "decodes", "decode_ms", "cache_hits", "cache_bytes", "cache_budget_bytes", "bytes_read", "bytes_served", "errors"}
    assert wanted <= set(fixture_mount.stats())


def test_listing_a_folder_opens_nothing(source, mounted):
    for number in range(50):
        (source / f"{number}.png").write_bytes(make_png.png(pattern(4, 4, 1, 8), 0, 8))
        (source / f"{number}.zip").write_bytes(zip_of(Entry(b"a.png", b"")))
    mount = mounted(source)

    def look():
        assert len(os.listdir(mount.path)) == 100
        for entry in os.scandir(mount.path):
            entry.stat()

    grown = spent(mount, look)
    assert grown["opens"] == grown["decodes"] == grown["bytes_read"] == 0


def test_stat_reads_a_header_and_decodes_nothing(source, mounted, scanlines):
    (source / "a.exr").write_bytes(scanlines[0])
    (source / "b.jpg").write_bytes(make_jpeg.encode(make_jpeg.photograph(1000, 1500)))
    mount = mounted(source)
    for name, size in (("a.exr", HEIGHT * ROW), ("b.jpg", 1000 * 1500 * 12)):
        def look():
            assert os.stat(mount.at(name, "pixels.f32")).st_size == size
        grown = spent(mount, look)
        assert grown["decodes"] == 0 and grown["opens"] == 1, name
        assert grown["bytes_read"] < 70_000, name


def test_meta_is_made_from_the_header_alone(source, mounted, scanlines):
    (source / "a.exr").write_bytes(scanlines[0])
    mount = mounted(source)
    grown = spent(mount, lambda: mount.bytes("a.exr", "meta.json"))
    assert grown["decodes"] == 0 and grown["bytes_read"] < 70_000


def one_row(mount, pixels, names, row):
    path = mount.at(*names, "pixels.f32")
    first = row * ROW // PAGE * PAGE  # whole pages, as the kernel asks for them
    assert row * ROW == first, "the row is to begin on a page"
    assert read_range(path, row * ROW, ROW) == pixels[row].tobytes()


def container(source, where, data):
    """Puts data on disk, or into a zip; the path of the image in the mount."""
    if where == "disk":
        (source / "a.exr").write_bytes(data)
        return ("a.exr",)
    (source / "a.zip").write_bytes(zip_of(Entry(b"first.txt", b"x" * 1000), Entry(b"a.exr", data, STORED if where == "stored" else DEFLATE)))
    return ("a.zip", "a.exr")


@pytest.mark.parametrize("where", ["disk", "stored"])
@pytest.mark.parametrize("method,rows", [(ZIP, 16), (ZIPS, 1), (NONE, 1)])
def test_one_row_of_scanlines_decodes_one_chunk(source, mounted, where, method, rows):
    data, pixels = large_exr(method)
    names = container(source, where, data)
    mount = mounted(source)
    os.stat(mount.at(*names, "pixels.f32"))
    grown = spent(mount, lambda: one_row(mount, pixels, names, 512))
    assert grown["decodes"] == 1
    assert grown["bytes_read"] < 4 * max(len(data) * rows // HEIGHT, 20_000) + 70_000


@pytest.mark.parametrize("where", ["disk", "stored", "deflated"])
def test_one_row_of_tiles_decodes_one_row_of_tiles(source, mounted, where, tiles):
    data, pixels = tiles
    names = container(source, where, data)
    mount = mounted(source)
    os.stat(mount.at(*names, "pixels.f32"))
    grown = spent(mount, lambda: one_row(mount, pixels, names, 512))
    assert grown["decodes"] == WIDTH // 64


def test_memmap_of_a_row_decodes_little(source, mounted, scanlines):
    """With the kernel's read-ahead of 128 KiB around a page fault: two chunks at most."""
    data, pixels = scanlines
    (source / "a.exr").write_bytes(data)
    mount = mounted(source)

    def read():
        mapped = np.memmap(mount.at("a.exr", "pixels.f32"), "<f4", "r", shape=pixels.shape)
        assert np.array_equal(mapped[520], pixels[520])

    assert 1 <= spent(mount, read)["decodes"] <= 2


def test_png_is_decoded_only_as_far_as_asked(source, mounted):
    stored = np.repeat(pattern(64, 1024, 4, 16, seed=3), 32, axis=0)  # 2048 rows of 8 KiB: 16 MiB
    (source / "a.png").write_bytes(make_png.png(stored, make_png.RGBA, 16, filters=(1,)))
    mount = mounted(source)
    row = 1024 * 4 * 4
    fd = os.open(mount.at("a.png", "pixels.f32"), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)

    def read(number):
        wanted = (stored[number].astype(np.float32) / np.float32(65535)).tobytes()
        assert os.pread(fd, row, number * row) == wanted

    first, middle, last, again = (spent(mount, lambda n=n: read(n))["decodes"] for n in (0, 1000, 2047, 500))
    os.close(fd)
    assert 1 <= first and first * 8 < first + middle + last, "the first row alone"
    assert abs(middle - last) <= 0.25 * (first + middle + last), "each half once"
    assert again == 0


def test_a_png_opened_again_goes_on_where_it_was(source, mounted):
    """A forward decoder is kept over a close: three opens, each further down, decode each band once. More images than
    decoders are kept for stay right."""
    stored = np.repeat(pattern(64, 1024, 4, 16, seed=3), 32, axis=0)
    names = [f"{n}.png" for n in range(20)]
    for name in names:
        (source / name).write_bytes(make_png.png(stored, make_png.RGBA, 16, filters=(1,)))
    mount = mounted(source)
    row = 1024 * 4 * 4

    def read(name, number):
        fd = os.open(mount.at(name, "pixels.f32"), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        wanted = (stored[number].astype(np.float32) / np.float32(65535)).tobytes()
        assert os.pread(fd, row, number * row) == wanted
        os.close(fd)

    parts = [spent(mount, lambda n=n: read("0.png", n))["decodes"] for n in (0, 1000, 2047)]
    assert sum(parts) == 2048 // (256 * 1024 // (1024 * 4 * 2)), parts
    for number in (10, 700, 1500, 5):
        for name in names[1:]:
            read(name, number)


@pytest.mark.parametrize("kind", ["exr", "png", "jpg"])
def test_nothing_is_decoded_twice_while_it_is_cached(source, mounted, kind, scanlines):
    data = {"exr": lambda: scanlines[0], "png": lambda: make_png.png(pattern(500, 500, 3, 8), 2, 8), "jpg": lambda: make_jpeg.encode(make_jpeg.photograph(500, 700))}[kind]()
    (source / f"a.{kind}").write_bytes(data)
    mount = mounted(source)
    first = spent(mount, lambda: read_all(mount.at(f"a.{kind}", "pixels.f32")))
    again = spent(mount, lambda: read_all(mount.at(f"a.{kind}", "pixels.npy")))
    channel = spent(mount, lambda: read_all(mount.at(f"a.{kind}", "channels", "G.f32")))
    assert first["decodes"] >= 1
    assert again["decodes"] == channel["decodes"] == 0 and again["cache_hits"] > 0
    assert mount.stats()["cache_bytes"] > 0


def test_many_readers_of_one_chunk_decode_it_once(source, mounted, scanlines):
    data, pixels = scanlines
    (source / "a.exr").write_bytes(data)
    mount = mounted(source)

    def read():
        threads = [threading.Thread(target=read_range, args=(mount.at("a.exr", "pixels.f32"), 512 * ROW + n * PAGE, PAGE)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert spent(mount, read)["decodes"] == 1
    del pixels


def test_cache_stays_within_its_budget(source, mounted, scanlines):
    data, pixels = scanlines
    for number in range(4):
        (source / f"{number}.exr").write_bytes(data)
    mount = mounted(source, "cache_size=8M")
    for number in range(4):
        assert read_all(mount.at(f"{number}.exr", "pixels.f32")) == pixels.tobytes()
        stats = mount.stats()
        assert stats["cache_budget_bytes"] == 8 << 20 and stats["cache_bytes"] <= 8 << 20


def slow_source(source, kind):
    data = make_png.slow_png() if kind == "png" else make_jpeg.slow_jpeg()
    (source / f"slow.{kind}").write_bytes(data)
    for number in range(20):
        (source / f"other{number}.png").write_bytes(make_png.png(pattern(50, 50, 3, 8, number), 2, 8))
    return f"slow.{kind}"


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_slow_decode_blocks_neither_listing_nor_other_images(source, mounted, kind):
    slow = slow_source(source, kind)
    mount = mounted(source)
    os.stat(mount.at(slow, "pixels.f32"))
    done = threading.Event()

    def decode():
        with open(mount.at(slow, "pixels.f32"), "rb") as file:
            file.read(100)
        done.set()

    thread = threading.Thread(target=decode)
    began = time.monotonic()
    thread.start()
    time.sleep(0.05)
    during, longest, number = 0, 0.0, 0
    while not done.is_set() and time.monotonic() - began < 60:
        start = time.monotonic()
        os.listdir(mount.path)
        os.stat(mount.at(slow, "meta.json"))
        if number < 20:
            assert len(read_all(mount.at(f"other{number}.png", "pixels.f32"))) == 50 * 50 * 12
            number += 1
        if not done.is_set():
            longest = max(longest, time.monotonic() - start)
            during += 1
        time.sleep(0.01)
    thread.join()
    took = time.monotonic() - began
    assert during >= 3, f"the slow image was not slow: {took:.2f} s"
    assert longest < min(0.5 * SLOW, took / 2), f"waited {longest:.2f} s of {took:.2f}"
    assert number >= 1
