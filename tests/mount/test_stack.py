"""Stacks: all images of a directory or archive as one array. What a row holds is the same view of that image, whose exactness
other tests prove."""
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import cv2
import numpy as np
import pytest

import zarr_reader
from case import pattern
from make_png import RGB, png
from pixmount import errno_of, open_errno, read_range

SLOW = float(os.environ.get("PIXFS_SLOW", "1"))


def peak_bytes(mount):
    """VmHWM: the most that was ever resident."""
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) << 10


def write_tree(source, sizes=((20, 30), (25, 18), (40, 40), (20, 30))):
    """cat/0.png ... dog/0.png ... and, in an archive, more.zip/x/0.png"""
    for k, folder in enumerate(("cat", "dog", "a-b")):
        (source / folder).mkdir(parents=True)
        for i, (h, w) in enumerate(sizes):
            (source / folder / f"{i}.png").write_bytes(png(pattern(h, w, 3, 8, 10 * k + i), RGB, 8))
    (source / "cat" / "notes.txt").write_text("no image")
    with zipfile.ZipFile(source / "dog" / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"x/{i}.png", png(pattern(20, 30, 3, 8, 90 + i), RGB, 8))
            archive.writestr(f"{i}.png", png(pattern(20, 30, 3, 8, 80 + i), RGB, 8))


def write_rows(source, count, height=20, width=30):
    source.mkdir(exist_ok=True)
    for i in range(count):
        data = cv2.imencode(".png", pattern(height, width, 3, 8, i)[..., ::-1])[1]
        (source / f"{i:04}.png").write_bytes(data.tobytes())


