"""SOURCE that goes away, comes back, doesn't answer, holds its own mountpoint: status answers, nobody waits for himself (sections 6,
8 and 10)."""
import errno
import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

import fixtures
import make_png
from case import pattern
from pixmount import BIN, SLOW, Mount, errno_of, is_mounted, read_all, wait_for

STORED = pattern(4, 5, 3, 8)
IMAGE = make_png.png(STORED, make_png.RGB, 8)
PIXELS = (STORED.astype("f4") / STORED.astype("f4").dtype.type(255)).tobytes()
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts in a namespace of its own")


@pytest.fixture
def images(source):
    fixtures.write_files(source, {"a.png": IMAGE, "sub/b.png": IMAGE, "sub/plain.txt": b"text"})
    return source


def call(*words, seconds=20, **more):
    """What a program says, which must end in time: nobody may hang."""
    return subprocess.run([str(word) for word in words], capture_output=True, timeout=seconds * SLOW, check=False, stdin=subprocess.DEVNULL, **more)


def status_answers(mount):
    done = call("cat", mount.at(".pixfs", "stats.json"), mount.at(".pixfs", "errors.jsonl"), seconds=5)
    return done.returncode == 0 and b"opens" in done.stdout and call("ls", mount.at(".pixfs"), seconds=5).returncode == 0


# ---- the mountpoint inside SOURCE ----

class InsideMount(Mount):
    """Mounted on a directory of its own source."""

    def __init__(self, source, folder, name="mnt", options=""):
        super().__init__(source, folder, options)
        self.path = os.path.join(str(source), name)


@pytest.mark.parametrize("options", ["", "follow_symlinks"])
def test_the_own_mountpoint_is_an_empty_directory(images, tmp_path, options):
    for name, target in (("relative", "mnt"), ("absolute", images / "mnt"), ("below", "mnt/a.png"), ("loop", "mnt/loop"), ("sub/up", "../mnt/sub")):
        (images / name).symlink_to(target)
    mount = InsideMount(images, tmp_path, options=options)
    with mount:
        found = call("find", mount.path)
        assert found.returncode == 0, found.stderr
        paths = {os.path.relpath(line, mount.path) for line in found.stdout.decode().splitlines()}
        assert "mnt" in paths and "a.png/pixels.npy" in paths and not [path for path in paths if path.startswith(("mnt/", "relative/", "absolute/"))]
        assert os.path.isdir(mount.at("mnt")) and os.listdir(mount.at("mnt")) == [] and errno_of(os.stat, mount.at("mnt", "a.png")) == errno.ENOENT
        for link in ("relative", "absolute"):
            assert os.listdir(mount.at(link)) == []
        call("stat", mount.at("loop"), mount.at("below"), mount.at("sub", "up"))
        stack = call("cat", mount.at(".pixfs", "stack", "recursive,rgb,size=4x4,u8.npy"))
        assert stack.returncode == 0 and b"(2, 4, 4, 3)" in stack.stdout
        checked = call(BIN, "check", images)
        assert checked.returncode == 0 and b"2 files checked" in checked.stderr, checked.stderr
    mount.assert_clean()


