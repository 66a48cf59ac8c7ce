"""A source that changes under the mount: new content within the timeout, never a mix of two versions (section 8)."""
import errno
import os
import threading
import time

import numpy as np
import pytest

import make_exr
import make_png
from make_exr import HALF, NONE, ZIPS, Channel, Part
from make_zip import DEFLATE, Entry, zip_of
from pixmount import SLOW, errno_of, read_all, read_range, wait_for

TIMEOUT = 1.0  # seconds that names and attributes live in the kernel
SIDE = 600     # large enough that the page cache does not hold all of it after one read


def flat(value, side=SIDE):
    """A PNG whose samples are all `value`, and its pixels.f32."""
    stored = np.full((side, side, 3), value, np.uint8)
    return make_png.png(stored, make_png.RGB, 8, filters=(0,)), (stored.astype(np.float32) / np.float32(255)).tobytes()


def flat_exr(value):
    """The same as an EXR, whose chunks are read one by one: bits of half floats."""
    plane = np.full((SIDE, SIDE), value, np.uint16)
    part = Part([Channel(name, HALF, {(0, 0): plane}) for name in "BGR"], (0, 0, SIDE - 1, SIDE - 1), compression=ZIPS)
    return make_exr.exr(part), make_exr.stack(part.channels, ["R", "G", "B"]).tobytes()


def rewrite(path, data):
    """In place: the same inode, cut to nothing and written again."""
    with open(path, "wb") as file:
        file.write(data)


def replace(path, data):
    """A new file gets the name, as editors and rsync do."""
    new = str(path) + ".new"
    with open(new, "wb") as file:
        file.write(data)
    os.rename(new, path)


CHANGES = {"rewritten": rewrite, "replaced": replace}
KINDS = {"png": (lambda: flat(10), lambda: flat(200)), "exr": (lambda: flat_exr(0x3000), lambda: flat_exr(0x3C00))}