@pytest.fixture
def tree(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    write_tree(source)
    return source


def load(mount, *path, mode="r"):
    return np.load(mount.at(*path), mmap_mode=mode)


def index_of(mount, *path):
    with open(mount.at(*path)) as file:
        return [json.loads(line) for line in file]


def rows_of(mount, folder, names, spec):
    return np.stack([np.load(mount.at(folder, name, "views", spec)) for name in names])


BELOW = ["a-b/0.png", "a-b/1.png", "a-b/2.png", "a-b/3.png", "cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png",
         "dog/0.png", "dog/1.png", "dog/2.png", "dog/3.png", "dog/more.zip/0.png", "dog/more.zip/1.png", "dog/more.zip/2.png",
         "dog/more.zip/x/0.png", "dog/more.zip/x/1.png", "dog/more.zip/x/2.png"]


def test_a_folder_is_an_array_of_its_images_in_order_of_name(tree, mounted):
    mount = mounted(tree)
    a = load(mount, "cat", ".pixfs", "stack", "rgb,size=16x12,u8.npy")
    assert a.shape == (4, 12, 16, 3) and a.dtype == np.uint8
    assert np.array_equal(a, rows_of(mount, "cat", [f"{i}.png" for i in range(4)], "rgb,size=16x12,u8.npy"))


def test_recursive_takes_all_below_archives_too_ordered_by_path(tree, mounted):
    mount = mounted(tree)
    lines = index_of(mount, ".pixfs", "stack", "recursive,pixels.jsonl")
    assert [line["file_name"] for line in lines] == BELOW == sorted(BELOW, key=os.fsencode)
    assert [line["i"] for line in lines] == list(range(len(BELOW))) and {line["ok"] for line in lines} == {None}
    assert [line["label"] for line in lines] == [os.path.dirname(name) for name in BELOW]
    assert lines[1]["shape"] == [25, 18, 3]
    a = load(mount, ".pixfs", "stack", "recursive,gray,size=8x8.npy")
    assert np.array_equal(a, rows_of(mount, "", BELOW, "gray,size=8x8.npy"))


def test_an_index_names_the_folder_itself_as_label(tree, mounted):
    assert {line["label"] for line in index_of(mounted(tree), "cat", ".pixfs", "stack", "pixels.jsonl")} == {"cat"}


@pytest.mark.parametrize("spec, dtype", [("rgb,size=9x7.f32", "<f4"), ("rgb,size=9x7.f16", "<f2"), ("rgb,size=9x7.u8", "u1"),
                                         ("rgb,size=9x7.u16", "<u2")])
def test_raw_forms_are_the_elements_alone(tree, mounted, spec, dtype):
    mount = mounted(tree)
    wanted = rows_of(mount, "cat", [f"{i}.png" for i in range(4)], spec.replace(".", ",") + ".npy")
    got = np.fromfile(mount.at("cat", ".pixfs", "stack", spec), dtype)
    assert wanted.dtype == np.dtype(dtype) and got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("spec, shape", [("chw,size=9x7", (4, 3, 7, 9)), ("gray,size=9x7,squeeze", (4, 7, 9)),
                                         ("crop=0:0:5:4,blender", (4, 80)), ("r,crop=3:3:1:1,squeeze", (4, 1))])
def test_a_row_has_the_shape_of_its_view(tree, mounted, spec, shape):
    mount = mounted(tree)
    a = load(mount, "cat", ".pixfs", "stack", spec + ".npy")
    assert a.shape == shape
    assert np.array_equal(a, rows_of(mount, "cat", [f"{i}.png" for i in range(4)], spec + ".npy"))
    described = mount.json("cat", ".pixfs", "stack", spec + ".json")
    assert described["shape"] == list(shape) and described["dtype"] == "<f4" and len(described["axes"]) == len(shape)
    assert os.getxattr(mount.at("cat", ".pixfs", "stack", spec + ".npy"), "user.pixfs.shape").decode() == ",".join(map(str, shape))
    assert np.array_equal(zarr_reader.read(mount.at("cat", ".pixfs", "stack", spec + ".zarr")), a)


def test_a_zarr_stack_has_one_chunk_for_each_image(tree, mounted):
    mount = mounted(tree)
    folder = mount.at(".pixfs", "stack", "recursive,rgb,size=6x5,u8.zarr")
    meta = zarr_reader.metadata(folder)
    assert meta["chunk_grid"]["configuration"]["chunk_shape"] == [1, 5, 6, 3] and meta["dimension_names"] == ["n", "y", "x", "c"]
    assert sorted(os.listdir(folder)) == sorted(["zarr.json"] + [f"c.{i}.0.0.0" for i in range(len(BELOW))])
    assert np.array_equal(zarr_reader.read_chunk(folder, meta, (7, 0, 0, 0))[0],
                          np.load(mount.at("cat/3.png/views/rgb,size=6x5,u8.npy")))
    assert open_errno(os.path.join(folder, f"c.{len(BELOW)}.0.0.0")) == errno.ENOENT


def test_different_shapes_are_refused_at_open_and_the_first_is_named(tree, mounted):
    mount = mounted(tree)
    assert open_errno(mount.at("cat", ".pixfs", "stack", "pixels.npy")) == errno.EINVAL
    told = [e for e in mount.errors() if e["stage"] == "stack"]
    assert len(told) == 1 and told[0]["path"] == "cat/.pixfs/stack/pixels.npy" and told[0]["message"].startswith("1.png has shape (25, 18, 3)")
    assert np.load(mount.at("cat", ".pixfs", "stack", "crop=0:0:18:20.npy")).shape == (4, 20, 18, 3)


def test_a_view_that_some_image_cant_have_is_refused(tree, mounted):
    mount = mounted(tree)
    assert open_errno(mount.at("cat", ".pixfs", "stack", "crop=20:0:4:4.npy")) == errno.EINVAL  # 1.png is 18 wide
    assert errno_of(os.stat, mount.at("cat", ".pixfs", "stack", "crop=90:0:4:4.npy")) == errno.EINVAL


@pytest.mark.parametrize("name", ["pixels.tif", "pixels.png", "pixels", "frobnicate.npy", "recursive.npy", "x/y"])
def test_unknown_names_dont_exist(tree, mounted, name):
    assert errno_of(os.stat, mounted(tree).at("cat", ".pixfs", "stack", name)) == errno.ENOENT


def test_a_folder_without_images_has_no_array_and_an_empty_index(tree, mounted):
    mount = mounted(tree)
    assert errno_of(os.stat, mount.at(".pixfs", "stack", "pixels.npy")) == errno.ENOENT
    assert mount.bytes(".pixfs", "stack", "pixels.jsonl") == b""


def test_the_folder_is_never_listed_and_lists_what_it_has(tree, mounted):
    mount = mounted(tree)
    assert ".pixfs" not in os.listdir(mount.at("cat")) and os.listdir(mount.at("cat", ".pixfs")) == ["stack"]
    assert os.listdir(mount.at("cat", ".pixfs", "stack")) == ["README.txt"]
    assert b"recursive" in mount.bytes("cat", ".pixfs", "stack", "README.txt")
    assert "stack" in os.listdir(mount.at(".pixfs"))
    assert errno_of(os.stat, mount.at("cat", "0.png", ".pixfs")) == errno.ENOENT


def test_any_bytes_are_the_bytes_of_a_full_read(tmp_path, mounted):
    write_rows(tmp_path / "source", 60, 11, 13)
    mount = mounted(tmp_path / "source")
    path = mount.at(".pixfs", "stack", "rgb,size=40x30.npy")
    whole = mount.bytes(".pixfs", "stack", "rgb,size=40x30.npy")
    assert len(whole) == 128 + 60 * 40 * 30 * 12
    mount2 = mounted(tmp_path / "source")
    path = mount2.at(".pixfs", "stack", "rgb,size=40x30.npy")
    chosen = random.Random(5)
    for _ in range(300):
        offset = chosen.randrange(len(whole) + 10)
        length = chosen.choice([1, 7, 4096, 100_000, 400_000])
        assert read_range(path, offset, length) == whole[offset:offset + length]


def test_rows_larger_than_a_piece_are_read_in_pieces(tmp_path, mounted):
    write_rows(tmp_path / "source", 3, 700, 600)  # 5 MB as float32
    mount = mounted(tmp_path / "source")
    a = load(mount, ".pixfs", "stack", "pixels.npy")
    assert np.array_equal(a, rows_of(mount, "", ["0000.png", "0001.png", "0002.png"], "pixels.npy"))
    assert np.array_equal(a[1, 333:350], np.load(mount.at("0001.png", "pixels.npy"))[333:350])


# ---- laziness ----

def test_opening_decodes_nothing_and_a_row_decodes_its_image(tmp_path, mounted):
    write_rows(tmp_path / "source", 50, 64, 64)  # 12 KiB each: a page is of one or two rows
    mount = mounted(tmp_path / "source")
    path = mount.at(".pixfs", "stack", "u8.npy")
    assert os.stat(path).st_size == 128 + 50 * 64 * 64 * 3
    with open(path, "rb", buffering=0) as file:
        assert mount.stats()["decodes"] == 0
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(file.fileno(), 100, 128 + 31 * 12288 + 5000) == pattern(64, 64, 3, 8, 31).tobytes()[5000:5100]
        assert mount.stats()["decodes"] == 1


def test_random_rows_decode_no_others(tmp_path, mounted):
    write_rows(tmp_path / "source", 64, 64, 64)
    mount = mounted(tmp_path / "source")
    order = random.Random(1).sample(range(64), 20)
    with open(mount.at(".pixfs", "stack", "u8.npy"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for i in order:
            assert os.pread(file.fileno(), 4096, 128 + i * 12288 + 4096) == pattern(64, 64, 3, 8, i).tobytes()[4096:8192]
        time.sleep(0.1)
        assert mount.stats()["decodes"] <= len(order) + 4  # two neighbours in order may look like a pass


def test_a_pass_decodes_each_image_once(tmp_path, mounted):
    write_rows(tmp_path / "source", 300, 64, 64)
    mount = mounted(tmp_path / "source")
    whole = np.fromfile(mount.at(".pixfs", "stack", "pixels.u8"), np.uint8).reshape(300, 64, 64, 3)
    assert all(np.array_equal(whole[i], pattern(64, 64, 3, 8, i)) for i in range(300))
    assert mount.stats()["decodes"] == 300


def test_what_is_made_ahead_is_bounded_and_stops_with_the_reader(tmp_path, mounted):
    write_rows(tmp_path / "source", 400, 128, 128)  # 49 KB each, 20 MB in all
    mount = mounted(tmp_path / "source")
    with open(mount.at(".pixfs", "stack", "pixels.u8"), "rb", buffering=0) as file:
        for i in range(20):
            os.pread(file.fileno(), 49152, i * 49152)
    time.sleep(0.3 * SLOW)
    decoded = mount.stats()["decodes"]
    time.sleep(0.3)
    assert mount.stats()["decodes"] == decoded < 300


def test_memory_stays_within_the_budget_over_a_stack_ten_times_as_large(tmp_path, mounted):
    write_rows(tmp_path / "source", 40, 300, 400)  # 1.4 MB as float32 each after decoding, 58 MB in all; 230 MB enlarged
    mount = mounted(tmp_path / "source", "cache_size=8M")
    a = load(mount, ".pixfs", "stack", "size=800x600.npy")
    most = 0
    for i in range(len(a)):
        float(a[i, ::50].sum())
        most = max(most, mount.stats()["cache_bytes"])
    assert a.nbytes > 200 << 20 and most <= 8 << 20
    if SLOW == 1:  # a sanitizer has memory of its own
        assert peak_bytes(mount) <= (8 + 64) << 20


# ---- damage ----

def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xff
    path.write_bytes(data)


@pytest.mark.parametrize("ruin", [damage, lambda path: path.write_bytes(b"no image"), lambda path: path.write_bytes(b"")])
def test_a_damaged_member_is_nan_in_floats_an_error_in_integers_and_told(tmp_path, mounted, ruin):
    source = tmp_path / "source"
    write_rows(source, 9, 70, 60)
    ruin(source / "0004.png")
    mount = mounted(source)
    for spec, dtype in (("pixels.npy", "<f4"), ("f16.npy", "<f2")):
        a = load(mount, ".pixfs", "stack", spec)
        assert a.dtype == np.dtype(dtype) and np.isnan(a[4]).all()
        for i in (0, 3, 5, 8):
            assert np.array_equal(a[i], np.load(mount.at(f"{i:04}.png", "views", spec)))
    with open(mount.at(".pixfs", "stack", "u8.npy"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        row = 70 * 60 * 3
        assert errno_of(os.pread, file.fileno(), 100, 128 + 4 * row + 5000) == errno.EIO
        assert os.pread(file.fileno(), 100, 128 + 8 * row) == pattern(70, 60, 3, 8, 8).tobytes()[:100]
    lines = index_of(mount, ".pixfs", "stack", "pixels.jsonl")
    assert [line["ok"] for line in lines] == [i != 4 for i in range(9)] and ("error" in lines[4]) == (lines[4]["shape"] is None)
    assert [e["path"] for e in mount.errors()] == ["0004.png"]
    folder = mount.at(".pixfs", "stack", "u8.zarr")
    assert errno_of(zarr_reader.read_chunk, folder, zarr_reader.metadata(folder), (4, 0, 0, 0)) == errno.EIO
    assert np.array_equal(zarr_reader.read_chunk(folder, zarr_reader.metadata(folder), (5, 0, 0, 0))[0], pattern(70, 60, 3, 8, 5))


def test_the_first_image_may_be_the_damaged_one(tmp_path, mounted):
    source = tmp_path / "source"
    write_rows(source, 3)
    (source / "0000.png").write_bytes(b"broken")
    a = load(mounted(source), ".pixfs", "stack", "pixels.npy")
    assert a.shape == (3, 20, 30, 3) and np.isnan(a[0]).all() and np.array_equal(np.rint(a[1] * 255), pattern(20, 30, 3, 8, 1))


# ---- sources that change ----

def test_new_and_changed_images_make_another_stack(tmp_path, mounted):
    source = tmp_path / "source"
    write_rows(source, 3)
    mount = mounted(source)
    name = (".pixfs", "stack", "u8.npy")
    before = load(mount, *name)
    assert before.shape[0] == 3 and np.array_equal(before[1], pattern(20, 30, 3, 8, 1))
    (source / "0001.png").write_bytes(png(pattern(20, 30, 3, 8, 77), RGB, 8))
    (source / "0003.png").write_bytes(png(pattern(20, 30, 3, 8, 3), RGB, 8))
    time.sleep(1.2)
    after = load(mount, *name)
    assert after.shape[0] == 4 and np.array_equal(after[1], pattern(20, 30, 3, 8, 77)) and np.array_equal(after[3], pattern(20, 30, 3, 8, 3))
    assert np.array_equal(before[1], pattern(20, 30, 3, 8, 1))  # what was read stays


def test_an_open_stack_never_shows_another_version(tmp_path, mounted):
    source = tmp_path / "source"
    write_rows(source, 3, 64, 64)
    mount = mounted(source)
    with open(mount.at(".pixfs", "stack", "pixels.u8"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(file.fileno(), 100, 0)
        (source / "0002.png").write_bytes(png(pattern(64, 64, 3, 8, 99), RGB, 8))
        assert errno_of(os.pread, file.fileno(), 100, 2 * 12288 + 4096) == errno.ESTALE
    assert np.fromfile(mount.at(".pixfs", "stack", "pixels.u8"), np.uint8)[2 * 12288:].tobytes() == pattern(64, 64, 3, 8, 99).tobytes()


def test_a_replaced_archive_is_another_stack(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()

    def write(seed, count):
        with zipfile.ZipFile(source / "new.tmp", "w") as archive:
            for i in range(count):
                archive.writestr(f"{i}.png", png(pattern(20, 30, 3, 8, seed + i), RGB, 8))
        os.rename(source / "new.tmp", source / "a.zip")

    write(0, 3)
    mount = mounted(source)
    assert load(mount, "a.zip", ".pixfs", "stack", "u8.npy").shape[0] == 3
    write(50, 5)
    time.sleep(1.2)
    a = load(mount, "a.zip", ".pixfs", "stack", "u8.npy")
    assert a.shape[0] == 5 and np.array_equal(a[4], pattern(20, 30, 3, 8, 54))


# ---- many readers, and one who loses patience ----

READER = """
import sys, numpy as np
a = np.load(sys.argv[1], mmap_mode="r")
order = np.random.RandomState(int(sys.argv[2])).randint(0, len(a), 60)
print(int(a[order].astype(np.int64).sum()), int(a[5:50:7, 3:9].astype(np.int64).sum()))
"""


def test_eight_processes_index_one_stack(tmp_path, mounted):
    write_rows(tmp_path / "source", 120, 24, 24)
    path = mounted(tmp_path / "source").at(".pixfs", "stack", "u8.npy")
    wanted = np.stack([pattern(24, 24, 3, 8, i) for i in range(120)]).astype(np.int64)
    readers = [subprocess.Popen([sys.executable, "-c", READER, path, str(seed)], stdout=subprocess.PIPE, text=True) for seed in range(8)]
    for seed, reader in enumerate(readers):
        order = np.random.RandomState(seed).randint(0, 120, 60)
        assert reader.communicate(timeout=60 * SLOW)[0].split() == [str(wanted[order].sum()), str(wanted[5:50:7, 3:9].sum())]


def test_the_first_look_can_be_interrupted(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    one = png(pattern(8, 8, 3, 8, 1), RGB, 8)
    count = 30_000
    with zipfile.ZipFile(source / "many.zip", "w") as archive:
        for i in range(count):
            archive.writestr(zipfile.ZipInfo(f"{i}.png"), one)
    mount = mounted(source, "threads=1")
    path = mount.at("many.zip", ".pixfs", "stack", "u8.npy")
    assert os.stat(path).st_size == 128 + count * 192
    opens = mount.stats()["opens"]
    assert opens < count  # the size needs one header
    reader = subprocess.Popen(["head", "-c", "1", path], stdout=subprocess.DEVNULL)
    time.sleep(0.1)
    reader.send_signal(signal.SIGINT)
    start = time.monotonic()
    reader.wait(timeout=30)
    assert time.monotonic() - start < 0.5 * SLOW
    assert mount.bytes("many.zip", ".pixfs", "stack", "u8.npy")[128:] == pattern(8, 8, 3, 8, 1).tobytes() * count


def test_cat_needs_no_mount(tree, mounted):
    mount = mounted(tree)
    name = "cat/.pixfs/stack/rgb,size=9x7,u8.npy"
    out = subprocess.run([os.environ["PIXFS_BIN"], "cat", tree, name], capture_output=True, timeout=60 * SLOW, check=True).stdout
    assert out == mount.bytes(*name.split("/"))


def test_a_single_archive_as_source_has_stacks(tree, mounted):
    shutil.copy(tree / "dog" / "more.zip", tree.parent / "one.zip")
    mount = mounted(tree.parent / "one.zip")
    assert load(mount, ".pixfs", "stack", "recursive,u8.npy").shape == (6, 20, 30, 3)
