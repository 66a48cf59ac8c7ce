"""Arrays in backing files that the kernel reads by itself: the same bytes, within the budget, one way at a time."""
import ctypes
import errno
import mmap
import os
import signal
import subprocess
import sys
import threading
import zipfile
import zlib

import cv2
import numpy as np
import pytest

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import HALF, NONE, ZIP, Channel, Part, exr
from pixmount import Mount, errno_of, open_errno, read_all, read_range, wait_for

SIZE = (400, 500)          # a photograph: 2.4 MB as float32, decoded whole by open as all JPEGs are
LARGE = (1024, 1024)       # of a PNG: decoded when it is read


def jpeg(seed=0):
    return make_jpeg.encode(np.roll(make_jpeg.photograph(*SIZE), 17 * seed, axis=1))


def truth(data):
    return (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / np.float32(255)).tobytes()


COMPUTED = os.path.join("views", "rgb.u16")  # takes more than a copy to make: never read past the kernel's pages where it is small


def computed(data):
    return (np.frombuffer(truth(data), np.float32) * 65535).round().astype(np.uint16).tobytes()


def large_png(seed=0):
    samples = pattern(*LARGE, 3, 8, seed)
    return cv2.imencode(".png", samples[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes(), (samples.astype(np.float32) / np.float32(255)).tobytes()


def released(mount, still_open=0):
    """What was closed is known to the daemon: the kernel doesn't wait for that. stats.json itself is open while it is read."""
    assert wait_for(lambda: mount.stats()["open_files"] <= still_open + 1), mount.stats()


def large_exr(seed, size=LARGE, compression=ZIP):
    y, x = np.mgrid[0:size[0], 0:size[1]]
    planes = [((x // 16 + y * (n + 3 + seed)) % 0x3C00).astype(np.uint16) for n in range(3)]
    channels = [Channel(name, HALF, {(0, 0): plane}) for name, plane in zip("BGR", planes)]
    return exr(Part(channels, (0, 0, size[1] - 1, size[0] - 1), compression=compression)), make_exr.stack(channels, ["R", "G", "B"])


def grown(mount, action, counter="backed_opens", still_open=0):
    released(mount, still_open)
    before = mount.stats()[counter]
    action()
    released(mount, still_open)
    return mount.stats()[counter] - before


@pytest.fixture(scope="module", autouse=True)
def where_the_kernel_has_it(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "source").mkdir()
    (folder / "source" / "a.jpg").write_bytes(jpeg())
    with Mount(folder / "source", folder) as mount:
        read_all(mount.at("a.jpg", "pixels.f32"))
        backed = mount.stats()["backed_opens"]
    if not backed:
        pytest.skip("no passthrough here: it needs root (CAP_SYS_ADMIN) and Linux 6.9 with FUSE_PASSTHROUGH")


@pytest.mark.parametrize("name", ["pixels.f32", "pixels.npy", "views/native.npy", "views/crop=3:5:300:301,chw.f32", "views/size=600x300,u8.npy", "views/rgba.tif"])
def test_backed_arrays_are_the_same_bytes(source, mounted, name):
    (source / "a.jpg").write_bytes(jpeg())
    asked, backed = mounted(source, "nopassthrough"), mounted(source)
    path = backed.at("a.jpg", name)
    wanted = read_all(asked.at("a.jpg", name))
    assert asked.stats()["backed_opens"] == 0
    assert read_all(path) == wanted and backed.stats()["backed_opens"] == 1
    assert os.stat(path).st_size == len(wanted)
    for offset, length in ((0, 1), (1, 4097), (len(wanted) - 7, 100), (len(wanted), 5), (len(wanted) // 2 + 3, 70001)):
        assert read_range(path, offset, length) == wanted[offset:offset + length]
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == wanted
    if name == "pixels.f32":
        assert wanted == truth(jpeg())


def test_nobody_can_write_into_it(source, mounted):
    (source / "a.jpg").write_bytes(jpeg())
    mount = mounted(source)
    path = mount.at("a.jpg", "pixels.f32")
    with open(path, "rb") as file:
        assert errno_of(os.open, path, os.O_RDWR) is not None and errno_of(os.open, path, os.O_WRONLY) is not None
        assert errno_of(os.write, file.fileno(), b"x") is not None
        assert errno_of(os.ftruncate, file.fileno(), 0) is not None
        assert errno_of(lambda: mmap.mmap(file.fileno(), 0)) is not None  # shared and writable
        private = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        private[:4] = b"abcd"
        private.close()
    assert read_all(path) == truth(jpeg())


def test_what_is_open_through_requests_stays_so(source, mounted):
    """Opens in one way at a time: the kernel would fail one in the other way."""
    data, pixels = large_png()
    wanted = (np.frombuffer(pixels, np.float32) * 255).round().astype(np.uint8).tobytes()
    for name in ("a", "b"):
        (source / name).mkdir()
        (source / name / "x.png").write_bytes(data)
    mount = mounted(source)
    path, other = mount.at("a", "x.png", "views/rgb.u8"), mount.at("b", "x.png", "views/rgb.u8")
    first = os.open(path, os.O_RDONLY)
    assert os.pread(first, 4096, 0) == wanted[:4096]
    assert read_all(other) == wanted           # read whole: that is taken for a habit
    assert grown(mount, lambda: read_all(path), still_open=1) == 0 and read_all(path) == wanted
    os.close(first)
    released(mount)
    (source / "c.png").write_bytes(data)
    assert read_all(mount.at("c.png", "pixels.f32")) == pixels
    released(mount)
    assert grown(mount, lambda: read_all(path)) == 1
    backed = os.open(path, os.O_RDONLY)
    assert grown(mount, lambda: read_all(path), still_open=1) == 1 and os.pread(backed, 100, 12345) == wanted[12345:12445]
    os.close(backed)


def test_readers_of_whole_arrays_get_the_next_ones_whole_and_others_do_not(source, mounted):
    """Of formats that decode on demand, arrays that take more than a copy: a habit, which is looked at again every few arrays."""
    wanted = {}
    for i in range(8):
        (source / f"{i}").mkdir()  # alone in their folders: no siblings are decoded ahead
        data, pixels = large_exr(i)
        wanted[i] = np.frombuffer(pixels, np.float32).astype(np.float16).tobytes()
        (source / f"{i}" / "x.exr").write_bytes(data)
    mount = mounted(source)
    at = [mount.at(f"{i}", "x.exr", "views/rgb.f16") for i in range(8)]
    row = LARGE[1] * 6
    decoded = grown(mount, lambda: read_range(at[0], 0, row), "decodes")
    assert read_all(at[1]) == wanted[1]
    released(mount)
    assert mount.stats()["backed_opens"] == 0
    assert read_all(at[2]) == wanted[2]
    assert mount.stats()["backed_opens"] == 1
    assert read_range(at[2], 5 * row, row) == wanted[2][5 * row:6 * row]
    opened = [grown(mount, lambda i=i: read_range(at[i], 0, row)) for i in (3, 4, 5, 6, 7)]
    assert opened[-1] == 0 and 0 in opened[:4], "it was never looked at again whether they are read whole"
    assert grown(mount, lambda: read_range(at[0], 9 * row, row), "decodes") <= 2 * decoded + 8


def test_a_png_is_not_made_whole_before_it_is_decoded(source, mounted):
    """One processor alone can decode it: a reader that is given what is done doesn't wait for all of it."""
    for i in range(2):
        (source / f"{i}").mkdir()
        data, wanted = large_png(i)
        (source / f"{i}" / "x.png").write_bytes(data)
    mount = mounted(source)
    read_all(mount.at("0", "x.png", "pixels.f32"))
    path = mount.at("1", "x.png", "pixels.f32")
    assert grown(mount, lambda: read_all(path)) == 0
    assert grown(mount, lambda: read_all(path)) == 0  # that is in the kernel's pages: nobody waits for a backing file
    assert wait_for(lambda: grown(mount, lambda: read_all(path)) == 1)  # it is made meanwhile
    assert mount.stats()["backing_bytes"] == len(wanted) and read_all(path) == wanted


def small(kind, seed):
    """An image file, and its values."""
    if kind == "jpg":
        return jpeg(seed), truth(jpeg(seed))
    if kind == "exr":
        data, wanted = large_exr(seed)
        return data, wanted.tobytes()
    return large_png(seed)


def alone(source, kind, n):
    """Images alone in their folders: no siblings are decoded ahead."""
    for i in range(n):
        (source / f"{i}").mkdir()
        (source / f"{i}" / f"x.{kind}").write_bytes(small(kind, i)[0])
    return [(f"{i}", f"x.{kind}") for i in range(n)]


def read_like_numpy(path, wanted):
    assert np.load(path).tobytes() == wanted


@pytest.mark.parametrize("kind", ["jpg", "png", "exr"])
def test_arrays_that_are_little_more_than_a_copy_go_straight_to_the_reader(source, mounted, kind):
    """Decoded by open, forwards as it is read, and chunk by chunk."""
    images = alone(source, kind, 7)
    mount = mounted(source)
    for i in range(2):  # how they are read isn't known yet
        assert grown(mount, lambda i=i: read_like_numpy(mount.at(*images[i], "pixels.npy"), small(kind, i)[1]), "direct_opens") == (kind != "jpg" and i > 0)
    held = mount.stats()["backing_bytes"]
    for i in range(2, 5):
        wanted = small(kind, i)[1]
        assert grown(mount, lambda i=i, wanted=wanted: read_like_numpy(mount.at(*images[i], "pixels.npy"), wanted), "direct_opens") == 1
    path, wanted = mount.at(*images[5], "pixels.f32"), small(kind, 5)[1]
    with open(path, "rb", buffering=0) as file:
        assert mount.stats()["direct_opens"] >= 4
        for offset, length in ((0, 1), (1, 4097), (len(wanted) - 7, 100), (len(wanted), 5), (len(wanted) // 2 + 3, 3 << 20), (5, len(wanted))):
            assert os.pread(file.fileno(), length, offset) == wanted[offset:offset + length]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:] == wanted
        assert read_all(path) == wanted  # beside it
    assert mount.stats()["backing_bytes"] == held
    for _ in range(2):  # each read would compute
        assert grown(mount, lambda: read_all(mount.at(*images[6], COMPUTED)), "direct_opens") == 0
    assert grown(mount, lambda: read_all(mount.at(*images[6], "views", "r.f32")), "direct_opens") == (kind != "jpg")  # 0.8 MB, 4 MB


def test_who_reads_little_is_not_sent_past_the_kernels_pages(source, mounted):
    images = alone(source, "jpg", 8)
    mount = mounted(source)
    at = [mount.at(*image, "pixels.f32") for image in images]
    for path in at[:3]:
        read_all(path)
    released(mount)
    assert mount.stats()["direct_opens"] == 1
    assert grown(mount, lambda: read_range(at[3], 1000, 5000), "direct_opens") == 1
    for i in range(4, 8):
        assert grown(mount, lambda i=i: read_range(at[i], 1000, 5000), "direct_opens") == 0
        assert read_range(at[i], 1000, 5000) == truth(jpeg(i))[1000:6000]


@pytest.mark.parametrize("room", [True, False])
def test_what_is_read_over_and_over_gets_a_backing_file_where_there_is_room(source, mounted, room):
    images = alone(source, "jpg", 5)
    mount = mounted(source, *([] if room else ["cache_size=16M"]))
    for image in images[:2]:
        read_all(mount.at(*image, "pixels.f32"))
    path, wanted = mount.at(*images[2], "pixels.f32"), truth(jpeg(2))
    if not room:  # of 8 MB 2.4 are used by the first, and 5.6 by these
        for image in images[3:]:
            read_all(mount.at(*image, "views", "rgba.u16"))
            read_all(mount.at(*image, COMPUTED))
    for _ in range(2):
        assert grown(mount, lambda: read_all(path), "direct_opens") == 1
    before = mount.stats()["backing_bytes"]
    assert read_all(path) == wanted
    if room:
        assert wait_for(lambda: grown(mount, lambda: read_all(path)) == 1)
        assert mount.stats()["backing_bytes"] == before + len(wanted) and read_all(path) == wanted
    else:
        for _ in range(5):
            assert grown(mount, lambda: read_all(path)) == 0
        assert mount.stats()["backing_bytes"] == before


HUGE = (1600, 1800)        # 35 MB as float32


def huge_image(kind, seed):
    if kind == "jpg":
        return make_jpeg.encode(np.roll(make_jpeg.photograph(*HUGE), 17 * seed, axis=1))
    return cv2.imencode(".png", pattern(*HUGE, 3, 8, seed), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


class Huge:
    """A folder of three images, alone in their folders; after the first was read whole the next ones are read direct."""

    def __init__(self, folder, kind):
        self.folder, self.name = folder, f"x.{kind}"
        for i in range(3):
            (folder / f"{i}").mkdir()
            (folder / f"{i}" / self.name).write_bytes(huge_image(kind, i))

    def wanted(self, i):
        return truth((self.folder / f"{i}" / self.name).read_bytes())


@pytest.fixture(scope="module", params=["jpg", "png"])
def huge(request, tmp_path_factory):
    """Decoded by open, and decoded forwards as it is read."""
    return Huge(tmp_path_factory.mktemp("huge"), request.param)


def test_large_arrays_go_straight_to_the_reader(huge, mounted, tmp_path):
    mount = mounted(huge.folder)
    first, path = (mount.at(f"{i}", huge.name, "pixels.f32") for i in (0, 1))
    wanted = huge.wanted(1)
    assert grown(mount, lambda: read_all(first), "direct_opens") == 0
    with open(path, "rb", buffering=0) as file:
        assert mount.stats()["direct_opens"] == 1
        for offset, length in ((0, 1), (1, 4097), (len(wanted) - 7, 100), (len(wanted), 5), (len(wanted) // 2 + 3, 3 << 20)):
            assert os.pread(file.fileno(), length, offset) == wanted[offset:offset + length]
        for access in (mmap.ACCESS_READ, mmap.ACCESS_COPY):
            with mmap.mmap(file.fileno(), 0, access=access) as mapped:
                assert mapped[:] == wanted
        with open(tmp_path / "sent", "wb") as sent:
            assert os.sendfile(sent.fileno(), file.fileno(), 0, 100000) == 100000
        assert (tmp_path / "sent").read_bytes() == wanted[:100000]
        assert read_all(path) == wanted  # beside it
        assert os.pread(file.fileno(), 5 << 20, 4097) == wanted[4097:4097 + (5 << 20)]
    assert mount.stats()["backed_opens"] == 0 and mount.stats()["backing_bytes"] == 0


def test_a_direct_array_that_is_read_again_gets_a_backing_file(huge, mounted):
    mount = mounted(huge.folder)
    read_all(mount.at("0", huge.name, "pixels.f32"))
    released(mount)
    path, wanted = mount.at("2", huge.name, "pixels.npy"), huge.wanted(2)
    assert grown(mount, lambda: read_all(path), "direct_opens") == 1
    assert mount.stats()["backing_bytes"] == 0
    assert np.load(path).tobytes() == wanted
    assert wait_for(lambda: grown(mount, lambda: np.load(path)) == 1)
    assert mount.stats()["backing_bytes"] == 128 + len(wanted)
    assert np.load(path, mmap_mode="r").tobytes() == wanted and np.load(path).tobytes() == wanted


def test_small_reads_are_not_direct(huge, mounted):
    """Each would be a request: who reads so gets the kernel's pages with the next array."""
    mount = mounted(huge.folder)
    read_all(mount.at("0", huge.name, "pixels.f32"))
    released(mount)
    wanted, got = huge.wanted(1), []

    def read_small():
        with open(mount.at("1", huge.name, "pixels.f32"), "rb", buffering=0) as file:
            while part := file.read(20000):
                got.append(part)
    assert grown(mount, read_small, "direct_opens") == 1 and b"".join(got) == wanted
    assert grown(mount, lambda: read_all(mount.at("2", huge.name, "pixels.f32")), "direct_opens") == 0


@pytest.mark.parametrize("compression, folder, kept", [(NONE, "", False), (ZIP, "", True), (NONE, "a.zip", True)])
def test_samples_that_cost_nothing_to_make_are_not_kept(source, mounted, compression, folder, kept):
    """Of a large uncompressed EXR that is read straight to the reader. Each chunk is decoded once a pass all the same."""
    images = [large_exr(i, HUGE, compression) for i in range(3)]
    for i, (data, _) in enumerate(images):
        (source / f"{i}").mkdir()
        if folder:
            with zipfile.ZipFile(source / f"{i}" / folder, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr("x.exr", data)
        else:
            (source / f"{i}" / "x.exr").write_bytes(data)
    mount = mounted(source)
    at = [mount.at(f"{i}", folder, "x.exr", "pixels.npy") for i in range(3)]
    sample_bytes, nchunks = HUGE[0] * HUGE[1] * 6, HUGE[0] // (16 if compression == ZIP else 1)
    assert np.array_equal(np.load(at[0]), images[0][1])  # through the kernel's pages: its samples stay
    released(mount)
    before = mount.stats()
    assert grown(mount, lambda: np.load(at[1]), "direct_opens") == 1
    after = mount.stats()
    assert after["decodes"] - before["decodes"] == nchunks
    added = after["cache_bytes"] - before["cache_bytes"]
    assert added >= sample_bytes if kept else added < 4 << 20
    assert np.array_equal(np.load(at[1]), images[1][1])
    with open(at[2], "rb", buffering=0) as file:
        wanted = images[2][1].tobytes()
        for offset in (30 << 20, 0, 5 << 20, 6 << 20, 4 << 20):  # in no order
            assert os.pread(file.fileno(), 2 << 20, 128 + offset) == wanted[offset:offset + (2 << 20)]
    planes = np.load(mount.at("2", folder, "x.exr", "views", "chw.npy"))  # needs each chunk three times
    assert np.array_equal(planes, images[2][1].transpose(2, 0, 1))
    released(mount)
    assert mount.stats()["decodes"] <= (5 if kept else 6) * nchunks


def test_damage_that_a_direct_read_meets(source, mounted):
    """The stream ends in the midst of the rows, with right checksums: what lies before is right, what lies behind an error."""
    samples = pattern(*HUGE, 3, 8)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in samples), 1)
    head = b"\x89PNG\r\n\x1a\n" + make_png.ihdr(HUGE[1], HUGE[0], 8, make_png.RGB)
    (source / "a.png").write_bytes(head + make_png.chunk(b"IDAT", rows) + make_png.chunk(b"IEND"))
    (source / "other").mkdir()
    (source / "other" / "b.png").write_bytes(head + make_png.chunk(b"IDAT", rows[:len(rows) // 2]) + make_png.chunk(b"IEND"))
    mount = mounted(source)
    wanted = (samples.astype(np.float32) / np.float32(255)).tobytes()
    assert read_all(mount.at("a.png", "pixels.f32")) == wanted
    released(mount)
    with open(mount.at("other", "b.png", "pixels.f32"), "rb", buffering=0) as file:
        assert mount.stats()["direct_opens"] == 1
        assert os.pread(file.fileno(), 8 << 20, 0) == wanted[:8 << 20]
        assert errno_of(os.pread, file.fileno(), 1 << 20, len(wanted) - (1 << 20)) == errno.EIO
        assert os.pread(file.fileno(), 1 << 20, 5000) == wanted[5000:5000 + (1 << 20)]
    assert read_all(mount.at("a.png", "pixels.f32")) == wanted


def test_images_of_a_folder_in_order_are_made_ahead(source, mounted):
    names = [f"{i:02}.jpg" for i in range(12)]
    for i, name in enumerate(names):
        (source / name).write_bytes(jpeg(i))
    mount = mounted(source)
    for name in names[:6]:
        assert read_all(mount.at(name, "views", "native.npy"))[128:] == (np.frombuffer(truth((source / name).read_bytes()), np.float32) * 255).round().astype(np.uint8).tobytes()
    one = os.stat(mount.at(names[0], "views", "native.npy")).st_size
    assert wait_for(lambda: mount.stats()["backing_bytes"] >= 8 * one), mount.stats()
    for i, name in enumerate(names):
        assert read_all(mount.at(name, "pixels.f32")) == truth(jpeg(i))


def test_many_at_once_share_one(source, mounted):
    (source / "a.jpg").write_bytes(jpeg())
    mount = mounted(source)
    path, wanted, wrong = mount.at("a.jpg", "pixels.f32"), truth(jpeg()), []

    def read():
        if read_all(path) != wanted:
            wrong.append(1)
    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and mount.stats()["backing_bytes"] == len(wanted)


def test_within_the_budget(source, mounted):
    for i in range(12):
        (source / f"{i}.jpg").write_bytes(jpeg(i))
    (source / "large.jpg").write_bytes(make_jpeg.encode(make_jpeg.photograph(1300, 1400)))
    mount = mounted(source, "cache_size=16M")
    files = []
    for _ in range(2):
        for i in range(12):
            assert read_all(mount.at(f"{i}.jpg", COMPUTED)) == computed(jpeg(i))
            assert mount.stats()["backing_bytes"] <= 8 << 20
    assert grown(mount, lambda: read_all(mount.at("large.jpg", COMPUTED))) == 0  # 10.8 MB
    for i in range(12):  # what is open can't leave
        files.append(os.open(mount.at(f"{i}.jpg", COMPUTED), os.O_RDONLY))
        assert mount.stats()["backing_bytes"] <= 8 << 20
    for i, fd in enumerate(files):
        assert os.pread(fd, 1 << 23, 0) == computed(jpeg(i))
        os.close(fd)


def test_a_mapping_outlives_its_file_and_its_place_in_the_budget(source, mounted):
    for i in range(8):
        (source / f"{i}.jpg").write_bytes(jpeg(i))
    mount = mounted(source, "cache_size=16M")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    wanted = computed(jpeg(0))
    fd = os.open(mount.at("0.jpg", COMPUTED), os.O_RDONLY)
    at = libc.mmap(None, len(wanted), mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    os.close(fd)
    try:
        for i in list(range(1, 8)) * 2:
            assert read_all(mount.at(f"{i}.jpg", COMPUTED)) == computed(jpeg(i))
        assert ctypes.string_at(at, len(wanted)) == wanted
    finally:
        libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(len(wanted)))


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_new_version_is_another_array(source, mounted, how):
    (source / "a.jpg").write_bytes(jpeg(0))
    mount = mounted(source)
    path = mount.at("a.jpg", COMPUTED)
    fd = os.open(path, os.O_RDONLY)
    half = os.pread(fd, 100000, 0)
    if how == "in place":
        (source / "a.jpg").write_bytes(jpeg(1))
    else:
        (source / "b").write_bytes(jpeg(1))
        os.rename(source / "b", source / "a.jpg")
    assert wait_for(lambda: errno_of(os.stat, path) is None and read_all(path) == computed(jpeg(1)), 5)
    assert half + os.pread(fd, 1 << 23, 100000) == computed(jpeg(0))  # what is open keeps its version
    os.close(fd)
    assert read_all(path) == computed(jpeg(1))


def test_damage_is_told_by_open_and_keeps_nothing(source, mounted):
    (source / "a.jpg").write_bytes(jpeg()[:20000])
    data, wanted = large_png()
    (source / "good.png").write_bytes(data)
    broken = bytearray(large_png(1)[0])
    broken[len(broken) // 2] ^= 1
    (source / "bad.png").write_bytes(bytes(broken))
    mount = mounted(source)
    assert read_all(mount.at("good.png", "pixels.f32")) == wanted
    released(mount)  # from now on arrays are made whole
    for name in ("a.jpg", "bad.png"):
        assert open_errno(mount.at(name, "pixels.f32")) == 5  # EIO
    assert mount.stats()["backing_bytes"] == 0
    assert {line["path"] for line in mount.errors()} == {"a.jpg", "bad.png"}


READER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
sys.stdin.readline()
got = b""
try:
    while part := os.read(fd, 1 << 20):
        got += part
    sys.stdout.write(f"{len(got)} {hash(got) == hash(open(sys.argv[2], 'rb').read())}\\n")
except OSError as error:
    print("errno", error.errno)
"""


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_the_end_of_the_mount(source, mounted, tmp_path, end):
    """Who has one open goes on to its end; after kill -9 too, or is told."""
    (source / "a.jpg").write_bytes(jpeg())
    (tmp_path / "wanted").write_bytes(truth(jpeg()))
    mount = Mount(source, tmp_path).start()
    reader = subprocess.Popen([sys.executable, "-c", READER, mount.at("a.jpg", "pixels.f32"), str(tmp_path / "wanted")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "open\n"
        os.kill(mount.process.pid, getattr(signal, end))
        if end == "SIGKILL":
            mount.process.wait(10)
        reader.stdin.write("\n")
        reader.stdin.flush()
        said = reader.stdout.readline()
        assert said == f"{len(truth(jpeg()))} True\n" or (end == "SIGKILL" and said.startswith("errno")), said
    finally:
        reader.kill()
        reader.wait()
        mount.stop()
    mount.assert_clean((0,) if end == "SIGTERM" else (-signal.SIGKILL,))
