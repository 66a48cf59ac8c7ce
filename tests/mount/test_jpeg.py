"""JPEG through the mount: equal to libjpeg-turbo's accurate integer DCT with fancy upsampling, nothing applied."""
import io
import os

import numpy as np
import pytest

import judge
import make_jpeg
import make_png
from judge import difference, same_bits
from pixmount import array_of, dig

CASES = [case for case in [*make_jpeg.make_all(), make_jpeg.make_restarts()] if case]
IDS = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_pixels_equal_an_independent_decoder(fixture_mount, fixture_dir, case):
    wanted, names = judge.decode(str(fixture_dir / "jpeg" / case.name))
    got = array_of(fixture_mount.at("jpeg", case.name))
    assert same_bits(got, wanted), difference(got, wanted)
    assert fixture_mount.json("jpeg", case.name, "meta.json")["channel_names"] == names


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_npy_loads_whole_and_mapped(fixture_mount, case):
    path = fixture_mount.at("jpeg", case.name, "pixels.npy")
    whole, mapped = np.load(path), np.load(path, mmap_mode="r")
    assert same_bits(mapped, whole) and same_bits(whole, array_of(fixture_mount.at("jpeg", case.name)))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_meta_tells_the_header(fixture_mount, case):
    meta = fixture_mount.json("jpeg", case.name, "meta.json")
    assert meta["format"] == "jpeg" and meta["mime_type"] == "image/jpeg" and meta["bit_depth"] == 8
    for key, value in case.meta.items():
        assert dig(meta, key) == value, key


