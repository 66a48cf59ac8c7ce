"""Archives in several files: read where all lie beside each other, an error that names the one that is missing, one version of all."""
import errno
import os
import random
import shutil
import subprocess

import numpy as np
import pytest

import make_png
import pixmount
from case import pattern
from make_zip import DEFLATE, Entry, zip_of
from pixmount import errno_of, read_all, wait_for

IMAGES = {f"{name}.png": pattern(90, 110, 3, 8, seed) for seed, name in enumerate("abc")}
PIECE = 17000


def encode(stored):
    return make_png.png(stored, make_png.RGB, 8)


def whole(images=None, method=DEFLATE):
    return zip_of(*(Entry(name.encode(), encode(stored), method) for name, stored in (images or IMAGES).items()))


def cut_into_pieces(folder, data, name="set.zip", size=PIECE):
    """As 7-Zip and split(1) do it."""
    folder.mkdir(exist_ok=True)
    for number, at in enumerate(range(0, len(data), size), 1):
        (folder / f"{name}.{number:03}").write_bytes(data[at : at + size])


def split_by_info_zip(folder, size="64k", name="set.zip"):
    """8.5: volumes by an independent writer, which counts offsets from the start of each."""
    folder.mkdir(exist_ok=True)
    inside = folder / "inside"
    inside.mkdir()
    for file, stored in IMAGES.items():
        (inside / file).write_bytes(encode(stored))
    (inside / "noise.bin").write_bytes(random.Random(1).randbytes(120000))
    subprocess.run(["zip", "-q", "-r", "-s", size, os.path.abspath(folder / name), "."], cwd=inside, check=True)
    shutil.rmtree(inside)


def assert_images(mount, archive):
    assert set(IMAGES) <= set(os.listdir(mount.at(archive)))
    for name, stored in IMAGES.items():
        assert np.array_equal(np.load(mount.at(archive, name, "views", "native.npy")), stored), name


def words_of(mount, path):
    return read_all(mount.at(path, "error.txt")).decode()


