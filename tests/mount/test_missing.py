"""An EXR with a missing chunk: what needs the chunk is EIO at open, all else opens and is right, in any order."""
import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import make_exr
import zarr_reader
from case import pattern
from judge import same_bits
from make_exr import DECREASING, HALF, MIP, ZIP, Part, exr, simple
from make_png import RGB, png
from pixmount import open_errno, read_all
from test_lazy import spent

NAMES = ["R", "G", "B"]
ALL = NAMES + ["fog.Y"]


class Lacking:
    """Tile 2, 1 or rows 32 to 47 are missing: never written, or where the table leads is no chunk."""

    def __init__(self, size, tiled, how, **fields):
        width, height, self.tile = (96, 64, 16) if size == "small" else (512, 320, 64)
        part = simple(ALL, HALF, width, height, seed=7, compression=ZIP, tile=(self.tile, self.tile) if tiled else None, **fields)
        self.bad = width // self.tile + 2 if tiled else 2
        if how == "never written":
            part.missing = {self.bad}
        self.data = bytearray(exr(part))
        if how == "destroyed":
            place, raw = make_exr.chunks(part)[self.bad]
            leader = place + len(make_exr.compress(raw, ZIP)).to_bytes(4, "little")
            assert self.data.count(leader) == 1
            at = self.data.index(leader)
            self.data[at : at + len(leader)] = b"\xff" * len(leader)
        self.pixels = make_exr.stack(part.channels, NAMES)
        self.words = ("tile 2, 1 of level 0" if tiled else "rows 32 to 47") + (": missing, its entry of the offset table leads nowhere" if how == "never written" else "")
        x, y, tile = (2 * self.tile, self.tile, self.tile) if tiled else (0, 32, 16)
        self.touching = [(x, y, tile, 16), (x + tile - 1, y + 15, 9, 9), (0, 0, width, height), (x + 3, 0, 1, height)]
        self.avoiding = [(0, 0, width, 32 if not tiled else tile), (3, y + tile, width - 5, height - y - tile), (5, 5, 20, 9)]
        self.avoiding += [(0, 0, 2 * tile, height), (x + tile, 0, 30, height)] if tiled else []


CASES = [(size, tiled, how) for size in ("small", "large") for tiled in (True, False) for how in ("never written", "destroyed")]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{'tiles' if case[1] else 'rows'}-{case[2].replace(' ', '-')}")
def lacking(request, source):
    made = Lacking(*request.param)
    (source / "a.exr").write_bytes(made.data)
    return made


def crop(mount, box, more=""):
    return mount.at("a.exr", "views", "crop={}:{}:{}:{}".format(*box) + more + ".f32")


def expect_crops(mount, made):
    for box in made.avoiding:
        x, y, width, height = box
        assert read_all(crop(mount, box)) == made.pixels[y : y + height, x : x + width].tobytes(), box
    for box in made.touching:
        assert open_errno(crop(mount, box)) == errno.EIO, box


def expect_no_whole(mount, made):
    for name in ("pixels.f32", "pixels.npy", "channels/G.f32", "layers/fog/pixels.npy", "layers/fog/views/crop={}:{}:{}:{}.npy".format(*made.touching[0]), "views/r,short=8.f32", "views/gray.png"):
        assert open_errno(mount.at("a.exr", name)) == errno.EIO, name


@pytest.mark.parametrize("order", ["whole first", "crops first"])
def test_only_what_needs_the_chunk_fails(lacking, source, mounted, order):
    mount = mounted(source)
    for expect in [expect_no_whole, expect_crops, expect_no_whole][order == "crops first" :]:
        expect(mount, lacking)
    x, y, width, height = box = lacking.avoiding[0]
    assert read_all(crop(mount, box, ",mirror,chw")) == lacking.pixels[y : y + height, x : x + width][:, ::-1].transpose(2, 0, 1).tobytes()


def test_it_is_told_once_and_with_words(lacking, source, mounted):
    mount = mounted(source)
    read_all(crop(mount, lacking.avoiding[0]))
    assert not mount.errors()
    for _ in range(3):
        expect_no_whole(mount, lacking)
        expect_crops(mount, lacking)
    (line,) = mount.errors()
    assert line["path"] == "a.exr" and line["errno"] == "EIO" and line["stage"] == "check"
    assert line["message"].startswith(lacking.words)
    assert os.getxattr(mount.at("a.exr", "pixels.f32"), "user.pixfs.error").decode() == line["message"]