def test_of_two_mounts_inside_neither_shows_the_other(images, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = InsideMount(images, tmp_path / "one", "mnt1"), InsideMount(images, tmp_path / "two", "mnt2")
    with one, two:
        for mount in (one, two):
            assert call("find", mount.path).stdout.decode().count("pixels.npy") == 2
            assert os.listdir(mount.at("mnt1")) == [] and os.listdir(mount.at("mnt2")) == []
    one.assert_clean()
    two.assert_clean()


@needs_root
def test_the_own_mount_bound_elsewhere_is_empty_too(images):
    script = """mkdir "$1/mnt" "$1/other" "$1/deep"
        "$0" "$1" "$1/mnt"
        mount --bind "$1/mnt" "$1/other"; mount --bind "$1/mnt/sub" "$1/deep"
        find "$1/mnt" | grep -c pixels.npy; ls -A "$1/mnt/other" | wc -l; ls -A "$1/mnt/deep" | wc -l
        umount "$1/deep" "$1/other"; fusermount3 -u "$1/mnt" """
    done = call("unshare", "-m", "--propagation", "private", "sh", "-ec", script, BIN, images)
    assert done.stdout.split() == [b"2", b"0", b"0"], done


@pytest.mark.parametrize("place", [".", "..", "sub"])
def test_mounted_over_the_source_itself(images, tmp_path, place):
    """Over SOURCE, over a directory that SOURCE lies in, over a directory in it that holds files."""
    mount = InsideMount(images if place != ".." else images / "sub", tmp_path)
    mount.path = str(images if place != "sub" else images / "sub")
    with mount:
        wait_for(lambda: False, seconds=1.2 / SLOW)
        assert call("find", mount.path, seconds=5).stdout.decode().count("pixels.npy") == (2 if place == "." else 1)
        assert status_answers(mount)
    mount.assert_clean()


# ---- SOURCE removed, renamed, made anew ----

def test_a_removed_source_is_an_error_and_opened_anew(images, mounted):
    mount = mounted(images)
    assert mount.bytes("a.png", "pixels.f32") == PIXELS
    shutil.rmtree(images)
    assert wait_for(lambda: errno_of(os.listdir, mount.path) == errno.ENOENT), "no empty listing"
    assert status_answers(mount) and errno_of(os.statvfs, mount.path) is None
    assert [line["stage"] for line in mount.errors()] == ["source"]
    fixtures.write_files(images, {"new.png": IMAGE})
    assert wait_for(lambda: errno_of(os.listdir, mount.path) is None and os.listdir(mount.path) == ["new.png"])
    assert mount.bytes("new.png", "pixels.f32") == PIXELS


def test_a_removed_directory_is_an_error(images, mounted):
    mount = mounted(images)
    fd = os.open(mount.at("sub"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        shutil.rmtree(images / "sub")
        assert wait_for(lambda: errno_of(os.listdir, fd) in (errno.ENOENT, errno.ESTALE))
    finally:
        os.close(fd)
    assert os.listdir(mount.path) == ["a.png"]


@pytest.mark.parametrize("decoy", [False, True])
def test_a_renamed_source_goes_on(images, mounted, decoy):
    mount = mounted(images)
    os.rename(images, str(images) + ".moved")
    if decoy:
        fixtures.write_files(images, {"decoy.png": IMAGE})
    assert not wait_for(lambda: errno_of(os.listdir, mount.path) or "decoy.png" in os.listdir(mount.path), seconds=1.5 / SLOW)
    assert sorted(os.listdir(mount.path)) == ["a.png", "sub"] and mount.bytes("sub", "b.png", "pixels.f32") == PIXELS


def test_a_single_file_that_is_gone(images, mounted):
    mount = mounted(images / "a.png")
    assert mount.bytes("pixels.f32") == PIXELS
    os.rename(images / "a.png", images / "b.png")
    assert wait_for(lambda: errno_of(read_all, mount.at("pixels.f32")))
    assert status_answers(mount)
    os.rename(images / "b.png", images / "a.png")
    assert wait_for(lambda: errno_of(read_all, mount.at("pixels.f32")) is None) and mount.bytes("pixels.f32") == PIXELS


@needs_root
def test_a_source_mounted_anew(images):
    """Its disk was unmounted lazily, which leaves the descriptor alive, and another one is mounted there."""
    script = """mount -t tmpfs tmpfs "$1"; cp "$2" "$1/old.png"; mkdir "$3"
        "$0" "$1" "$3"; ls "$3"
        umount -l "$1"; mount -t tmpfs tmpfs "$1"; cp "$2" "$1/new.png"
        for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; [ "$(ls "$3")" != new.png ] || break; done; ls "$3"
        fusermount3 -u "$3" """
    mnt = str(images) + ".mnt"
    (images / "disk").mkdir()
    done = call("unshare", "-m", "--propagation", "private", "sh", "-ec", script, BIN, images / "disk", images / "a.png", mnt)
    assert done.stdout.split() == [b"old.png", b"new.png"], done


# ---- SOURCE that doesn't answer, or died ----

@pytest.fixture
def inner(images, tmp_path):
    """A source that can be stopped: a mount. It ends after those that show it."""
    (tmp_path / "inner").mkdir()
    mount = Mount(images, tmp_path / "inner")
    with mount:
        yield mount
    mount.assert_clean()


def test_status_answers_while_the_source_does_not(inner, mounted):
    mount = mounted(inner.path)
    assert mount.bytes("a.png", "pixels.f32") == PIXELS
    inner.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: False, seconds=1.2 / SLOW)  # what the kernel knows of the root is old now
        assert status_answers(mount)
        assert call("stat", "-f", mount.path, seconds=5).returncode == 0
        done = call(BIN, os.path.dirname(inner.path), mount.path)
        assert done.returncode == 6 and b"cleaning" not in done.stderr
    finally:
        inner.process.send_signal(signal.SIGCONT)
    assert mount.bytes("a.png", "pixels.f32") == PIXELS and json.loads(mount.bytes(".pixfs", "config.json"))


def test_a_dead_source_is_no_dead_mount(images, tmp_path, mounted):
    (tmp_path / "inner").mkdir()
    inner = Mount(images, tmp_path / "inner")
    inner.start()
    try:
        mount = mounted(inner.path)
        assert mount.bytes("a.png", "pixels.f32") == PIXELS
        inner.process.kill()
        inner.process.wait()
        assert wait_for(lambda: errno_of(os.listdir, mount.path) == errno.EIO), "not ENOTCONN: this mount lives"
        assert status_answers(mount) and errno_of(os.statvfs, mount.path) is None
        done = call(BIN, images, mount.path)
        assert done.returncode == 6 and mount.process.poll() is None and is_mounted(mount.path)
        again = Mount(images, tmp_path / "inner")
        with again:
            assert wait_for(lambda: errno_of(os.listdir, mount.path) is None and "a.png" in os.listdir(mount.path)), "opened anew"
            assert mount.bytes("a.png", "pixels.f32") == PIXELS
    finally:
        inner.stop()


def test_monitors_see_no_full_disk(images, mounted):
    mount = mounted(images)
    shown, real = os.statvfs(mount.path), os.statvfs(images)
    assert shown.f_blocks == real.f_blocks and shown.f_bsize == real.f_bsize
    assert np.isclose(shown.f_bavail, real.f_bavail, rtol=0.05) and shown.f_favail > 0
    assert os.statvfs(mounted(images, "ro").path).f_flag & os.ST_RDONLY and not shown.f_flag & os.ST_RDONLY
