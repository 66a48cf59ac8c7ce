"""Section 1 of the contract: names, what is listed and what only resolves, attributes, symlinks, and that nothing is writable."""
import errno
import os
import stat
import subprocess

import numpy as np
import pytest

import fixtures
import make_exr_cases
import make_jpeg
import make_png
import make_zip
from case import pattern
from pixmount import errno_of, read_all

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".ppm")


@pytest.fixture
def tree(source):
    """The small dataset with a zip of itself."""
    files = fixtures.small_tree()
    fixtures.write_files(source, files)
    fixtures.archive_of(files, source / "data.zip")
    return files


@pytest.fixture
def image(source, mounted):
    """One PNG of 5 x 4, mounted alone in a folder: (mount, stored samples, file's bytes)."""
    stored = pattern(4, 5, 3, 8)
    data = make_png.png(stored, make_png.RGB, 8)
    (source / "a.png").write_bytes(data)
    os.utime(source / "a.png", ns=(1_600_000_000_123456789, 1_600_000_000_123456789))
    return mounted(source), stored, data


def walk(top):
    """Paths below top, relative, of everything that a crawler finds."""
    out = []
    for folder, dirs, files in os.walk(top):
        out += [os.path.relpath(os.path.join(folder, name), top) for name in dirs + files]
    return out


def test_plain_image_lists_these_files(image):
    mount, _, _ = image
    assert sorted(os.listdir(mount.at("a.png"))) == ["meta.json", "pixels.f32", "pixels.npy", "source.png", "views"]


def test_unlisted_names_resolve(image):
    mount, stored, _ = image
    assert "channels" not in os.listdir(mount.at("a.png")) and ".pixfs" not in os.listdir(mount.path)
    got = np.fromfile(mount.at("a.png", "channels", "G.f32"), "<f4").reshape(4, 5)
    assert np.array_equal(got, stored[:, :, 1].astype(np.float32) / np.float32(255))
    assert np.array_equal(np.load(mount.at("a.png", "channels", "G.npy")), got)
    for name in (".pixfs", "a.png/views", "a.png/channels"):
        assert stat.S_ISDIR(os.stat(mount.at(name)).st_mode), name


@pytest.mark.parametrize("name", ["nothing", "a.png/nothing", "a.png/pixels.f64", "a.png/channels/Q.f32", "a.png/views/nothing.f32", "a.png/views/rgb.nothing",
                                  "a.png/layers/none", "a.png/mips/9", ".pixfs/nothing", "a.png/pixels.f32x"])
def test_unknown_names_are_enoent(image, name):
    assert errno_of(os.stat, image[0].at(name)) == errno.ENOENT


def test_views_lists_the_plain_ones(image):
    names = set(os.listdir(image[0].at("a.png", "views")))
    assert "README.txt" in names
    assert {"r.f32", "g.f32", "b.f32", "rgb.f32"} <= names
    assert all(name == "README.txt" or name.endswith(".f32") for name in names), names
    allowed = "r g b a gray rgb rgba chw linear premul straight upright blender".split()
    assert {name[:-4] for name in names if name.endswith(".f32")} <= set(allowed)


def test_source_is_the_file_itself(image):
    mount, _, data = image
    assert mount.bytes("a.png", "source.png") == data


def test_recursive_enumeration_finds_one_of_each_kind(image):
    found = walk(image[0].path)
    assert sum(name.endswith(".npy") for name in found) == 1
    assert sum(name.endswith(".json") for name in found) == 1
    in_image = [name for name in found if name.startswith("a.png/")]
    assert sum(name.lower().endswith(IMAGE_EXTENSIONS) for name in in_image) == 1


