"""OpenEXR through the mount: every bit of every channel, layers, levels, parts, and what the header says."""
import errno
import os
import struct

import numpy as np
import pytest

import judge
import make_exr
import make_exr_cases
import make_exr_other
from judge import difference, same_bits, same_values
from pixmount import array_of, dig

HAND = list(make_exr_cases.make_all())
OTHER = list(make_exr_other.make_all())
CASES = HAND + OTHER
IDS = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_pixels(fixture_mount, fixture_dir, case):
    got = array_of(fixture_mount.at("exr", case.name))
    if case.pixels is None and case.channel_names is None:
        assert got.shape[2] == len(case.channels)
        return
    if case.pixels is not None:
        assert same_bits(got, case.pixels), difference(got, case.pixels)
        return
    array, names = judge.read_oiio(str(fixture_dir / "exr" / case.name))
    wanted = array[:, :, [names.index(name) for name in case.channel_names]]
    assert same_values(got, wanted), difference(got, wanted)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_npy_loads_whole_and_mapped(fixture_mount, case):
    path = fixture_mount.at("exr", case.name, "pixels.npy")
    whole, mapped = np.load(path), np.load(path, mmap_mode="r")
    assert whole.ndim == 3 and same_bits(mapped, whole) and same_bits(whole, array_of(fixture_mount.at("exr", case.name)))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_meta_tells_the_header(fixture_mount, case):
    meta = fixture_mount.json("exr", case.name, "meta.json")
    for key, value in case.meta.items():
        assert dig(meta, key) == value, key


def with_field(name):
    return [case for case in CASES if getattr(case, name)]


@pytest.mark.parametrize("case", with_field("channels"), ids=lambda case: case.name)
def test_channels_are_listed_and_equal(fixture_mount, case):
    folder = fixture_mount.at("exr", case.name, "channels")
    if case.channel_names and not set(case.channels) <= set(case.channel_names):
        assert "channels" in os.listdir(fixture_mount.at("exr", case.name))
        listed = set(os.listdir(folder))
        assert {f"{name}{end}" for name in case.channels for end in (".f32", ".npy")} <= listed
    for name, wanted in case.channels.items():
        got = np.load(os.path.join(folder, name + ".npy"))
        assert same_bits(got, wanted), f"{name}: {difference(got, wanted)}"
        assert np.fromfile(os.path.join(folder, name + ".f32"), "<u4").tobytes() == wanted.tobytes()


@pytest.mark.parametrize("case", with_field("layers"), ids=lambda case: case.name)
def test_layers_are_image_directories(fixture_mount, case):
    folder = fixture_mount.at("exr", case.name, "layers")
    assert "layers" in os.listdir(fixture_mount.at("exr", case.name))
    assert set(case.layers) <= set(os.listdir(folder))
    for name, wanted in case.layers.items():
        got = array_of(os.path.join(folder, name))
        assert same_bits(got, wanted), f"{name}: {difference(got, wanted)}"
        assert same_bits(np.load(os.path.join(folder, name, "pixels.npy"), mmap_mode="r"), wanted)
        assert not any(file.startswith("source") for file in os.listdir(os.path.join(folder, name)))


@pytest.mark.parametrize("case", with_field("levels"), ids=lambda case: case.name)
def test_levels_are_image_directories(fixture_mount, case):
    folder = fixture_mount.at("exr", case.name, "mips")
    assert "mips" in os.listdir(fixture_mount.at("exr", case.name))
    assert set(os.listdir(folder)) == set(case.levels)
    for name, wanted in case.levels.items():
        got = array_of(os.path.join(folder, name))
        assert same_bits(got, wanted), f"{name}: {difference(got, wanted)}"


def test_images_of_one_level_list_no_mips(fixture_mount):
    assert "mips" not in os.listdir(fixture_mount.at("exr", "zip_half.exr"))


def test_plain_exr_lists_no_channels(fixture_mount):
    listed = os.listdir(fixture_mount.at("exr", "zip_half.exr"))
    assert "channels" not in listed and "layers" not in listed


@pytest.mark.parametrize("name,dtype", [("zip_half.exr", np.float16), ("zip_float.exr", np.float32), ("zip_uint.exr", np.uint32)])
def test_native_keeps_the_stored_type(fixture_mount, name, dtype):
    case = next(c for c in CASES if c.name == name)
    got = np.load(fixture_mount.at("exr", name, "views", "native.npy"))
    assert got.dtype == dtype and got.shape == case.pixels.shape
    wanted = got.astype(np.float32)
    assert same_values(wanted, case.pixels)


