"""Archives: every entry is reachable under a name of the tree or its refusal is reported; nothing escapes, nothing is lost."""
import calendar
import errno
import hashlib
import os
import stat
import struct
import subprocess
import time
import zlib

import numpy as np
import pytest

import fixtures
import make_exr_cases
import make_jpeg
import make_png
import make_zip
import pixmount
from case import pattern
from make_zip import DEFLATE, STORED, UTF8, Entry, words, zip_of
from pixmount import errno_of, read_all

NAMES, AWKWARD, REFUSED = make_zip.make_names(), make_zip.make_awkward(), make_zip.make_refused()


def files_below(top):
    """relative path -> bytes, of everything that can be found and read."""
    out = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            out[os.path.relpath(path, top)] = read_all(path)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_names_and_contents(fixture_mount, name):
    assert files_below(fixture_mount.at("zip", name)) == NAMES[name][1]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_lose_nothing_and_stay_inside(fixture_mount, name):
    found = files_below(fixture_mount.at("zip", name))
    assert sorted(found.values()) == sorted(AWKWARD[name][1]), found
    for path in found:
        for part in path.split("/"):
            assert part not in ("", ".", "..") and len(os.fsencode(part)) <= 255
            assert not any(ord(c) < 32 or ord(c) == 127 for c in part), path
            part.encode("utf-8")


def test_long_names_are_cut_before_the_extension(fixture_mount):
    names = [name for name in os.listdir(fixture_mount.at("zip", "long.zip")) if name.startswith("long")]
    assert len(names) == 2 and all(name.endswith(".txt") for name in names)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_entries_are_listed_and_fail_to_open(fixture_mount, name):
    _, bad, good = REFUSED[name]
    top = fixture_mount.at("zip", name)
    assert set(os.listdir(top)) == set(bad) | set(good)
    for entry in bad:
        code = errno_of(read_all, os.path.join(top, entry))
        assert code in ({"encrypted.zip": (errno.EACCES, errno.EPERM, errno.EOPNOTSUPP), "unknown_method.zip": (errno.EOPNOTSUPP,)}.get(name, (errno.EIO,))), entry
    for entry, data in good.items():
        assert read_all(os.path.join(top, entry)) == data


@pytest.mark.parametrize("name", ["encrypted.zip", "bad_crc.zip", "duplicates.zip", "overlap.zip", "absolute.zip", "dotdot.zip", "file_and_directory.zip"])
def test_odd_entries_are_reported(fixture_dir, mounted, name):
    mount = mounted(fixture_dir / "zip" / name)
    for path in [os.path.join(folder, file) for folder, _, files in os.walk(mount.path) for file in files]:
        errno_of(read_all, path)
    assert mount.errors(), "nothing in errors.jsonl"


def test_refusal_of_an_encrypted_entry_has_words(fixture_dir, mounted):
    mount = mounted(fixture_dir / "zip" / "encrypted.zip")
    assert errno_of(read_all, mount.at("secret.txt"))
    assert any("encrypt" in line["message"] and "secret.txt" in line["path"] for line in mount.errors())


def test_encoding_option_reads_shift_jis(source, mounted):
    data, files = make_zip.shift_jis()
    (source / "a.zip").write_bytes(data)
    assert files_below(mounted(source, "encoding=SHIFT_JIS").at("a.zip")) == files
    assert list(files_below(mounted(source, "encoding=cp437").at("a.zip")).values()) == list(files.values())