def test_the_chunks_of_a_zarr_array_but_one(lacking, source, mounted):
    folder = mounted(source).at("a.exr", "views", "pixels.zarr")
    meta = zarr_reader.metadata(folder)
    height, width, channels = meta["chunk_grid"]["configuration"]["chunk_shape"]
    rows, columns, _ = zarr_reader.grid(meta)
    for number in range(rows * columns):
        cy, cx = divmod(number, columns)
        name = os.path.join(folder, zarr_reader.chunk_name(meta, (cy, cx, 0)))
        if number == lacking.bad:
            assert open_errno(name) == errno.EIO
            continue
        got = zarr_reader.read_chunk(folder, meta, (cy, cx, 0))
        wanted = lacking.pixels[cy * height : (cy + 1) * height, cx * width : (cx + 1) * width]
        assert same_bits(np.ascontiguousarray(got[: wanted.shape[0], : wanted.shape[1]]), np.ascontiguousarray(wanted)), (cy, cx)


def test_verify_full_refuses_all_of_it(lacking, source, mounted):
    mount = mounted(source, "verify=full")
    for box in lacking.avoiding + lacking.touching:
        assert open_errno(crop(mount, box)) == errno.EIO
    (line,) = mount.errors()
    assert line["message"].startswith(lacking.words)