def test_pieces_are_one_archive(source, mounted):
    cut_into_pieces(source / "set", whole())
    count = len(os.listdir(source / "set"))
    assert count > 3
    mount = mounted(source)
    assert_images(mount, "set/set.zip.001")
    for number in range(2, count + 1):
        assert read_all(mount.at("set", f"set.zip.{number:03}")) == (source / "set" / f"set.zip.{number:03}").read_bytes()
    checked = subprocess.run([pixmount.BIN, "check", str(source)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and checked.stdout == ""


def test_one_piece_is_a_whole_archive(source, mounted):
    (source / "one.zip.001").write_bytes(whole())
    assert_images(mounted(source), "one.zip.001")


@pytest.mark.skipif(not shutil.which("zip"), reason="needs Info-ZIP's zip")
def test_volumes_by_info_zip(source, mounted):
    split_by_info_zip(source / "set")
    parts = sorted(os.listdir(source / "set"))
    assert parts[0] == "set.z01" and parts[-1] == "set.zip" and len(parts) >= 3
    (source / "joined.zip").write_bytes(b"".join((source / "set" / part).read_bytes() for part in parts))
    for part in parts:
        os.link(source / "set" / part, source / part.upper())
    mount = mounted(source)
    assert_images(mount, "set/set.zip")
    assert read_all(mount.at("set/set.zip/noise.bin")) == random.Random(1).randbytes(120000)
    assert os.path.isfile(mount.at("set", "set.z01"))
    assert_images(mount, "joined.zip")
    assert_images(mount, "SET.ZIP")
    assert not [line for line in mount.errors() if line["path"].startswith("set/")]


@pytest.mark.skipif(not shutil.which("zip"), reason="needs Info-ZIP's zip")
def test_an_archive_in_volumes_as_the_source(source, mounted):
    split_by_info_zip(source)
    cut_into_pieces(source, whole(), "pieces.zip")
    assert_images(mounted(source / "set.zip"), "")
    assert_images(mounted(source / "pieces.zip.001"), "")


def test_volumes_within_an_archive(source, mounted):
    cut_into_pieces(source / "set", whole())
    parts = sorted(os.listdir(source / "set"))
    entries = [Entry(b"in/" + part.encode(), (source / "set" / part).read_bytes(), DEFLATE) for part in parts]
    (source / "outer.zip").write_bytes(zip_of(*entries))
    (source / "lacks.zip").write_bytes(zip_of(*(entries[:1] + entries[2:])))
    mount = mounted(source)
    assert_images(mount, "outer.zip/in/set.zip.001")
    assert "set.zip.002 is missing" in words_of(mount, "lacks.zip/in/set.zip.001")


def test_the_missing_piece_is_named(source, mounted):
    data = whole()
    for name, missing in (("middle", "set.zip.002"), ("end", "set.zip.004")):
        cut_into_pieces(source / name, data, size=len(data) // 4 + 1)
        os.unlink(source / name / missing)
    mount = mounted(source)
    for name, missing in (("middle", "set.zip.002"), ("end", "set.zip.004")):
        assert f"{missing} is missing" in words_of(mount, f"{name}/set.zip.001")
        assert any(f"{missing} is missing" in line["message"] and line["path"] == f"{name}/set.zip.001" for line in mount.errors())
    shutil.copy(source / "end" / "set.zip.002", source / "middle" / "set.zip.002")
    assert wait_for(lambda: "a.png" in os.listdir(mount.at("middle", "set.zip.001")), 3)
    assert_images(mount, "middle/set.zip.001")


@pytest.mark.skipif(not shutil.which("zip"), reason="needs Info-ZIP's zip")
@pytest.mark.parametrize("missing", ["set.z01", "set.z02"])
def test_the_missing_volume_is_named(source, mounted, missing):
    split_by_info_zip(source / "set")
    os.unlink(source / "set" / missing)
    mount = mounted(source)
    assert f"{missing} is missing" in words_of(mount, "set/set.zip")
    checked = subprocess.run([pixmount.BIN, "check", str(source)], capture_output=True, text=True, check=False)
    assert checked.returncode == 1 and f"{missing} is missing" in checked.stdout


def test_a_piece_outside_the_source_is_not_read(source, mounted, tmp_path):
    cut_into_pieces(tmp_path / "elsewhere", whole())
    (source / "set").mkdir()
    for part in sorted(os.listdir(tmp_path / "elsewhere")):
        if part.endswith("002"):
            os.symlink(tmp_path / "elsewhere" / part, source / "set" / part)
        else:
            shutil.copy(tmp_path / "elsewhere" / part, source / "set" / part)
    assert "set.zip.002 is missing" in words_of(mounted(source), "set/set.zip.001")
    assert_images(mounted(source, "follow_symlinks"), "set/set.zip.001")


def test_a_changed_piece_is_a_changed_archive(source, mounted):
    cut_into_pieces(source / "set", whole())
    other = {name: 255 - stored for name, stored in IMAGES.items()}
    mount = mounted(source)
    assert_images(mount, "set/set.zip.001")
    kept = os.open(mount.at("set/set.zip.001/c.png/source.png"), os.O_RDONLY)
    cut_into_pieces(source / "new", whole(other))
    for part in sorted(os.listdir(source / "new")):
        if not part.endswith(".001"):  # of which every byte is read from now on
            os.rename(source / "new" / part, source / "set" / part)
    first = (source / "new" / "set.zip.001").read_bytes()
    with open(source / "set" / "set.zip.001", "r+b") as file:
        file.write(first)
    try:  # of the version that was opened, or none
        assert os.pread(kept, 1 << 20, 0) == encode(IMAGES["c.png"])
    except OSError as stale:
        assert stale.errno == errno.ESTALE
    finally:
        os.close(kept)

    def is_new():
        try:
            return all(np.array_equal(np.load(mount.at("set/set.zip.001", name, "views/native.npy")), stored) for name, stored in other.items())
        except (OSError, ValueError):
            return False
    assert wait_for(is_new, 4)


def test_only_another_piece_changes(source, mounted):
    """The file that has the archive's name stays as it is: all of the change is in its last piece."""
    stored = {"a.png": IMAGES["a.png"], "b.png": IMAGES["b.png"]}
    data = whole(stored)
    changed = whole({"a.png": IMAGES["a.png"], "b.png": IMAGES["c.png"]})
    at = data.index(b"b.png")
    assert data[: at - 30] == changed[: at - 30]
    cut_into_pieces(source, data, size=at - 30)
    mount = mounted(source)
    assert np.array_equal(np.load(mount.at("set.zip.001/b.png/views/native.npy")), IMAGES["b.png"])
    for number, start in enumerate(range(at - 30, max(len(data), len(changed)), at - 30), 2):
        piece = source / f"set.zip.{number:03}"
        if changed[start : start + at - 30]:
            piece.write_bytes(changed[start : start + at - 30])
        elif piece.exists():
            piece.unlink()

    def is_new():
        try:
            return np.array_equal(np.load(mount.at("set.zip.001/b.png/views/native.npy")), IMAGES["c.png"])
        except (OSError, ValueError):
            return False
    assert wait_for(is_new, 4)
    assert np.array_equal(np.load(mount.at("set.zip.001/a.png/views/native.npy")), IMAGES["a.png"])


def test_a_piece_that_vanishes_is_an_error(source, mounted):
    cut_into_pieces(source, whole())
    mount = mounted(source)
    assert sorted(os.listdir(mount.at("set.zip.001"))) == sorted(IMAGES)
    os.unlink(source / "set.zip.002")
    codes = {errno_of(read_all, mount.at("set.zip.001", name, "source.png")) for name in IMAGES}
    assert codes <= {None, errno.ESTALE, errno.EIO, errno.ENOENT} and codes != {None}, codes
    assert wait_for(lambda: os.listdir(mount.at("set.zip.001")) == ["error.txt", "source.001"] or "error.txt" in os.listdir(mount.at("set.zip.001")), 4)
    assert "set.zip.002 is missing" in words_of(mount, "set.zip.001")
