"""Damage is an error at open or read, with words; never zeros, never a short read; the mount lives on (section 7)."""
import errno
import os

import numpy as np
import pytest

import fixtures
import make_exr
import make_exr_cases
import make_exr_other
import make_jpeg
import make_png
from case import pattern
from make_zip import DEFLATE, Entry, zip_of
from pixmount import errno_of, open_errno, read_all, read_range

DAMAGED = fixtures.damaged_files()


@pytest.fixture
def good(source):
    """A valid image beside the damaged one; its pixels as bytes."""
    stored = pattern(8, 8, 3, 8, 99)
    (source / "good.png").write_bytes(make_png.png(stored, make_png.RGB, 8))
    return (stored.astype(np.float32) / np.float32(255)).tobytes()


def read_arrays(mount, name):
    return {file: errno_of(read_all, mount.at(name, file)) for file in ("pixels.f32", "pixels.npy")}


def words_about(mount, name):
    """What errors.jsonl and the extended attribute say of an image."""
    told = [line["message"] for line in mount.errors() if name in line["path"]]
    try:
        told.append(os.getxattr(mount.at(name, "pixels.f32"), "user.pixfs.error").decode())
    except OSError:
        pass
    return " ".join(told)


@pytest.mark.parametrize("where", ["disk", "zip"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_an_error(source, mounted, good, name, where):
    place = (name,) if where == "disk" else ("a.zip", name)
    if where == "disk":
        (source / name).write_bytes(DAMAGED[name])
    else:
        (source / "a.zip").write_bytes(zip_of(Entry(name.encode(), DAMAGED[name], DEFLATE)))
    mount = mounted(source)
    shown = os.path.join(*place)
    codes = set(read_arrays(mount, shown).values())
    assert codes <= {errno.EIO, errno.EFBIG, errno.ENOENT} and codes, codes
    if errno.ENOENT in codes:
        assert "error.txt" in os.listdir(mount.at(shown))
    assert codes == set(read_arrays(mount, shown).values()), "the same again"
    assert mount.bytes(shown, "source" + os.path.splitext(name)[1]) == DAMAGED[name]
    assert mount.json(shown, "meta.json")["pixfs"] == 1
    assert mount.bytes("good.png", "pixels.f32") == good, "the mount lives on"


@pytest.mark.parametrize("name", ["truncated.png", "bad_idat_crc.png", "flipped_bit.png", "truncated.exr", "negative_size.exr", "wrong_row.exr", "truncated.jpg", "truncated_progressive.jpg"])
def test_what_is_cheap_to_check_fails_at_open(source, mounted, name):
    (source / name).write_bytes(DAMAGED[name])
    mount = mounted(source)
    assert open_errno(mount.at(name, "pixels.f32")) == errno.EIO
    with pytest.raises(OSError):
        np.fromfile(mount.at(name, "pixels.f32"), "<f4")


@pytest.mark.parametrize("name", ["truncated.png", "truncated.exr", "truncated.jpg"])
def test_words_are_everywhere(source, mounted, name):
    """user.pixfs.error, errors.jsonl and the log name what happened, and where."""
    (source / "sub").mkdir()
    (source / "sub" / name).write_bytes(DAMAGED[name])
    mount = mounted(source)
    path = mount.at("sub", name, "pixels.f32")
    assert errno_of(read_all, path) == errno.EIO
    words = os.getxattr(path, "user.pixfs.error").decode()
    assert len(words) > 10
    lines = [line for line in mount.errors() if f"sub/{name}" in line["path"]]
    assert lines and set(lines[-1]) >= {"time", "path", "errno", "stage", "message"}
    assert lines[-1]["errno"] in (errno.EIO, -errno.EIO, "EIO") and lines[-1]["message"]
    assert f"sub/{name}" in mount.log()
    assert mount.stats()["errors"] >= 1


def test_damage_in_the_middle_leaves_no_zeros_and_no_short_read(source, mounted):
    """verify=off: rows before the damage may come, rows behind it may not."""
    stored = pattern(400, 300, 3, 8, 5)
    data = make_png.png(stored, make_png.RGB, 8, pieces=50)
    broken = bytearray(data)
    broken[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    (source / "a.png").write_bytes(broken)
    mount = mounted(source, "verify=off")
    path, row = mount.at("a.png", "pixels.f32"), 300 * 12
    wanted = stored.astype(np.float32) / np.float32(255)
    fd = os.open(path, os.O_RDONLY)
    try:
        failed = 0
        for number in range(0, 400, 9):
            try:
                assert os.pread(fd, row, number * row) == wanted[number].tobytes(), number
            except OSError as error:
                assert error.errno == errno.EIO
                failed += 1
        assert failed
    finally:
        os.close(fd)
    assert errno_of(read_all, path) == errno.EIO


def test_damage_found_by_reading_fails_every_later_open(source, mounted):
    """Contents that only decoding proves wrong: EIO from that read, then from open."""
    plane = np.arange(400 * 300, dtype=np.uint32).reshape(300, 400) // 7
    data = bytearray(make_exr.exr(make_exr.Part([make_exr.Channel("Y", make_exr.FLOAT, {(0, 0): plane})], (0, 0, 399, 299), compression=make_exr.ZIP)))
    data[-60:-20] = bytes(40)
    (source / "a.exr").write_bytes(data)
    mount = mounted(source)
    path = mount.at("a.exr", "pixels.f32")
    assert open_errno(path) is None
    assert errno_of(read_all, path) == errno.EIO
    assert open_errno(path) == errno.EIO


def test_what_decodes_to_little_is_decoded_at_open(source, mounted):
    """So numpy, which overlooks errors of reads, gets them from open."""
    (source / "a.exr").write_bytes(DAMAGED["bad_zlib.exr"])
    (source / "b.png").write_bytes(DAMAGED["rows_missing.png"])
    (source / "c.png").write_bytes(DAMAGED["bad_filter.png"])
    mount = mounted(source)
    for name in ("a.exr", "b.png", "c.png"):
        assert open_errno(mount.at(name, "pixels.f32")) == errno.EIO, name
        with pytest.raises(OSError):
            np.fromfile(mount.at(name, "pixels.f32"), "<f4")


def test_verify_full_decodes_everything_at_open(source, mounted):
    (source / "a.exr").write_bytes(DAMAGED["bad_zlib.exr"])
    (source / "b.png").write_bytes(DAMAGED["rows_missing.png"])
    mount = mounted(source, "verify=full")
    for name in ("a.exr", "b.png"):
        assert open_errno(mount.at(name, "pixels.f32")) == errno.EIO, name


def test_verify_off_opens_what_only_decoding_refuses(source, mounted):
    (source / "a.png").write_bytes(DAMAGED["bad_idat_crc.png"])
    mount = mounted(source, "verify=off")
    os.close(os.open(mount.at("a.png", "pixels.f32"), os.O_RDONLY))
    assert errno_of(os.getxattr, mount.at("a.png", "pixels.f32"), "user.pixfs.shape") is None


def test_deep_pixels_are_eopnotsupp(source, mounted):
    case = make_exr_other.make_deep()
    if case is None:
        pytest.skip("needs OpenImageIO")
    (source / case.name).write_bytes(case.data)
    mount = mounted(source)
    listed = os.listdir(mount.at(case.name))
    assert errno_of(read_all, mount.at(case.name, "pixels.f32")) == errno.EOPNOTSUPP
    assert "meta.json" in listed
    assert "deep" in words_about(mount, case.name).lower()


@pytest.mark.parametrize("start, words", [
    (b"RIFF\x24\0\0\0WEBPVP8L" + bytes(28), "WebP"), (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"), (b"404: Not Found", "text file")])
def test_another_format_under_an_images_name_is_eopnotsupp(source, mounted, start, words):
    """It is no damage: the words name what it is. The same in an archive."""
    fixtures.write_files(source, {"a.jpg": start, "b.zip": zip_of(Entry(b"a.png", start, DEFLATE))})
    mount = mounted(source)
    for path in (("a.jpg",), ("b.zip", "a.png")):
        assert errno_of(read_all, mount.at(*path, "pixels.f32")) == errno.EOPNOTSUPP
        assert words in mount.bytes(*path, "error.txt").decode()
        assert mount.json(*path, "meta.json")["error"]["errno"] == "EOPNOTSUPP"


@pytest.mark.parametrize("data, words", [(b"", "empty"), (bytes(700), "zeros"), (b"\1\2\3\4", "01 02 03 04")])
def test_what_is_nothing_is_damage(source, mounted, data, words):
    (source / "a.jpg").write_bytes(data)
    mount = mounted(source)
    assert errno_of(read_all, mount.at("a.jpg", "pixels.f32")) == errno.EIO
    assert words in mount.bytes("a.jpg", "error.txt").decode()


def test_max_pixels_is_efbig(source, mounted, good):
    (source / "big.png").write_bytes(make_png.png(pattern(20, 20, 1, 8), 0, 8))
    mount = mounted(source, "max_pixels=100")
    assert errno_of(read_all, mount.at("big.png", "pixels.f32")) == errno.EFBIG
    assert mount.bytes("good.png", "pixels.f32") == good


def test_a_header_that_promises_too_much_is_refused_at_once(source, mounted):
    """2^31-1 squared pixels in 100 bytes: nothing of that size is allocated or read."""
    data = make_png.SIGNATURE + make_png.ihdr(0x7FFFFFFF, 0x7FFFFFFF, 16, 6) + make_png.chunk(b"IDAT", b"x") + make_png.chunk(b"IEND")
    (source / "bomb.png").write_bytes(data)
    mount = mounted(source)
    assert errno_of(read_all, mount.at("bomb.png", "pixels.f32")) in (errno.EFBIG, errno.EIO)


def test_unreadable_sources_are_their_own_error(source, mounted, good):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (source / "a.png").write_bytes(make_png.png(pattern(2, 2, 1, 8), 0, 8))
    os.chmod(source / "a.png", 0)
    mount = mounted(source)
    assert errno_of(read_all, mount.at("a.png", "pixels.f32")) == errno.EACCES
    assert mount.bytes("good.png", "pixels.f32") == good


def test_impossible_views_are_einval_and_unknown_ones_enoent(source, mounted, good):
    mount = mounted(source)
    assert errno_of(read_all, mount.at("good.png", "views", "nonsense.f32")) == errno.ENOENT
    assert errno_of(read_all, mount.at("good.png", "views", "linear.f32")) == errno.EINVAL, "its transfer is unknown"


def test_many_damaged_files_at_once(source, mounted, good):
    fixtures.write_files(source, DAMAGED)
    mount = mounted(source)
    for name in DAMAGED:
        for file in os.listdir(mount.at(name)):
            errno_of(read_all, mount.at(name, file))
    assert mount.bytes("good.png", "pixels.f32") == good


def test_errors_are_a_bounded_ring(source, mounted):
    (source / "a.png").write_bytes(DAMAGED["truncated.png"])
    mount = mounted(source)
    for _ in range(3000):
        open_errno(mount.at("a.png", "pixels.f32"))
    lines = mount.errors()
    assert 1 <= len(lines) <= 3000 and len(mount.bytes(".pixfs", "errors.jsonl")) < 2 << 20


def test_a_read_past_the_end_is_empty(source, mounted, good):
    path = mounted(source).at("good.png", "pixels.f32")
    assert read_range(path, len(good), 100) == b"" and read_range(path, len(good) - 10, 100) == good[-10:]


@pytest.mark.parametrize("name", ["truncated.exr", "truncated.jpg"])
def test_every_length_of_a_cut_file_is_handled(source, mounted, name):
    whole = {"truncated.exr": make_exr_cases.make_damaged, "truncated.jpg": lambda: {"truncated.jpg": make_jpeg.encode(make_jpeg.photograph(24, 24))}}[name]()[name]
    kind = name.rsplit(".")[-1]
    lengths = sorted({int(n) for n in np.linspace(0, len(whole) - 3, 60)})
    for length in lengths:
        (source / f"{length}.{kind}").write_bytes(whole[:length])
    mount = mounted(source)
    for length in lengths:
        assert set(read_arrays(mount, f"{length}.{kind}").values()) <= {errno.EIO, errno.ENOENT, errno.EFBIG}, length
