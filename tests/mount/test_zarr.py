"""views/<spec>.zarr: a Zarr v3 array whose chunks are decode units. What it must hold is the same spec's .npy."""
import errno
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

import make_exr
import make_exr_cases
import zarr_reader
from case import pattern
from make_png import PALETTE, RGB, RGBA, chunk, png
from pixmount import Mount, errno_of, open_errno

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ZARRITA = os.path.join(REPOSITORY, "build", "npm", "node_modules", "zarrita")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = tmp_path_factory.mktemp("zarr")
    (source / "rgb.png").write_bytes(png(pattern(700, 301, 3, 8, 1), RGB, 8))
    (source / "rgba16.png").write_bytes(png(pattern(20, 30, 4, 16, 2), RGBA, 16))
    (source / "wide.png").write_bytes(png(pattern(3, 9000, 3, 16, 3), RGB, 16))
    for case in make_exr_cases.make_all():
        (source / case.name).write_bytes(case.data)
    return source


@pytest.fixture(scope="module")
def mount(folder, tmp_path_factory):
    mount = Mount(folder, tmp_path_factory.mktemp("mount"))
    with mount:
        yield mount
    mount.assert_clean()


SPECS = ["pixels", "native", "chw", "gray,squeeze", "gray,chw,squeeze", "crop=3:1:21:12", "rot=90", "mirror,u8", "rgb,size=33x17,f16",
         "blender", "r,squeeze,chw", "crop=0:0:1:1,gray,squeeze", "crop=2:0:1:9,chw,squeeze", "upright,bgra,u16"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("image", ["rgb.png", "rgba16.png", "wide.png"])
def test_the_array_is_the_views(mount, image, spec):
    wanted = np.load(mount.at(image, "views", spec + ".npy"))
    got = zarr_reader.read(mount.at(image, "views", spec + ".zarr"))
    assert got.shape == wanted.shape and got.dtype == wanted.dtype and got.tobytes() == wanted.tobytes()


def exr_images(mount):
    return [name for name in sorted(os.listdir(mount.at())) if name.endswith(".exr")]


def test_every_exr_is_the_same_array(mount):
    compared = 0
    for image in exr_images(mount):
        for spec in ("pixels", "chw"):
            if errno_of(np.load, mount.at(image, "pixels.npy")):
                continue
            wanted = np.load(mount.at(image, "views", spec + ".npy"))
            got = zarr_reader.read(mount.at(image, "views", spec + ".zarr"))
            assert got.shape == wanted.shape and got.tobytes() == wanted.tobytes(), (image, spec)
            compared += 1
    assert compared > 40


def test_chunks_are_the_codecs_own(mount):
    compared = 0
    for image in exr_images(mount):
        with open(mount.at(image, "meta.json")) as file:
            meta = json.load(file)
        if meta["error"] or meta["chunk"] is None or errno_of(np.load, mount.at(image, "pixels.npy")):
            continue
        grid = zarr_reader.metadata(mount.at(image, "views", "pixels.zarr"))["chunk_grid"]["configuration"]["chunk_shape"]
        assert grid[:2] == [min(meta["chunk"][0], meta["height"]), min(meta["chunk"][1], meta["width"])], image
        compared += meta["chunk"][1] < meta["width"]
    assert compared > 3  # tiles


def test_one_chunk_decodes_one_chunk(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    part = make_exr.simple(["R", "G", "B"], make_exr.HALF, width=300, height=400, tile=(64, 64))  # more than open decodes
    (source / "tiled.exr").write_bytes(make_exr.exr(part))
    mount = mounted(source)
    folder = mount.at("tiled.exr", "views", "pixels.zarr")
    chunk = zarr_reader.read_chunk(folder, zarr_reader.metadata(folder), (2, 1, 0))
    assert mount.stats()["decodes"] == 1
    assert np.array_equal(chunk, np.load(mount.at("tiled.exr", "pixels.npy"))[128:192, 64:128], equal_nan=True)


def test_a_listing_has_every_chunk_and_a_copy_is_a_whole_array(mount, tmp_path):
    folder = mount.at("rgb.png", "views", "chw.zarr")
    meta = zarr_reader.metadata(folder)
    assert len(os.listdir(folder)) == 1 + int(np.prod(zarr_reader.grid(meta)))
    shutil.copytree(folder, tmp_path / "copy.zarr")
    assert np.array_equal(zarr_reader.read(tmp_path / "copy.zarr"), np.load(mount.at("rgb.png", "views", "chw.npy")))


@pytest.mark.parametrize("name", ["c.0.0", "c.0.0.0.0", "c.00.0.0", "c.0.0.1", "c.9999.0.0", "c.-1.0.0", "c/0", "zarr", "c.", "c",
                                  "c.18446744073709551616.0.0", ".zarray", "x.npy"])
def test_there_are_no_other_names(mount, name):
    assert open_errno(mount.at("rgb.png", "views", "pixels.zarr", name)) in (errno.ENOENT, errno.ENOTDIR)


def test_an_impossible_spec_is_no_array(mount):
    assert errno_of(os.stat, mount.at("rgb.png", "views", "crop=9:9:0:0.zarr")) == errno.EINVAL
    assert errno_of(os.stat, mount.at("rgb.png", "views", "frobnicate.zarr")) == errno.ENOENT


def test_a_chunk_that_cant_be_decoded_is_an_input_error(tmp_path, mounted):
    """A reader takes a chunk that doesn't exist for the fill value."""
    source = tmp_path / "source"
    source.mkdir()
    data = bytearray(png(pattern(700, 301, 3, 8, 1), RGB, 8))
    data[len(data) // 2] ^= 1
    (source / "a.png").write_bytes(data)
    mount = mounted(source)
    chunks = mount.at("a.png", "views", "pixels.zarr")
    names = os.listdir(chunks)
    assert len(names) > 1
    assert {open_errno(os.path.join(chunks, name)) for name in names if name != "zarr.json"} == {errno.EIO}


def test_extended_attributes_tell_shape_and_type(mount):
    folder = mount.at("rgb.png", "views", "chw,u8.zarr")
    assert os.getxattr(folder, "user.pixfs.shape") == b"3,700,301"
    assert os.getxattr(folder, "user.pixfs.dtype") == b"|u1"
    assert os.getxattr(os.path.join(folder, "zarr.json"), "user.mime_type") == b"application/json"


SCRIPT = """
import * as zarr from "file://%s/dist/src/index.js";
import { FileSystemStore } from "file://%s/../@zarrita/storage/dist/src/index.js";
const array = await zarr.open.v3(new FileSystemStore(process.argv[2]), { kind: "array" });
const part = await zarr.get(array, JSON.parse(process.argv[3]).map(s => s === null ? null : zarr.slice(...s)));
const chunk = await array.getChunk(JSON.parse(process.argv[4]));
const text = x => ({ shape: x.shape, stride: x.stride, data: Array.from(x.data) });
console.log(JSON.stringify({ shape: array.shape, chunks: array.chunks, part: text(part), chunk: text(chunk) }));
"""


def strided(result):
    data = np.array(result["data"])
    return np.lib.stride_tricks.as_strided(data, result["shape"], [s * data.itemsize for s in result["stride"]])


@pytest.mark.skipif(not os.path.isdir(ZARRITA) or not shutil.which("node"), reason="zarrita (npm) is not installed")
@pytest.mark.parametrize("spec", ["u8", "chw,u8", "chw", "gray,squeeze"])
def test_zarrita_reads_chunks_and_slices(mount, tmp_path, spec):
    script = tmp_path / "read.mjs"
    script.write_text(SCRIPT % (ZARRITA, ZARRITA))
    folder = mount.at("rgb.png", "views", spec + ".zarr")
    wanted = np.load(mount.at("rgb.png", "views", spec + ".npy"))
    slices = {3: [[0, 2], [200, 460], [1, 300]], 2: [[250, 420], [7, 290]]}[wanted.ndim]
    if not spec.startswith("chw") and wanted.ndim == 3:
        slices = [[200, 460], [1, 300], [0, 2]]
    first = [0] * wanted.ndim
    result = json.loads(subprocess.run(["node", script, folder, json.dumps(slices), json.dumps(first)], capture_output=True,
                                       text=True, timeout=60, check=True).stdout)
    assert result["shape"] == list(wanted.shape)
    assert np.array_equal(strided(result["part"]).astype(wanted.dtype), wanted[tuple(slice(*s) for s in slices)])
    chunk = strided(result["chunk"]).astype(wanted.dtype)
    inside = tuple(slice(0, min(n, m)) for n, m in zip(chunk.shape, wanted.shape))
    assert np.array_equal(chunk[inside], wanted[inside])


def test_a_palettes_indices_are_an_array_too(tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    palette = bytes(range(48))
    (source / "p.png").write_bytes(png(pattern(40, 50, 1, 4, 1), PALETTE, 4, before=chunk(b"PLTE", palette)))
    mount = mounted(source)
    assert np.array_equal(zarr_reader.read(mount.at("p.png", "views", "native.zarr")), np.load(mount.at("p.png", "views", "native.npy")))