def test_native_is_u8(fixture_mount):
    got = np.load(fixture_mount.at("jpeg", "ycc_420.jpg", "views", "native.npy"))
    assert got.dtype == np.uint8
    assert same_bits(got.astype(np.float32) / np.float32(255), array_of(fixture_mount.at("jpeg", "ycc_420.jpg")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_never_applied_to_pixels(fixture_mount, orientation):
    plain = array_of(fixture_mount.at("jpeg", "ycc_444.jpg"))
    assert same_bits(array_of(fixture_mount.at("jpeg", f"orientation_{orientation}.jpg")), plain)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_view_applies_it(fixture_mount, orientation):
    """Exif 2.32, table of Orientation: where row 0 and column 0 of the stored picture are to be seen."""
    turns = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
             6: lambda a: a[::-1].swapaxes(0, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: a[:, ::-1].swapaxes(0, 1)}
    plain = array_of(fixture_mount.at("jpeg", "ycc_444.jpg"))
    got = np.load(fixture_mount.at("jpeg", f"orientation_{orientation}.jpg", "views", "upright.npy"))
    wanted = turns[orientation](plain)
    assert same_bits(got, wanted), difference(got, wanted)


def test_upright_agrees_with_pillow():
    image_ops = pytest.importorskip("PIL.ImageOps")
    plain = make_jpeg.encode(make_jpeg.photograph(37, 51), subsampling="4:4:4")
    stored = np.asarray(judge.Image.open(io.BytesIO(plain)))
    turned = judge.Image.open(io.BytesIO(make_jpeg.insert(plain, make_jpeg.exif_segment(6))))
    assert np.array_equal(np.asarray(image_ops.exif_transpose(turned)), stored[::-1].swapaxes(0, 1))


def test_cmyk_has_four_channels_as_stored(fixture_mount):
    for name in ("cmyk_adobe.jpg", "ycck_adobe.jpg"):
        meta = fixture_mount.json("jpeg", name, "meta.json")
        assert meta["channel_names"] == ["C", "M", "Y", "K"] and meta["color_model"] == "CMYK"
        channel = np.fromfile(fixture_mount.at("jpeg", name, "channels", "K.f32"), "<f4")
        assert same_bits(channel, array_of(fixture_mount.at("jpeg", name))[:, :, 3].ravel())


def test_metadata_files(fixture_mount):
    assert fixture_mount.bytes("jpeg", "icc.jpg", "attributes", "icc.icc") == make_png.icc_profile()
    assert "attributes" in os.listdir(fixture_mount.at("jpeg", "icc.jpg"))
    assert make_png.exif(6) in fixture_mount.bytes("jpeg", "orientation_6.jpg", "attributes", "exif.bin")


def test_exif_fields_are_in_meta(fixture_mount):
    exif = fixture_mount.json("jpeg", "orientation_6.jpg", "meta.json")["attributes"]["exif"]
    assert exif["Model"] == "Probe 1" and exif["Orientation"] == 6


def test_source_keeps_the_file_extension(fixture_mount, fixture_dir):
    for name, shown in (("gray.jpg", "source.jpg"), ("gray_progressive.jpeg", "source.jpeg"), ("upper.JPG", "source.JPG")):
        assert fixture_mount.bytes("jpeg", name, shown) == (fixture_dir / "jpeg" / name).read_bytes()


def test_random_ranges_equal_one_full_read(fixture_mount):
    path = fixture_mount.at("jpeg", "size_65x33_420.jpg", "pixels.f32")
    with open(path, "rb", buffering=0) as file:
        whole = file.read()
        random = np.random.default_rng(2)
        for _ in range(200):
            offset, length = random.integers(0, len(whole) + 10), random.integers(0, 5000)
            file.seek(offset)
            assert file.read(length) == whole[offset : offset + length]


# What each view is of the decoded pixels: walks along rows, columns, backwards, of one channel, in parts, and as bytes.
VIEWS_OF_PIXELS = {
    "views/native.npy": lambda a: np.rint(a * 255).astype(np.uint8),
    "views/chw.npy": lambda a: a.transpose(2, 0, 1),
    "views/native,chw.npy": lambda a: np.rint(a * 255).astype(np.uint8).transpose(2, 0, 1),
    "views/rot=90.npy": lambda a: np.rot90(a),
    "views/rot=180.npy": lambda a: a[::-1, ::-1],
    "views/rot=270,native.npy": lambda a: np.rint(np.rot90(a, 3) * 255).astype(np.uint8),
    "views/ch=B+G+R.npy": lambda a: a[:, :, ::-1],
    "views/ch=G,u8.npy": lambda a: np.rint(a[:, :, 1] * 255).astype(np.uint8)[:, :, None],
    "views/rgba.npy": lambda a: np.dstack([a, np.ones(a.shape[:2], np.float32)]),
    "views/crop=33:159:431:5.npy": lambda a: a[159:164, 33:464],
    "views/crop=1:1:1:1.npy": lambda a: a[1:2, 1:2],
    "views/crop=500:0:7:401,rot=90.npy": lambda a: np.rot90(a[0:401, 500:507]),
    "channels/B.npy": lambda a: a[:, :, 2],
}


@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_views_of_subsampled_pictures(source, mounted, sampling):
    """Kept as YCbCr or as RGB, in several bands: every way to walk over it."""
    image = judge.Image
    data = make_jpeg.encode(make_jpeg.photograph(401, 517), subsampling=sampling, quality=95)
    (source / "a.jpg").write_bytes(data)
    wanted = np.asarray(image.open(io.BytesIO(data))).astype(np.float32) / np.float32(255)
    mount = mounted(source)
    for name, of in VIEWS_OF_PIXELS.items():
        got = np.load(mount.at("a.jpg", *name.split("/")))
        assert got.shape == of(wanted).shape and same_bits(got, of(wanted)), name


def test_what_is_kept_of_subsampled_pictures(source, mounted):
    """4:2:0 has half of the samples of RGB, 4:2:2 two thirds; and chunks have room for whole blocks."""
    for sampling, share in (("4:2:0", 1 / 2), ("4:2:2", 2 / 3), ("4:4:4", 1)):
        (source / "a.jpg").write_bytes(make_jpeg.encode(make_jpeg.photograph(800, 1200), subsampling=sampling))
        mount = mounted(source)
        array_of(mount.at("a.jpg"))
        stats = mount.stats()
        assert 1 <= stats["cache_bytes"] / (800 * 1200 * 3 * share) < 1.05, sampling
        decodes = stats["decodes"]
        array_of(mount.at("a.jpg"))
        assert mount.stats()["decodes"] == decodes
