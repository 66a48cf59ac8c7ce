"""PNG through the mount: every kind gives exactly its stored values."""
import io
import os

import numpy as np
import pytest

import make_png
from judge import difference, same_bits
from pixmount import array_of, dig

CASES = list(make_png.make_all())
IDS = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_pixels(fixture_mount, case):
    path = fixture_mount.at("png", case.name)
    got = array_of(path)
    assert same_bits(got, case.pixels), difference(got, case.pixels)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_npy_loads_whole_and_mapped(fixture_mount, case):
    path = fixture_mount.at("png", case.name, "pixels.npy")
    assert same_bits(np.load(path), case.pixels)
    mapped = np.load(path, mmap_mode="r")
    assert mapped.dtype == np.dtype("<f4") and mapped.flags.c_contiguous and same_bits(mapped, case.pixels)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_meta_tells_the_header(fixture_mount, case):
    meta = fixture_mount.json("png", case.name, "meta.json")
    assert meta["shape"] == list(case.pixels.shape)
    assert meta["nbytes"] == case.pixels.nbytes
    if case.channel_names:
        assert meta["channel_names"] == case.channel_names
    for key, value in case.meta.items():
        assert dig(meta, key) == value, key


NATIVE = [case for case in CASES if case.native is not None]


@pytest.mark.parametrize("case", NATIVE, ids=[case.name for case in NATIVE])
def test_native_view_has_the_stored_samples(fixture_mount, case):
    got = np.load(fixture_mount.at("png", case.name, "views", "native.npy"))
    assert got.dtype == case.native.dtype
    assert np.array_equal(got.reshape(case.native.shape), case.native)


@pytest.mark.parametrize("case", NATIVE[:6], ids=[case.name for case in NATIVE[:6]])
def test_memmap_reads_any_row(fixture_mount, case):
    mapped = np.memmap(fixture_mount.at("png", case.name, "pixels.f32"), "<f4", "r", shape=case.pixels.shape)
    for row in (0, case.pixels.shape[0] - 1, case.pixels.shape[0] // 2):
        assert same_bits(np.array(mapped[row]), case.pixels[row])


def test_random_ranges_equal_one_full_read(fixture_mount):
    path = fixture_mount.at("png", "rgba16_interlaced.png", "pixels.npy")
    with open(path, "rb", buffering=0) as file:
        whole = file.read()
        random = np.random.default_rng(1)
        for _ in range(200):
            offset, length = random.integers(0, len(whole) + 10), random.integers(0, 300)
            file.seek(offset)
            assert file.read(length) == whole[offset : offset + length]


def test_npy_header_is_128_bytes_of_version_1(fixture_mount):
    data = fixture_mount.bytes("png", "rgb8.png", "pixels.npy")
    assert np.lib.format.read_magic(io.BytesIO(data)) == (1, 0)
    file = io.BytesIO(data)
    file.seek(8)
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    assert (shape, fortran, dtype, file.tell()) == ((9, 13, 3), False, np.dtype("<f4"), 128)


def test_gray_is_three_dimensional(fixture_mount):
    assert np.load(fixture_mount.at("png", "gray8.png", "pixels.npy")).shape == (9, 13, 1)


def channels_of(case):
    return {name: case.pixels[:, :, number] for number, name in enumerate(case.channel_names)}


@pytest.mark.parametrize("name", ["rgba16.png", "gray_alpha8.png", "trns_palette4.png", "trns_rgb16.png", "palette2.png", "gray1.png"])
def test_channels_resolve(fixture_mount, name):
    case = next(c for c in CASES if c.name == name)
    for channel, wanted in channels_of(case).items():
        path = fixture_mount.at("png", name, "channels", channel)
        assert same_bits(np.fromfile(path + ".f32", "<f4").reshape(wanted.shape), wanted), channel
        assert same_bits(np.load(path + ".npy"), wanted), channel


@pytest.mark.parametrize("spec,channels", [("rgb", "RGB"), ("rgba", "RGBA"), ("r", "R"), ("g", "G"), ("b", "B"), ("a", "A")])
@pytest.mark.parametrize("name", ["rgba16.png", "rgb8.png", "gray8.png", "gray_alpha8.png", "palette4.png"])
def test_selecting_views(fixture_mount, name, spec, channels):
    """gray is repeated, a missing alpha is 1"""
    case = next(c for c in CASES if c.name == name)
    have = channels_of(case)
    one = np.ones(case.pixels.shape[:2], np.float32)
    wanted = np.dstack([have.get(c, have.get("Y", one) if c != "A" else one) for c in channels])
    got = np.load(fixture_mount.at("png", name, "views", spec + ".npy"))
    assert same_bits(got.reshape(wanted.shape), wanted), difference(got.reshape(wanted.shape), wanted)


def test_chw_view_is_planar(fixture_mount):
    case = next(c for c in CASES if c.name == "rgb8.png")
    assert same_bits(np.load(fixture_mount.at("png", case.name, "views", "chw.npy")), case.pixels.transpose(2, 0, 1))


def test_blender_view_is_rgba_bottom_row_first(fixture_mount):
    case = next(c for c in CASES if c.name == "rgb8.png")
    wanted = np.dstack([case.pixels, np.ones(case.pixels.shape[:2], np.float32)])[::-1]
    assert np.array_equal(np.fromfile(fixture_mount.at("png", case.name, "views", "blender.f32"), "<f4"), wanted.ravel())


def test_gray_view_weighs_by_bt709(fixture_mount):
    case = next(c for c in CASES if c.name == "rgb16.png")
    got = np.load(fixture_mount.at("png", case.name, "views", "gray.npy"))
    wanted = case.pixels.astype(np.float64) @ [0.2126, 0.7152, 0.0722]
    assert got.shape == (9, 13, 1) and np.allclose(got[:, :, 0], wanted, rtol=1e-6, atol=1e-7)


def test_sbit_is_told_and_not_applied(fixture_mount):
    assert fixture_mount.json("png", "chunk_sbit.png", "meta.json")["significant_bits"] in ([5, 6, 5], 6)


def test_ignored_ancillary_chunk_is_told(fixture_mount):
    text = fixture_mount.bytes("png", "chunk_text_bad_crc.png", "meta.json").decode()
    assert "CRC" in text and "ignored" in text


def test_text_chunks_are_in_meta(fixture_mount):
    attributes = fixture_mount.json("png", "chunk_text.png", "meta.json")["attributes"]["png"]
    values = str(attributes)
    assert "café" in values and "Grüße 漢字" in values and "© packed" in values and "packed packed" in values


def test_large_metadata_are_files(fixture_mount):
    assert fixture_mount.bytes("png", "chunk_iccp.png", "attributes", "icc.icc") == make_png.icc_profile()
    assert "attributes" in os.listdir(fixture_mount.at("png", "chunk_iccp.png"))
    assert make_png.exif(6) in fixture_mount.bytes("png", "chunk_exif.png", "attributes", "exif.bin")