def test_native_keeps_the_bits_of_halves(fixture_mount):
    got = np.load(fixture_mount.at("exr", "all_halves.exr", "views", "native.npy"))
    assert np.array_equal(got.view(np.uint16).ravel(), np.arange(65536, dtype=np.uint16))


def test_line_order_never_turns_the_picture(fixture_mount):
    for name in ("decreasing_none.exr", "decreasing_zip.exr"):
        case = next(c for c in CASES if c.name == name)
        assert same_bits(np.memmap(fixture_mount.at("exr", name, "pixels.f32"), "<f4", "r", shape=case.pixels.shape)[3], case.pixels[3])


def test_deep_parts_are_described_and_refuse_pixels(fixture_mount, source, mounted):
    case = make_exr_other.make_deep()
    if case is None:
        pytest.skip("needs OpenImageIO")
    (source / case.name).write_bytes(case.data)
    mount = mounted(source)
    meta = mount.json(case.name, "meta.json")
    assert (meta["width"], meta["height"]) == (4, 3) and set(meta["attributes"]["openexr"]) >= {"type", "compression"}
    assert mount.bytes(case.name, "source.exr") == case.data


def test_preview_is_an_attribute_file(fixture_mount):
    folder = fixture_mount.at("exr", "attributes.exr", "attributes")
    data = b"".join(open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder))
    assert bytes(range(8)) in data, os.listdir(folder)


def test_floats_in_meta_read_back_the_same(fixture_mount):
    openexr = fixture_mount.json("exr", "attributes.exr", "meta.json")["attributes"]["openexr"]
    assert np.float32(openexr["aperture"]) == np.float32(0.1) and len(str(openexr["aperture"])) < 6
    assert openexr["expTime"] == "Infinity" and openexr["whiteLuminance"] == "NaN"


def test_a_missing_chunk_is_an_error_and_the_others_are_there(source, mounted):
    """A missing chunk fails the open, as all damage; without that check rows 0..31 and 48..63 read, rows 32..47 don't."""
    case = make_exr_cases.make_incomplete()
    (source / "a.exr").write_bytes(case.data)
    with pytest.raises(OSError) as refused:
        open(mounted(source).at("a.exr", "pixels.f32"), "rb")
    assert refused.value.errno == errno.EIO
    mount = mounted(source, "verify=off")
    row = case.pixels[0].nbytes
    fd = os.open(mount.at("a.exr", "pixels.f32"), os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        for number in (0, 16, 30, 49, 63):
            assert os.pread(fd, row, number * row) == case.pixels[number].tobytes(), number
        with pytest.raises(OSError):
            os.pread(fd, row, 40 * row)
        assert os.pread(fd, row, 60 * row) == case.pixels[60].tobytes()
    finally:
        os.close(fd)


def test_a_table_entry_that_leads_nowhere_is_found_again(source, mounted):
    case = make_exr_cases.make_bad_table()
    (source / case.name).write_bytes(case.data)
    assert same_bits(array_of(mounted(source).at(case.name)), case.pixels)


@pytest.mark.parametrize("name", ["rip_down.exr", "passes.exr", "piz_half_tiled.exr", "luminance_chroma_zip.exr"])
def test_random_ranges_equal_one_full_read(fixture_mount, name):
    with open(fixture_mount.at("exr", name, "pixels.npy"), "rb", buffering=0) as file:
        whole = file.read()
        random = np.random.default_rng(3)
        for _ in range(150):
            offset, length = int(random.integers(0, len(whole) + 10)), int(random.integers(0, 5000))
            assert os.pread(file.fileno(), length, offset) == whole[offset : offset + length]


def test_content_decides_the_codec(source, mounted):
    """An EXR that is called .png is decoded as what it is."""
    case = HAND[0]
    (source / "lying.png").write_bytes(case.data)
    mount = mounted(source)
    assert mount.json("lying.png", "meta.json")["format"] == "openexr"
    assert same_bits(array_of(mount.at("lying.png")), case.pixels)


def test_hostile_attribute_sizes_are_an_error(source, mounted):
    part = make_exr.simple(["Y"], seed=1, attributes=[("big", "string", b"")])
    data = bytearray(make_exr.exr(part))
    at = data.index(b"big\0string\0") + len(b"big\0string\0")
    data[at : at + 4] = struct.pack("<i", 0x7FFFFFFF)
    (source / "a.exr").write_bytes(data)
    assert "error.txt" in os.listdir(mounted(source).at("a.exr"))