def until_new(mount, name, new):
    """Whether the new pixels came within the timeout and a little."""
    def is_new():
        try:
            return read_all(mount.at(name, "pixels.f32")) == new
        except OSError:
            return False
    return wait_for(is_new, TIMEOUT + 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_new_content_within_the_timeout(source, mounted, change, kind):
    (old_data, old), (new_data, new) = (make() for make in KINDS[kind])
    path = source / f"a.{kind}"
    path.write_bytes(old_data)
    mount = mounted(source)
    name = path.name
    assert read_all(mount.at(name, "pixels.f32")) == old
    CHANGES[change](path, new_data)
    assert until_new(mount, name, new)
    assert mount.bytes(name, f"source.{kind}") == new_data
    assert os.stat(mount.at(name, "pixels.f32")).st_mtime_ns == os.stat(path).st_mtime_ns
    assert np.load(mount.at(name, "pixels.npy")).tobytes() == new


@pytest.mark.parametrize("change", CHANGES)
def test_another_size_within_the_timeout(source, mounted, change):
    (old_data, old), (new_data, new) = flat(10, 100), flat(20, 150)
    (source / "a.png").write_bytes(old_data)
    mount = mounted(source)
    assert read_all(mount.at("a.png", "pixels.f32")) == old
    CHANGES[change](source / "a.png", new_data)
    assert until_new(mount, "a.png", new)
    assert mount.json("a.png", "meta.json")["shape"] == [150, 150, 3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_an_open_file_is_never_a_mix(source, mounted, change, kind):
    (old_data, old), (new_data, new) = (make() for make in KINDS[kind])
    path = source / f"a.{kind}"
    path.write_bytes(old_data)
    mount = mounted(source)
    fd = os.open(mount.at(path.name, "pixels.f32"), os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(fd, 8192, 0) == old[:8192]
        CHANGES[change](path, new_data)
        assert until_new(mount, path.name, new)
        for offset in range(0, len(old), 40960):
            try:
                part = os.pread(fd, 4096, offset)
            except OSError as error:
                assert error.errno == errno.ESTALE
                continue
            assert part == old[offset : offset + 4096], f"at {offset}: {'the new version' if part == new[offset:offset + 4096] else 'neither'}"
        assert read_all(mount.at(path.name, "pixels.f32")) == new, "and the new one is not spoiled by the old"
    finally:
        os.close(fd)


def test_a_changing_source_is_only_ever_one_version(source, mounted):
    """Rewritten many times while it is read whole: each read gives one of the versions, or an error."""
    versions = {flat(value)[1] for value in range(0, 250, 50)}
    data = [flat(value)[0] for value in range(0, 250, 50)]
    replace(source / "a.png", data[0])
    mount = mounted(source)
    end, number = time.monotonic() + 3, 0
    while time.monotonic() < end:
        number += 1
        replace(source / "a.png", data[number % len(data)])
        for _ in range(3):
            try:
                assert read_all(mount.at("a.png", "pixels.f32")) in versions
            except OSError as error:
                assert error.errno in (errno.ESTALE, errno.EIO, errno.ENOENT)


def test_a_truncated_source_is_an_error_and_no_crash(source, mounted):
    data, _ = flat_exr(0x3800)
    (source / "a.exr").write_bytes(data)
    mount = mounted(source)
    fd = os.open(mount.at("a.exr", "pixels.f32"), os.O_RDONLY)
    try:
        os.truncate(source / "a.exr", len(data) // 2)
        assert errno_of(os.pread, fd, 4096, SIDE * SIDE * 12 - 4096) in (errno.EIO, errno.ESTALE)
    finally:
        os.close(fd)
    time.sleep(TIMEOUT + 0.1)
    assert errno_of(read_all, mount.at("a.exr", "pixels.f32")) == errno.EIO


def test_a_deleted_source_keeps_its_open_file(source, mounted):
    data, pixels = flat(77)
    (source / "a.png").write_bytes(data)
    mount = mounted(source)
    fd = os.open(mount.at("a.png", "pixels.f32"), os.O_RDONLY)
    try:
        os.unlink(source / "a.png")
        try:
            assert os.pread(fd, 4096, 100 * 4096) == pixels[100 * 4096 : 101 * 4096]
        except OSError as error:
            assert error.errno == errno.ESTALE
        assert wait_for(lambda: errno_of(os.stat, mount.at("a.png")) == errno.ENOENT, TIMEOUT + 1)
    finally:
        os.close(fd)
    assert os.listdir(mount.path) == []


def test_new_and_deleted_names_appear_within_the_timeout(source, mounted):
    mount = mounted(source)
    assert os.listdir(mount.path) == []
    assert errno_of(os.stat, mount.at("a.png")) == errno.ENOENT
    data, pixels = flat(5, 20)
    (source / "a.png").write_bytes(data)
    assert wait_for(lambda: os.listdir(mount.path) == ["a.png"], TIMEOUT + 1)
    assert wait_for(lambda: errno_of(os.stat, mount.at("a.png")) is None, TIMEOUT + 1)
    assert read_all(mount.at("a.png", "pixels.f32")) == pixels
    os.unlink(source / "a.png")
    assert wait_for(lambda: os.listdir(mount.path) == [], TIMEOUT + 1)


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_changes(source, mounted, change):
    (old_data, old), (new_data, new) = flat(10, 100), flat(20, 120)
    path = source / "a.zip"
    path.write_bytes(zip_of(Entry(b"a.png", old_data, DEFLATE), Entry(b"gone.txt", b"gone")))
    mount = mounted(source)
    assert read_all(mount.at("a.zip", "a.png", "pixels.f32")) == old
    CHANGES[change](path, zip_of(Entry(b"new.txt", b"new"), Entry(b"a.png", new_data, DEFLATE)))
    assert until_new(mount, "a.zip/a.png", new)
    assert wait_for(lambda: sorted(os.listdir(mount.at("a.zip"))) == ["a.png", "new.txt"], TIMEOUT + 1)
    assert mount.bytes("a.zip", "new.txt") == b"new"


def test_an_image_that_becomes_broken_and_whole_again(source, mounted):
    data, pixels = flat(30, 60)
    (source / "a.png").write_bytes(data)
    mount = mounted(source)
    assert read_all(mount.at("a.png", "pixels.f32")) == pixels
    replace(source / "a.png", data[: len(data) // 2])
    assert wait_for(lambda: errno_of(read_all, mount.at("a.png", "pixels.f32")), TIMEOUT + 1) in (errno.EIO, errno.ENOENT)
    replace(source / "a.png", data)
    assert until_new(mount, "a.png", pixels)


def test_an_image_that_becomes_a_directory(source, mounted):
    (source / "a.png").write_bytes(flat(1, 10)[0])
    mount = mounted(source)
    assert "pixels.f32" in os.listdir(mount.at("a.png"))
    os.unlink(source / "a.png")
    (source / "a.png").mkdir()
    (source / "a.png" / "x.txt").write_text("x")
    assert wait_for(lambda: os.listdir(mount.at("a.png")) == ["x.txt"], TIMEOUT + 1)


def test_immutable_still_reads_right(source, mounted):
    data, pixels = flat(9, 50)
    (source / "a.png").write_bytes(data)
    mount = mounted(source, "immutable")
    for _ in range(3):
        assert read_all(mount.at("a.png", "pixels.f32")) == pixels
        assert sorted(os.listdir(mount.at("a.png"))) == ["meta.json", "pixels.f32", "pixels.npy", "source.png", "views"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["image", "archive"])
def test_a_source_of_one_file_that_changes_shows_the_new_one(tmp_path, mounted, kind, change):
    (old, old_pixels), (new, new_pixels) = flat(10), flat(200)
    path = tmp_path / ("one.png" if kind == "image" else "one.zip")
    wrap = (lambda data: data) if kind == "image" else (lambda data: zip_of(Entry(b"a.png", data)))
    inside = () if kind == "image" else ("a.png",)
    path.write_bytes(wrap(old))
    mount = mounted(path)
    assert read_all(mount.at(*inside, "pixels.f32")) == old_pixels
    CHANGES[change](path, wrap(new))

    def is_new():
        try:
            return read_all(mount.at(*inside, "pixels.f32")) == new_pixels
        except OSError:
            return False
    assert wait_for(is_new, TIMEOUT + 1)
    path.unlink()
    assert wait_for(lambda: errno_of(os.stat, mount.at(*inside, "pixels.f32")) is not None, TIMEOUT + 1)


LARGE = 8192, 4096  # 64 MiB of half floats


def large_exr(value):
    width, height = LARGE
    part = Part([Channel("Y", HALF, {(0, 0): np.full((height, width), value, np.uint16)})], (0, 0, width - 1, height - 1), compression=NONE)
    return make_exr.exr(part), np.full(width, value, np.uint16).view(np.float16).astype("<f4").tobytes()


LAST_ROW = f"views/crop=0:{LARGE[1] - 1}:{LARGE[0]}:1.f32"
# file -> what wraps the image, and the array that its last row is seen in (None: the bytes themselves)
IN_PLACE = {"a.exr": (lambda data: data, LAST_ROW), "a.zip": (lambda data: zip_of(Entry(b"a.exr", data)), "a.exr/" + LAST_ROW), "a.bin": (lambda data: data, None)}


@pytest.mark.parametrize("name", IN_PLACE)
def test_one_write_over_all_of_it_leaves_nothing_old(source, mounted, name):
    """write() sets the times, then copies: whoever looks meanwhile finds old bytes under the new times, in a file of the same size."""
    wrap, array = IN_PLACE[name]
    versions = [(wrap(data), row if array else data[-4096:]) for data, row in (large_exr(0x3000), large_exr(0x3C00))]
    path = source / name
    path.write_bytes(versions[0][0])
    mount = mounted(source)
    shown = mount.at(name, *([array] if array else []))

    def seen():
        return read_all(shown) if array else read_range(shown, len(versions[0][0]) - 4096, 4096)
    for number in range(1, 9):
        (_, old), (data, new) = versions[(number + 1) % 2], versions[number % 2]
        assert wait_for(lambda old=old: seen() == old)
        time.sleep(TIMEOUT + 0.1)  # the kernel asks for names and attributes again
        before, fd, took = path.stat().st_ctime_ns, os.open(path, os.O_WRONLY), []

        def write(fd=fd, data=data, took=took):
            began = time.monotonic()
            os.pwrite(fd, data, 0)
            took.append(time.monotonic() - began)
        writer = threading.Thread(target=write)
        writer.start()
        while path.stat().st_ctime_ns == before:
            pass
        errno_of(seen)
        writer.join()
        os.close(fd)
        time.sleep(TIMEOUT + 0.1)
        if took[0] > 0.1:  # on a busy machine: longer than anyone waits for it
            os.utime(path)
            continue
        assert seen() == new, f"after a write of {took[0] * 1000:.0f} ms"
        return
    assert SLOW > 1, "no write was fast enough"