def test_reading_on_to_the_chunk_costs_only_the_reader(source, mounted):
    """Without checks whoever reads the chunk gets EIO, and that says nothing about the others."""
    made = Lacking("large", False, "never written")
    (source / "a.exr").write_bytes(made.data)
    for options in ("verify=off", ""):
        mount = mounted(source, options)
        for _ in range(2):
            x, y, width, height = made.avoiding[0]  # all rows above the chunk: who reads them on and on is decoded ahead for
            assert read_all(crop(mount, made.avoiding[0])) == made.pixels[:32].tobytes()
            with pytest.raises(OSError):
                read_all(mount.at("a.exr", "pixels.f32"))


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_file_cut_short_has_the_rows_above(source, mounted, size):
    made = Lacking(size, False, "nothing")
    (source / "a.exr").write_bytes(made.data[: len(made.data) * 3 // 4])
    mount = mounted(source)
    assert open_errno(mount.at("a.exr", "pixels.f32")) == errno.EIO
    assert read_all(crop(mount, (0, 0, 90, 16))) == made.pixels[:16, :90].tobytes()
    assert open_errno(crop(mount, (0, 60, 90, 4) if size == "small" else (0, 300, 90, 4))) == errno.EIO


def test_levels_and_parts_fail_alone(source, mounted):
    first = mip_part("first", {0})
    second = mip_part("second", {16 + 1})
    (source / "a.exr").write_bytes(exr(first, second))
    mount = mounted(source)
    layers = sorted(os.listdir(mount.at("a.exr", "layers")))
    assert len(layers) == 2 and layers[0].startswith("first")
    for _ in range(2):
        assert open_errno(mount.at("a.exr", "pixels.f32")) == errno.EIO
        for layer, part, bad in ((layers[0], first, 0), (layers[1], second, 1)):
            for level in (0, 1, 2):
                folder = mount.at("a.exr", "layers", layer, *(["mips", str(level)] if level else []))
                if level == bad:
                    assert open_errno(os.path.join(folder, "pixels.f32")) == errno.EIO
                else:
                    assert read_all(os.path.join(folder, "pixels.f32")) == make_exr.stack(part.channels, NAMES, (level, level)).tobytes()


def mip_part(name, missing):
    """256 x 256 with levels, tiles of 64 x 64: 16, 4, 1 ... of them."""
    part = Part([], (0, 0, 255, 255), compression=ZIP, tile=(64, 64), mode=MIP, name=name, missing=missing)
    part.channels = [make_exr.channel(n, HALF, lambda level: part.size(level), seed=len(name), levels=part.levels()) for n in NAMES]
    return part


def test_decreasing_rows_name_the_same_chunk(source, mounted):
    made = Lacking("large", False, "never written", line_order=DECREASING)
    (source / "a.exr").write_bytes(made.data)
    mount = mounted(source)
    expect_crops(mount, made)
    assert {line["message"] for line in mount.errors()} == {made.words}


def test_a_row_of_a_stack_needs_its_crop_alone(source, mounted):
    made = Lacking("large", True, "never written")
    (source / "a.exr").write_bytes(made.data)
    whole = Lacking("large", True, "nothing")
    (source / "b.exr").write_bytes(whole.data)
    mount = mounted(source)
    for box in (made.avoiding[0], made.touching[0], made.avoiding[1]):
        x, y, width, height = box
        got = np.load(mount.at(".pixfs", "stack", "crop={}:{}:{}:{}.npy".format(*box)))
        wanted = whole.pixels[y : y + height, x : x + width]
        assert same_bits(got[1], np.ascontiguousarray(wanted))
        assert np.isnan(got[0]).all() if box in made.touching else same_bits(got[0], np.ascontiguousarray(wanted))


def test_a_bad_checksum_of_a_png_still_fails_every_view(source, mounted):
    data = bytearray(png(pattern(300, 400, 3, 8, 1), RGB, 8, pieces=8))
    data[-30] ^= 1
    (source / "b.png").write_bytes(data)
    mount = mounted(source)
    for name in ("views/crop=0:0:4:4.f32", "pixels.f32", "views/pixels.zarr/zarr.json"):
        assert open_errno(mount.at("b.png", name)) == errno.EIO, name


def test_a_crop_of_many_tiles_checks_its_own(source, mounted):
    """4096 tiles: the table of 32 KiB and the headers of four tiles, of the whole all headers, and none of them twice."""
    part = simple(NAMES, HALF, 256, 256, seed=3, tile=(4, 4))
    (source / "a.exr").write_bytes(exr(part))
    pixels = make_exr.stack(part.channels, NAMES)
    mount = mounted(source)
    os.stat(mount.at("a.exr", "pixels.f32"))
    box = (100, 40, 8, 8)
    first = spent(mount, lambda: read_all(crop(mount, box)))
    assert read_all(crop(mount, box)) == pixels[40:48, 100:108].tobytes()
    assert 32768 < first["bytes_checked"] < 32768 + 4 * 64 and first["decodes"] == 4
    again, other, whole, last = (spent(mount, lambda at=at: open_errno(at))["bytes_checked"]
                                 for at in (crop(mount, box, ",chw"), crop(mount, (0, 0, 4, 4)), mount.at("a.exr", "pixels.f32"), mount.at("a.exr", "pixels.npy")))
    assert again == last == 0 and 0 < other <= 64 and 4000 * 20 < whole < 4096 * 64


@pytest.mark.parametrize("options", ["", "threads=1", "threads=4"])
def test_of_several_missing_tiles_the_first_is_named(source, mounted, options):
    """16,384 tiles are looked at by several threads."""
    part = simple(["R"], HALF, 512, 512, seed=4, tile=(4, 4), missing={16000, 9000, 5000, 5001})
    (source / "a.exr").write_bytes(exr(part))
    pixels = make_exr.stack(part.channels, ["R"])
    mount = mounted(source, options)
    for _ in range(2):
        assert open_errno(mount.at("a.exr", "pixels.f32")) == errno.EIO
        assert [line["message"].split(":")[0] for line in mount.errors()] == [f"tile {5000 % 128}, {5000 // 128} of level 0"]
    assert read_all(crop(mount, (0, 0, 512, 4 * (5000 // 128)))) == pixels[: 4 * (5000 // 128)].tobytes()


def test_many_open_it_at_once(lacking, source, mounted):
    mount = mounted(source)
    good = [(box, lacking.pixels[box[1] : box[1] + box[3], box[0] : box[0] + box[2]].tobytes()) for box in lacking.avoiding] * 4
    bad = lacking.touching * 4
    with ThreadPoolExecutor(16) as pool:
        failed = pool.map(lambda box: open_errno(crop(mount, box)), bad)
        read = pool.map(lambda one: read_all(crop(mount, one[0])) == one[1], good)
        assert set(failed) == {errno.EIO} and all(read)
    assert len(mount.errors()) == 1