def test_attributes_of_virtual_files(image, source):
    mount, _, data = image
    origin = os.stat(source / "a.png")
    for name, size in (("pixels.f32", 4 * 5 * 3 * 4), ("pixels.npy", 4 * 5 * 3 * 4 + 128), ("source.png", len(data)), ("meta.json", None)):
        info = os.stat(mount.at("a.png", name))
        assert stat.S_IMODE(info.st_mode) == 0o444 and stat.S_ISREG(info.st_mode), name
        assert info.st_size == size or size is None, name
        assert info.st_mtime_ns == origin.st_mtime_ns, name
        assert (info.st_uid, info.st_gid) == (origin.st_uid, origin.st_gid)
        assert info.st_blocks == -(-info.st_size // 512)
        assert info.st_blksize >= 128 << 10
    folder = os.stat(mount.at("a.png"))
    assert stat.S_ISDIR(folder.st_mode) and stat.S_IMODE(folder.st_mode) == 0o555
    assert folder.st_mtime_ns == origin.st_mtime_ns


def test_owner_is_the_source_owner(source, mounted):
    (source / "a.png").write_bytes(make_png.png(pattern(2, 2, 1, 8), 0, 8))
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(source / "a.png", 1234, 4321)
    info = os.stat(mounted(source).at("a.png", "pixels.f32"))
    assert (info.st_uid, info.st_gid) == (1234, 4321)


def test_stat_size_is_what_reading_gives(fixture_mount):
    for folder, _, files in os.walk(fixture_mount.at("png")):
        for name in files:
            path = os.path.join(folder, name)
            assert os.stat(path).st_size == len(read_all(path)), path


def test_inode_numbers_are_unique_and_the_same_at_the_next_mount(tree, source, mounted):
    def numbers(mount):
        return {name: os.lstat(mount.at(name)).st_ino for name in [*walk(mount.path), "train/cat/0000.png/channels/R.f32", ".pixfs/stats.json"]}

    first = numbers(mounted(source))
    assert len(set(first.values())) == len(first)
    assert numbers(mounted(source)) == first


def test_directory_entries_tell_inode_and_type(tree, source, mounted):
    mount = mounted(source)
    for folder in ("", "train", "train/cat", "train/cat/0000.png", "data.zip"):
        for entry in os.scandir(mount.at(folder)):
            info = os.lstat(entry.path)
            assert entry.inode() == info.st_ino, entry.path
            assert entry.is_dir(follow_symlinks=False) == stat.S_ISDIR(info.st_mode), entry.path


def test_same_names_in_the_same_order(tree, source, mounted):
    for number in range(300):
        (source / "notes" / f"file{number * 7919 % 1000}.txt").write_bytes(b"")
    mount = mounted(source)
    for folder in ("", "train", "notes", "train/cat"):
        assert os.listdir(mount.at(folder)) == os.listdir(source / folder), folder


def test_other_files_are_their_own_bytes(tree, source, mounted):
    mount = mounted(source)
    for name, data in tree.items():
        if not name.endswith((".png", ".jpg")):
            assert mount.bytes(name) == data, name
            info, origin = os.stat(mount.at(name)), os.stat(source / name)
            assert (info.st_size, info.st_mtime_ns) == (origin.st_size, origin.st_mtime_ns), name


def test_an_archive_is_a_directory_with_the_same_rules(tree, source, mounted):
    mount = mounted(source)
    assert sorted(n for n in walk(mount.at("data.zip")) if not n.startswith(".")) == sorted(n for n in walk(mount.path) if not n.startswith("data.zip"))
    for name, data in tree.items():
        if name.endswith((".png", ".jpg")):
            for file in ("pixels.f32", "pixels.npy", f"source{os.path.splitext(name)[1]}"):
                assert mount.bytes("data.zip", name, file) == mount.bytes(name, file), (name, file)
        else:
            assert mount.bytes("data.zip", name) == data


@pytest.mark.parametrize("name", ["A.PNG", "B.JPG", "C.Jpeg", "D.EXR", "archive.ZIP"])
def test_extensions_in_any_case(source, mounted, name):
    makers = {"png": lambda: make_png.png(pattern(2, 2, 3, 8), make_png.RGB, 8), "jpg": lambda: make_jpeg.encode(make_jpeg.photograph(8, 8)),
              "exr": lambda: next(iter(make_exr_cases.make_all())).data, "zip": lambda: make_zip.zip_of(make_zip.Entry(b"x.txt", b"x"))}
    makers["jpeg"] = makers["jpg"]
    extension = name.rsplit(".")[-1]
    (source / name).write_bytes(makers[extension.lower()]())
    mount = mounted(source)
    listed = os.listdir(mount.at(name))
    assert ("x.txt" if extension == "ZIP" else f"source.{extension}") in listed


@pytest.mark.parametrize("name,entry", [("single.png", "pixels.f32"), ("single.zip", "inner.png/pixels.f32")])
def test_one_image_or_archive_as_source(source, mounted, name, entry):
    stored = pattern(3, 4, 3, 8)
    data = make_png.png(stored, make_png.RGB, 8)
    (source / name).write_bytes(data if name.endswith("png") else make_zip.zip_of(make_zip.Entry(b"inner.png", data)))
    mount = mounted(source / name)
    assert mount.bytes(entry) == (stored.astype(np.float32) / np.float32(255)).tobytes()
    assert "opens" in mount.stats()


def test_broken_header_gives_error_txt(source, mounted):
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    mount = mounted(source)
    listed = os.listdir(mount.at("broken.png"))
    assert "error.txt" in listed and "source.png" in listed and "meta.json" in listed
    assert not any(name.startswith("pixels") for name in listed)
    words = mount.bytes("broken.png", "error.txt").decode()
    assert words.endswith("\n") and words.count("\n") == 1 and len(words) > 10
    assert mount.json("broken.png", "meta.json")["error"]["errno"]
    assert mount.bytes("broken.png", "source.png") == b"\x89PNG\r\n\x1a\nnothing more"


def test_valid_images_have_no_error_txt(image):
    assert errno_of(os.stat, image[0].at("a.png", "error.txt")) == errno.ENOENT


def test_symlinks_inside_are_followed_and_others_are_links(source, mounted, tmp_path):
    (source / "dir").mkdir()
    (source / "dir" / "a.png").write_bytes(make_png.png(pattern(3, 3, 3, 8), make_png.RGB, 8))
    (tmp_path / "outside.txt").write_text("secret")
    os.symlink("dir/a.png", source / "inside.png")
    os.symlink("dir", source / "inside_dir")
    os.symlink(tmp_path / "outside.txt", source / "outside.txt")
    os.symlink("../outside.txt", source / "relative.txt")
    os.symlink("nowhere", source / "dangling")
    mount = mounted(source)
    assert mount.bytes("inside.png", "pixels.f32") == mount.bytes("dir", "a.png", "pixels.f32")
    assert os.listdir(mount.at("inside_dir")) == ["a.png"]
    for name in ("outside.txt", "relative.txt", "dangling"):
        assert stat.S_ISLNK(os.lstat(mount.at(name)).st_mode), name
        assert os.readlink(mount.at(name)) == os.readlink(source / name)


def test_follow_symlinks_follows_all(source, mounted, tmp_path):
    (tmp_path / "outside.txt").write_text("text")
    os.symlink(tmp_path / "outside.txt", source / "outside.txt")
    mount = mounted(source, "follow_symlinks")
    assert stat.S_ISREG(os.lstat(mount.at("outside.txt")).st_mode)
    assert mount.bytes("outside.txt") == b"text"


def test_loops_of_symlinks_are_finite(source, mounted):
    (source / "dir").mkdir()
    os.symlink("..", source / "dir" / "up")
    os.symlink(".", source / "self")
    os.symlink("b", source / "a")
    os.symlink("a", source / "b")
    mount = mounted(source)
    assert len(walk(mount.path)) < 2000
    found = subprocess.run(["find", mount.path], capture_output=True, timeout=60, check=False).stdout
    assert found.count(b"\n") < 2000


def test_extended_attributes(image):
    mount, _, _ = image
    path = mount.at("a.png", "pixels.f32")
    assert {"user.mime_type", "user.pixfs.shape", "user.pixfs.dtype"} <= set(os.listxattr(path))
    shape = os.getxattr(path, "user.pixfs.shape").decode()
    assert [int(n) for n in shape.replace(",", " ").replace("(", " ").replace(")", " ").replace("x", " ").replace("[", " ").replace("]", " ").split()] == [4, 5, 3]
    assert "f4" in os.getxattr(path, "user.pixfs.dtype").decode() or "float32" in os.getxattr(path, "user.pixfs.dtype").decode()
    assert errno_of(os.getxattr, path, "user.pixfs.error") == errno.ENODATA
    assert errno_of(os.getxattr, path, "user.none") == errno.ENODATA
    assert os.getxattr(mount.at("a.png", "source.png"), "user.mime_type") == b"image/png"
    assert os.getxattr(mount.at("a.png"), "user.mime_type") == b"image/png"


@pytest.mark.parametrize("name", ["security.selinux", "security.capability", "system.posix_acl_access", "system.posix_acl_default", "trusted.x"])
@pytest.mark.parametrize("path", [(), ("a.png",), ("a.png", "pixels.f32"), ("a.png", "views")], ids="/".join)
def test_other_namespaces_are_not_there(image, path, name):
    """EOPNOTSUPP, not ENODATA: then ls -l asks once and not for every file."""
    mount, _, _ = image
    assert errno_of(os.getxattr, mount.at(*path), name) == errno.EOPNOTSUPP


def test_what_ls_asks_for_opens_no_image(image):
    mount, _, _ = image
    assert os.listxattr(mount.path) == os.listxattr(mount.at("a.png")) == []
    listed = subprocess.run(["ls", "-l", mount.path], capture_output=True, text=True, timeout=60, check=True)
    assert "a.png" in listed.stdout and not listed.stderr
    assert mount.stats()["opens"] == 0
    assert os.getxattr(mount.at("a.png"), "user.pixfs.shape") == b"4,5,3"
    assert mount.stats()["opens"] == 1


ATTEMPTS = {
    "create": lambda mount: os.close(os.open(mount.at("new.txt"), os.O_CREAT | os.O_WRONLY, 0o644)),
    "create in image": lambda mount: os.close(os.open(mount.at("a.png", "new.f32"), os.O_CREAT | os.O_WRONLY, 0o644)),
    "write": lambda mount: os.close(os.open(mount.at("a.png", "pixels.f32"), os.O_WRONLY)),
    "read and write": lambda mount: os.close(os.open(mount.at("a.png", "source.png"), os.O_RDWR)),
    "truncate": lambda mount: os.truncate(mount.at("a.png", "pixels.f32"), 0),
    "unlink": lambda mount: os.unlink(mount.at("a.png", "source.png")),
    "rmdir": lambda mount: os.rmdir(mount.at("a.png", "views")),
    "mkdir": lambda mount: os.mkdir(mount.at("new")),
    "rename": lambda mount: os.rename(mount.at("a.png"), mount.at("b.png")),
    "link": lambda mount: os.link(mount.at("a.png", "source.png"), mount.at("link")),
    "symlink": lambda mount: os.symlink("a.png", mount.at("link")),
    "chmod": lambda mount: os.chmod(mount.at("a.png", "source.png"), 0o777),
    "chown": lambda mount: os.chown(mount.at("a.png"), 1, 1),
    "utime": lambda mount: os.utime(mount.at("a.png", "source.png")),
    "mknod": lambda mount: os.mknod(mount.at("fifo"), stat.S_IFIFO | 0o600),
    "setxattr": lambda mount: os.setxattr(mount.at("a.png", "pixels.f32"), "user.pixfs.x", b"1"),
    "removexattr": lambda mount: os.removexattr(mount.at("a.png", "pixels.f32"), "user.mime_type"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_every_attempt_to_write_is_erofs(image, attempt):
    assert errno_of(ATTEMPTS[attempt], image[0]) == errno.EROFS


def test_statfs(image):
    info = os.statvfs(image[0].path)
    assert info.f_namemax == 255 and info.f_bsize > 0
    assert not info.f_flag & os.ST_RDONLY  # .pixfs/prefetch can be written


def test_a_mount_may_be_read_only_altogether(source, mounted):
    mount = mounted(source, "ro")
    assert os.statvfs(mount.path).f_flag & os.ST_RDONLY
    assert errno_of(os.open, mount.at(".pixfs", "prefetch"), os.O_WRONLY) == errno.EROFS


def test_names_of_any_bytes(source, mounted):
    names = ["ünïcödé 漢字.png", "with space.png", "new\nline.png", b"\xff\xfe invalid.png", "100%.png", "-rf.png", "a" * 251 + ".png"]
    data = make_png.png(pattern(2, 2, 3, 8), make_png.RGB, 8)
    for name in names:
        with open(os.path.join(os.fsencode(source), os.fsencode(name)), "wb") as file:
            file.write(data)
    mount = mounted(source)
    top = os.fsencode(mount.path)
    assert sorted(os.listdir(top)) == sorted(os.fsencode(n) for n in names)
    for name in names:
        assert len(read_all(os.path.join(top, os.fsencode(name), b"pixels.f32"))) == 48, name


def test_fifos_and_sockets_do_not_hang_a_walk(source, mounted):
    os.mkfifo(source / "fifo")
    os.mkfifo(source / "fifo.png")
    mount = mounted(source)
    assert len(walk(mount.path)) < 20
    errno_of(read_all, mount.at("fifo.png", "pixels.f32"))