ENCODED = {
    "cp932": ("SHIFT_JIS", ["写真/京都旅行.txt", "写真/東京タワー.txt", "表示ソ.txt"]),
    "gbk": ("GB18030", ["新建文件夹/照片.txt", "北京/长城.txt", "说明.txt"]),
    "cp866": ("IBM866", ["Новая папка/фото.txt", "Москва/вид.txt"]),
    "cp949": ("UHC", ["새 폴더/사진.txt", "서울/풍경.txt", "설명.txt"]),
    "iso8859-1": ("WINDOWS-1252", ["été/forêt.txt", "école.txt", "Noël à la plage.txt"]),
    "cp437": ("CP437", ["Müller/Größe.txt", "été.txt"]),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_names_by_other_systems(source, mounted, encoding):
    told, names = ENCODED[encoding]
    files = {name: words(name) for name in names}
    plain = [Entry(b"plain.txt", words("plain")), Entry("ß.txt".encode(), words("flagged"), flags=UTF8)]
    (source / "a.zip").write_bytes(zip_of(*plain, *(Entry(name.encode(encoding), data) for name, data in files.items())))
    (source / "plain.zip").write_bytes(zip_of(*plain))
    files |= {"plain.txt": words("plain"), "ß.txt": words("flagged")}
    mount = mounted(source)
    assert files_below(mount.at("a.zip")) == files
    assert os.getxattr(mount.at("a.zip"), "user.pixfs.encoding") == told.encode()
    assert [line["errno"] for line in mount.errors() if line["path"] == "a.zip" and told in line["message"]] == ["0"]
    assert set(os.listdir(mount.at("plain.zip"))) == {"plain.txt", "ß.txt"} and not os.listxattr(mount.at("plain.zip"))
    assert mount.json(".pixfs/config.json")["encoding"] == "auto"
    assert files_below(mounted(source, f"encoding={encoding}").at("a.zip")) == files


def test_an_encoding_that_nobody_knows_is_an_error_at_the_start(source, tmp_path):
    (tmp_path / "mnt").mkdir()
    ended = subprocess.run([pixmount.BIN, str(source), str(tmp_path / "mnt"), "-o", "encoding=klingon"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "encoding=klingon" in ended.stderr and "iconv" in ended.stderr


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_archives_in_archives(source, mounted, levels):
    (source / "level1.zip").write_bytes(make_zip.nested(levels))
    path = "/".join(f"level{n}.zip" for n in range(1, levels + 1))
    assert mounted(source).bytes(path, "bottom.txt") == b"bottom\n"


def test_nesting_is_limited_to_eight(source, mounted):
    (source / "level1.zip").write_bytes(make_zip.nested(10))
    mount = mounted(source)
    depth = max(path.count(".zip") for path, _, _ in os.walk(mount.path))
    assert depth <= 9
    assert errno_of(read_all, mount.at(*(f"level{n}.zip" for n in range(1, 11)), "bottom.txt"))


def test_an_archive_of_itself_is_finite(source, mounted):
    (source / "a.zip").write_bytes(zip_of(Entry(b"b.zip", zip_of(Entry(b"c.zip", zip_of())))))
    assert len([d for d, _, _ in os.walk(mounted(source).path)]) == 4


def images():
    exr = {c.name: c for c in make_exr_cases.make_all()}
    stored = pattern(64, 80, 4, 16)
    return {"a.png": make_png.png(stored, make_png.RGBA, 16), "dir/b.jpg": make_jpeg.encode(make_jpeg.photograph(50, 70)),
            "c.exr": exr["zip_half.exr"].data, "d/e/f.exr": exr["zip_tiled.exr"].data, "passes.exr": exr["passes.exr"].data, "mip.exr": exr["mip_down.exr"].data}


@pytest.mark.parametrize("method", make_zip.METHODS)
def test_images_in_archives_equal_images_on_disk(source, mounted, method):
    fixtures.write_files(source, images())
    entries = [Entry(name.encode(), data, method) for name, data in images().items()]
    (source / "a.zip").write_bytes(zip_of(*entries))
    (source / "b.zip").write_bytes(zip_of(Entry(b"inner.zip", zip_of(*entries), DEFLATE)))
    mount = mounted(source)
    for inside in ("a.zip", "b.zip/inner.zip"):
        for name in images():
            below, outside = files_below(mount.at(inside, name)), files_below(mount.at(name))
            assert set(below) == set(outside)
            assert {n for n in below if below[n] != outside[n] and not n.endswith("meta.json")} == set()
            assert np.array_equal(np.load(mount.at(inside, name, "pixels.npy"), mmap_mode="r"), np.load(mount.at(name, "pixels.npy")), equal_nan=True)


def test_meta_of_an_entry_names_the_archive(source, mounted):
    (source / "a.zip").write_bytes(zip_of(Entry(b"dir/a.png", images()["a.png"], DEFLATE)))
    told = mounted(source).json("a.zip", "dir", "a.png", "meta.json")["source"]
    assert told["path"] == "a.zip/dir/a.png" and told["archive"] == "a.zip" and told["size"] == len(images()["a.png"])
    assert told["crc32"] in (zlib.crc32(images()["a.png"]), f"{zlib.crc32(images()['a.png']):08x}")


def test_attributes_of_entries(source, mounted):
    fixtures.archive_of({"dir/a.txt": b"text"}, source / "a.zip")
    mount = mounted(source)
    info = os.stat(mount.at("a.zip", "dir", "a.txt"))
    assert stat.S_IMODE(info.st_mode) == 0o444 and info.st_size == 4
    local = time.mktime((2024, 2, 29, 12, 30, 58, 0, 0, -1))
    assert info.st_mtime in (local, calendar.timegm((2024, 2, 29, 12, 30, 58, 0, 0, 0)))


def test_symlinks_in_archives_stay_inside(source, mounted):
    link = stat.S_IFLNK | 0o777
    (source / "a.zip").write_bytes(zip_of(Entry(b"dir/real.txt", b"real"), Entry(b"dir/link", b"real.txt", mode=link), Entry(b"out", b"../../../etc/passwd", mode=link),
                                          Entry(b"abs", b"/etc/passwd", mode=link)))
    mount = mounted(source)
    assert read_all(mount.at("a.zip", "dir", "link")) == b"real"
    for name, target in (("out", "../../../etc/passwd"), ("abs", "/etc/passwd")):
        path = mount.at("a.zip", name)  # shown as what it says, link or text: never as what lies there
        assert (os.readlink(path) if os.path.islink(path) else read_all(path).decode()) == target


def big_file():
    """8 MB that a block of 64 KiB identifies by its own first bytes."""
    return b"".join(n.to_bytes(8, "big") + hashlib.sha256(n.to_bytes(8, "big")).digest() * 2 + bytes(440) for n in range(1 << 14))


@pytest.mark.parametrize("method", make_zip.METHODS)
def test_large_plain_files_read_forwards_and_from_the_middle(source, mounted, method):
    data = big_file()
    (source / "a.zip").write_bytes(zip_of(Entry(b"big.bin", data, method)))
    mount = mounted(source)
    fd = os.open(mount.at("a.zip", "big.bin"), os.O_RDONLY)
    try:
        assert os.fstat(fd).st_size == len(data)
        for offset in (len(data) // 2, len(data) - 100, 12345, len(data) - 100000, 0, len(data) // 3):
            assert os.pread(fd, 70000, offset) == data[offset : offset + 70000], offset
        assert os.pread(fd, 10, len(data)) == b""
    finally:
        os.close(fd)
    assert hashlib.sha256(read_all(mount.at("a.zip", "big.bin"))).digest() == hashlib.sha256(data).digest()


def test_max_entry_limits_what_an_entry_yields(source, mounted):
    (source / "a.zip").write_bytes(zip_of(Entry(b"big.bin", bytes(3 << 20), DEFLATE), Entry(b"ok.bin", bytes(1 << 20), DEFLATE)))
    mount = mounted(source, "max_entry=2000000")
    assert errno_of(read_all, mount.at("a.zip", "big.bin")) == errno.EFBIG
    assert len(read_all(mount.at("a.zip", "ok.bin"))) == 1 << 20


@pytest.mark.parametrize("name", make_zip.make_broken())
def test_broken_archives_are_reported_and_harm_nobody(source, mounted, name):
    (source / name).write_bytes(make_zip.make_broken()[name])
    (source / "good.txt").write_text("good")
    mount = mounted(source)
    assert set(os.listdir(mount.path)) == {name, "good.txt"}
    try:
        shown = os.listdir(mount.at(name))
    except OSError as error:
        assert error.errno == errno.EIO
    else:
        assert "error.txt" in shown or name == "directory_outside.zip", shown
    assert any(name in line["path"] for line in mount.errors())
    assert mount.bytes("good.txt") == b"good"


def test_listing_a_folder_of_archives_opens_none(source, mounted):
    for number in range(20):
        (source / f"{number}.zip").write_bytes(zip_of(Entry(b"x.txt", b"x")))
    mount = mounted(source)
    before = mount.stats()
    assert len(list(os.scandir(mount.path))) == 20
    after = mount.stats()
    assert after["bytes_read"] == before["bytes_read"] and after["opens"] == before["opens"]


def test_a_directory_is_listed_with_its_attributes_in_one_piece(source, mounted):
    """st_blksize is the room that a directory's listing with attributes takes, so that who stats all of it (find, ls -l) makes no
    request for each name. Kernels before 6.16 ask in pieces of a page, whatever the program does."""
    entries = [Entry(b"many/photograph_%05d.png" % i, b"") for i in range(1200)] + [Entry(b"few/%d.png" % i, b"") for i in range(20)]
    (source / "a.zip").write_bytes(zip_of(*entries))
    mount = mounted(source)
    assert os.stat(mount.at("a.zip", "few")).st_blksize == 128 << 10
    assert os.stat(mount.at("a.zip", "many")).st_blksize == 256 << 10
    assert os.stat(mount.at("a.zip")).st_blksize == 256 << 10
    before = mount.stats()
    assert len(os.listdir(mount.at("a.zip", "many"))) == 1200
    after = mount.stats()
    assert after["opens"] == before["opens"] and after["bytes_read"] == before["bytes_read"]
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 16):
        assert after["nodes"] - before["nodes"] >= 1200


APPLE_DOUBLE = bytes.fromhex("00051607 00020000") + b"Mac OS X        " + bytes.fromhex("0002 00000009 00000032 00000046 00000002 00000078 00000000") + bytes(70)


def test_companions_by_macos_are_plain_files(source, mounted):
    """AppleDouble (RFC 1740) has the name of the file that it belongs to behind "._"."""
    stored = pattern(4, 5, 3, 8)
    picture, inner = make_png.png(stored, make_png.RGB, 8), zip_of(Entry(b"t.txt", b"text"))
    files = {"cat/a.png": picture, "cat/._a.png": APPLE_DOUBLE, "cat/._more.exr": APPLE_DOUBLE, "more.zip": inner, "._more.zip": APPLE_DOUBLE}
    fixtures.write_files(source / "disk", files)
    beside = [("__MACOSX/" if "._" in name else "") + name for name in files]
    (source / "mac.zip").write_bytes(zip_of(*(Entry(name.encode(), data) for name, data in zip(beside, files.values()))))
    mount = mounted(source)
    for top, names in (("disk", list(files)), ("mac.zip", beside)):
        for name in names:
            assert os.path.isdir(mount.at(top, name)) == ("._" not in name), (top, name)
            if "._" in name:
                assert read_all(mount.at(top, name)) == APPLE_DOUBLE
        array = np.load(mount.at(top, ".pixfs/stack/recursive,rgb,u8.npy"), mmap_mode="r")
        assert np.array_equal(array, stored[None])
    checked = subprocess.run([pixmount.BIN, "check", str(source)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and checked.stdout == "", checked.stdout


def test_an_archive_of_more_than_4_gib_by_macos(source, mounted):
    """macOS writes no zip64: all numbers are modulo 2^32. The files are holes, so it takes no room."""
    stored = pattern(4, 5, 3, 8)
    picture, hole, at, central = make_png.png(stored, make_png.RGB, 8), 5 << 30, 0, b""
    with open(source / "mac.zip", "wb") as file:
        for name, data, zeros in ((b"a.png", picture, 0), (b"hole", b"", hole), (b"b.png", picture, 0)):
            entry = Entry(name, data, mode=stat.S_IFREG | 0o644)
            size = (len(data) + zeros) & 0xFFFFFFFF
            file.seek(at)
            file.write(make_zip.local_header(entry, data, zlib.crc32(data), size) + data)
            record = make_zip.central_header(entry, data, zlib.crc32(data), size, at & 0xFFFFFFFF)
            central += record[:20] + struct.pack("<I", size) + record[24:]
            at += 30 + len(name) + len(data) + zeros
        file.seek(at)
        file.write(central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 3, 3, len(central), at & 0xFFFFFFFF, 0))
    mount = mounted(source)
    for name in ("a.png", "b.png"):
        assert np.array_equal(np.load(mount.at("mac.zip", name, "views/native.npy")), stored)
    assert os.stat(mount.at("mac.zip/hole")).st_size == hole
    assert [line["message"] for line in mount.errors() if "4 GiB" in line["message"]]
