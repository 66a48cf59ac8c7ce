"""What channels mean: which layer of an OpenEXR file is its picture, what is alpha and of whom, what is colour, what is data, and what
curves do with each. The truth is worked out here from the rules of the format and of the curve, in double precision."""
import errno
import json
import os
import time

import numpy as np
import pytest

import make_exr
from make_exr import FLOAT, HALF, UINT, Channel, Part
from pixmount import SLOW, Mount, errno_of

SHAPE = 3, 4
COLOUR = {"R": 0.25, "G": 0.125, "B": 0.0625, "A": 0.5}  # premultiplied: straight it is 0.5 0.25 0.125


def channel(name, value, kind=HALF, sampling=(1, 1), shape=SHAPE):
    dtype = {HALF: "f2", FLOAT: "f4", UINT: "u4"}[kind]
    rows, columns = shape[0] // sampling[1], shape[1] // sampling[0]
    values = np.broadcast_to(np.asarray(value, dtype), (rows, columns)).copy()
    return Channel(name, kind, {(0, 0): values.view(make_exr.DTYPES[kind])}, sampling)


def layer(prefix, letters="RGBA", values=COLOUR, kind=HALF):
    return [channel(prefix + letter, values[letter.upper()[0]], kind) for letter in letters]


def data(prefix, letters, value=0.75):
    return [channel(prefix + letter, value, FLOAT) for letter in letters]


def exr(*parts, attributes=()):
    made = [Part(sorted(part, key=lambda c: c.name), (0, 0, SHAPE[1] - 1, SHAPE[0] - 1), attributes=list(attributes)) for part in parts]
    for i, part in enumerate(made):
        if len(made) > 1:
            part.name = f"part{i}"
    return make_exr.exr(*made)


def blender():
    """As Blender's multilayer output: no root channels, the passes of a view layer, ids as Cryptomatte with their header."""
    return exr(layer("ViewLayer.Combined.") + data("ViewLayer.Depth.", "Z", 3) + data("ViewLayer.Normal.", "XYZ") +
               data("ViewLayer.UV.", "UVA") + layer("ViewLayer.CryptoObject00.", "rgba", kind=FLOAT),
               attributes=[make_exr.text("cryptomatte/f834d0a/name", "ViewLayer.CryptoObject"),
                           make_exr.text("cryptomatte/f834d0a/hash", "MurmurHash3_32")])


FILES = {
    "plain.exr": lambda: exr(layer("")),
    "blender.exr": blender,
    "vray.exr": lambda: exr(layer(".") + data("VRayZDepth.", "Z")),
    "words.exr": lambda: exr(layer("", ["red", "Green", "BLUE", "alpha"])),
    "arnold.exr": lambda: exr(layer("", "RGB", dict.fromkeys("RGB", 1)) + layer("diffuse.")),
    "fusion.exr": lambda: exr(layer("", "RGB", dict.fromkeys("RGB", 1)) + layer("fg.", "rgba")),
    "parts.exr": lambda: exr(data("N.", "XYZ"), layer("")),
    "nuke.exr": lambda: exr(data("depth.", "Z"), layer("spec.", "RGB", dict.fromkeys("RGB", 1)) + layer("beauty.")),
    "stereo.exr": lambda: exr(layer("right.", values=dict.fromkeys("RGBA", 1)) + layer("left."), attributes=[make_exr.string_vector("multiView", ["left", "right"])]),
    "several.exr": lambda: exr(layer("a.", "RGB") + layer("b.", "RGB")),
    "named.exr": lambda: exr(layer("key_id00.", "RGBA"), attributes=[make_exr.text("cryptomatte/0/name", "key_id")]),
    "normal.exr": lambda: exr(data("", "XYZ")),
    "uv.exr": lambda: exr(data("", "UV")),
    "depth.exr": lambda: exr(data("", "Z")),
    "ids.exr": lambda: exr([channel("id", 7, UINT)]),
    "gray.exr": lambda: exr(layer("", "YA", {"Y": 0.25, "A": 0.5})),
    "light.exr": lambda: exr([channel(c, v, FLOAT) for c, v in
                              zip("RGBA", ([[0.5, 0.25, 1e30, np.inf]], 0.25, [[-0.5, 4, 1e30, 0]], [[0, 0, 1e-30, 0.5]]))]),
}


@pytest.fixture(scope="module")
def mount(tmp_path_factory):
    source = tmp_path_factory.mktemp("meaning")
    for name, make in FILES.items():
        (source / name).write_bytes(make())
    with Mount(source, tmp_path_factory.mktemp("mount")) as mounted:
        yield mounted
    mounted.assert_clean()


def load(mount, *path):
    return np.load(mount.at(*path))


def srgb(v):
    v = np.asarray(v, np.float64)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.abs(v) ** (1 / 2.4) - 0.055)


COLOURED = ["plain.exr", "blender.exr", "vray.exr", "words.exr", "parts.exr", "nuke.exr", "stereo.exr", "blender.exr/layers/ViewLayer.Combined",
            "arnold.exr/layers/diffuse", "fusion.exr/layers/fg", "nuke.exr/layers/part1.beauty"]


@pytest.mark.parametrize("path", COLOURED)
def test_the_main_layer_and_its_alpha(mount, path):
    meta = mount.json(path, "meta.json")
    assert meta["color_model"] == "RGBA" and meta["alpha"] == {"mode": "premultiplied", "index": 3}
    assert (meta["color"]["interop_id"], meta["color"]["transfer"], meta["color"]["chromaticities"]) == ("unknown", "linear", None)
    stored = list(COLOUR.values())
    straight = [0.5, 0.25, 0.125, 0.5]
    curved = srgb(straight[:3])
    for spec, want in (("pixels", stored), ("premul", stored), ("straight", straight), ("rgb", stored[:3]), ("over=1:1:1", [0.75, 0.625, 0.5625]),
                       ("straight,srgb", [*curved, 0.5]), ("srgb,straight", [*curved, 0.5]), ("srgb", [*curved / 2, 0.5]),
                       ("rgb,srgb", srgb(stored[:3])), ("linear", stored), ("opaque,srgb", srgb(stored[:3]))):
        got = load(mount, path, "views", spec + ".npy")
        assert got.shape == (*SHAPE, len(want)) and np.allclose(got, want, rtol=3e-7, atol=0), spec
    assert np.fromfile(mount.at(path, "views", "blender.f32"), "<f4")[:4].tolist() == stored


@pytest.mark.parametrize("spec", ["srgb", "straight,srgb", "pixels", "straight", "premul,srgb"])
def test_a_png_of_premultiplied_colour(mount, spec):
    from PIL import Image
    with Image.open(mount.at("plain.exr", "views", spec + ".png")) as image:
        assert image.mode == "RGBA" and np.asarray(image)[0, 0].tolist() == [188, 137, 99, 128]


def tiff_tags(path):
    body = open(path, "rb").read()
    at = int.from_bytes(body[4:8], "little")
    fields = [body[at + 2 + 12 * i:at + 14 + 12 * i] for i in range(int.from_bytes(body[at:at + 2], "little"))]
    return {int.from_bytes(f[:2], "little"): int.from_bytes(f[8:10], "little") for f in fields}


@pytest.mark.parametrize("path", COLOURED)
def test_a_tiff_says_what_its_alpha_is(mount, path):
    assert tiff_tags(mount.at(path, "views", "pixels.tif"))[338] == 1
    assert tiff_tags(mount.at(path, "views", "straight.tif"))[338] == 2


def test_light_without_cover_goes_through_the_curve_as_it_is(mount):
    got = load(mount, "light.exr", "views", "srgb.npy")[0]
    stored = load(mount, "light.exr", "pixels.npy")[0]
    assert np.allclose(got[0, :3], [srgb(0.5), srgb(0.25), -srgb(0.5)], rtol=1e-6) and got[0, 3] == 0
    assert np.allclose(got[1, :3], srgb([0.25, 0.25, 4]), rtol=1e-6)
    assert np.isfinite(got[:3]).all() and np.allclose(got[2, 0], srgb(np.float64(np.float32(1e30))), rtol=1e-6)
    assert np.isinf(got[3, 0]) and got[3, 2] == 0
    assert np.array_equal(got[:, 3], stored[:, 3])


DATA = ["normal.exr", "uv.exr", "depth.exr", "ids.exr", "named.exr", "blender.exr/layers/ViewLayer.Depth",
        "blender.exr/layers/ViewLayer.Normal", "blender.exr/layers/ViewLayer.UV", "blender.exr/layers/ViewLayer.CryptoObject00"]


@pytest.mark.parametrize("path", DATA)
def test_data_is_no_colour(mount, path):
    meta = mount.json(path, "meta.json")
    assert (meta["color"]["interop_id"], meta["color_model"]) == ("data", "other")
    pixels = load(mount, path, "pixels.npy")
    for spec in ("srgb", "linear", "premul", "straight", "assume=srgb_rec709_scene,linear"):
        assert np.array_equal(load(mount, path, "views", spec + ".npy").view("u4"), pixels.view("u4")), spec
        assert mount.json(path, "views", spec + ".json")["transfer"] == "data"
    assert not set(os.listdir(mount.at(path, "views"))) & {f"{v}.f32" for v in ("rgb", "rgba", "gray", "linear", "blender", "straight", "premul", "r")}


@pytest.mark.parametrize("path", COLOURED + DATA + ["several.exr", "gray.exr", "light.exr"])
def test_what_is_listed_can_be_made(mount, path):
    listed = [v for v in os.listdir(mount.at(path, "views")) if v != "README.txt"]
    assert listed and [v["name"] for v in mount.json(path, "meta.json")["views"]] == listed
    for view in listed:
        assert len(open(mount.at(path, "views", view), "rb").read()) == os.stat(mount.at(path, "views", view)).st_size, view


def test_several_layers_without_a_main_one_are_all_shown(mount):
    meta = mount.json("several.exr", "meta.json")
    assert meta["channel_names"] == ["a.R", "a.G", "a.B", "b.R", "b.G", "b.B"] and meta["color_model"] == "other"
    assert errno_of(open, mount.at("several.exr", "views", "rgb.npy")) == errno.EINVAL
    got, pixels = load(mount, "several.exr", "views", "srgb.npy"), load(mount, "several.exr", "pixels.npy")
    assert np.allclose(got, srgb(pixels), rtol=1e-6)  # all are colours
    assert mount.json("several.exr", "views", "srgb.json")["transfer"] == "srgb"


def test_a_curve_reaches_channels_chosen_by_name(mount):
    names = [f"ViewLayer.Combined.{c}" for c in "RGB"]
    straight, stored = srgb([0.5, 0.25, 0.125]) / 2, [0.25, 0.125, 0.0625]
    normal = "blender.exr/layers/ViewLayer.Normal"  # the names are of another layer than the one shown
    for path in ("blender.exr", normal):
        chosen = "ch=" + "+".join(names)
        assert np.allclose(load(mount, path, "views", chosen + ",srgb.npy"), srgb(stored), rtol=1e-6)
        assert np.allclose(load(mount, path, "views", "srgb," + chosen + ".npy"), straight, rtol=1e-6)
        assert np.allclose(load(mount, path, "views", chosen + "+ViewLayer.Combined.A,srgb.npy"), [*straight, 0.5], rtol=1e-6)
        assert np.allclose(load(mount, path, "views", chosen + "+ViewLayer.Combined.A,straight.npy"), [0.5, 0.25, 0.125, 0.5], rtol=1e-6)
        for spec in (chosen + ",srgb", "srgb," + chosen):
            assert mount.json(path, "views", spec + ".json")["transfer"] == "srgb"
        assert np.allclose(load(mount, path, "views", chosen + ",rgb.npy"), stored)
    for spec in ("ch=ViewLayer.Normal.X,srgb", "srgb,ch=ViewLayer.Normal.Y", "ch=ViewLayer.Normal.Y,gray,srgb", "ch=ViewLayer.Depth.Z,rgb,srgb"):
        assert set(load(mount, "blender.exr", "views", spec + ".npy").ravel()) <= {0.75, 3}, spec
        assert mount.json("blender.exr", "views", spec + ".json")["transfer"] == "data", spec
    mixed = load(mount, "blender.exr", "views", "ch=ViewLayer.Combined.R+ViewLayer.Normal.X,srgb.npy")
    assert np.allclose(mixed, [srgb(0.25), 0.75], rtol=1e-6)


# ---- a channel by its last component ----

def test_the_only_channel_of_a_name(mount):
    assert np.array_equal(load(mount, "nuke.exr", "layers/part0.depth/channels/Z.npy"), np.full(SHAPE, 0.75, "f4"))
    assert np.array_equal(load(mount, "vray.exr", "channels/Z.npy"), np.full(SHAPE, 0.75, "f4"))
    assert np.array_equal(np.fromfile(mount.at("vray.exr", "channels/Z.f32"), "<f4"), np.full(12, 0.75, "f4"))
    assert np.array_equal(load(mount, "vray.exr", "views/ch=Z.npy")[..., 0], np.full(SHAPE, 0.75, "f4"))
    assert np.array_equal(load(mount, "blender.exr", "views/ch=R.npy")[..., 0], np.full(SHAPE, 0.25, "f4"))
    assert np.array_equal(load(mount, "blender.exr", "channels/U.npy"), np.full(SHAPE, 0.75, "f4"))
    for path in ("channels/Z.npy", "views/ch=Z.npy", "channels/X.f32"):
        expected = errno.EINVAL if "Z" in path else None
        assert errno_of(open, mount.at("blender.exr", path)) == expected, path
    assert errno_of(open, mount.at("blender.exr", "channels/nosuch.npy")) == errno.ENOENT
    assert errno_of(open, mount.at("blender.exr", "channels/ViewLayer.Depth.Z.jpg")) == errno.ENOENT


@pytest.mark.parametrize("path", ["channels/Z.npy", "views/ch=Z.npy"])
def test_several_channels_of_a_name_are_told(mount, path):
    import subprocess
    from pixmount import BIN
    told = subprocess.run([BIN, "cat", mount.source, "blender.exr/" + path], capture_output=True, text=True)
    assert told.returncode == 1 and "ViewLayer.Depth.Z" in told.stderr and "ViewLayer.Normal.Z" in told.stderr


def daemon_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def test_thousands_of_channels_are_listed_in_linear_time(tmp_path):
    (tmp_path / "source").mkdir()
    names = [f"pass{i:04}.{'/' if i % 2 else ''}{'RGBZ'[i % 4]}" for i in range(4000)]
    for name, count in (("few.exr", 40), ("many.exr", 4000)):
        (tmp_path / "source" / name).write_bytes(exr([channel(n, i % 1000, HALF) for i, n in enumerate(names[:count])]))
    with Mount(tmp_path / "source", tmp_path) as mounted:
        folder = mounted.at("many.exr", "channels")
        listed = os.listdir(folder)
        assert len(listed) == 8000
        before = daemon_seconds(mounted.process)
        assert sum(os.stat(os.path.join(folder, name)).st_size for name in listed) == 4000 * (48 + 48 + 128)
        assert daemon_seconds(mounted.process) - before < 4 * SLOW  # looking through all names each time takes 17
        assert np.load(os.path.join(folder, "pass3999.%2FZ.npy"))[0, 0] == 999 and np.load(os.path.join(folder, "pass0002.B.npy"))[0, 0] == 2
    mounted.assert_clean()


# ---- luminance and chroma ----

REC709 = 0.2126390059, 0.7151686788, 0.0721923154
AP0 = [0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767]


def luma_of(xy):
    """The Y of each primary, scaled so that together they are white: by numpy's solver."""
    x, y = np.array(xy[0::2]), np.array(xy[1::2])
    primaries = np.stack([x[:3], y[:3], 1 - x[:3] - y[:3]])
    white = np.array([x[3], y[3], 1 - x[3] - y[3]]) / y[3]
    return np.linalg.solve(primaries, white) * y[:3]


def luma_file(tmp_path, prefix="", xy=None, sampling=(2, 2), more=()):
    rng = np.random.default_rng(5)
    shape, chroma = (6, 8), (6 // sampling[1], 8 // sampling[0])
    stored = {"Y": rng.uniform(0, 2, shape), "RY": rng.uniform(-0.5, 0.5, chroma), "BY": rng.uniform(-0.5, 0.5, chroma)}
    stored["RY"][0, 0] = stored["BY"][0, 0] = 0
    stored = {k: v.astype("f2") for k, v in stored.items()}
    channels = [Channel(prefix + k, HALF, {(0, 0): v.view("u2")}, sampling if k != "Y" else (1, 1)) for k, v in stored.items()]
    attributes = [("chromaticities", "chromaticities", np.array(xy, "<f4").tobytes())] if xy else []
    part = Part(sorted(channels + list(more), key=lambda c: c.name), (2, 4, 9, 9), attributes=attributes)
    (tmp_path / "source").mkdir(exist_ok=True)
    (tmp_path / "source" / "x.exr").write_bytes(make_exr.exr(part))
    return {k: v.astype("f4").repeat(6 // v.shape[0], 0).repeat(8 // v.shape[1], 1) for k, v in stored.items()}, stored


@pytest.mark.parametrize("xy", [None, AP0])
@pytest.mark.parametrize("sampling", [(2, 2), (2, 1), (1, 1)])
def test_luminance_and_chroma_are_red_green_and_blue(tmp_path, xy, sampling):
    full, stored = luma_file(tmp_path, xy=xy, sampling=sampling)
    y, ry, by = (full[k].astype(np.float64) for k in ("Y", "RY", "BY"))
    wr, wg, wb = luma_of(np.array(xy, "f4").astype(float)) if xy else REC709
    r, b = (ry + 1) * y, (by + 1) * y
    want = np.stack([r, np.where((ry == 0) & (by == 0), y, (y - r * wr - b * wb) / wg), b], -1)
    with Mount(tmp_path / "source", tmp_path) as mount:
        meta = mount.json("x.exr", "meta.json")
        assert meta["channel_names"] == ["R", "G", "B"] and meta["color_model"] == "RGB" and meta["lossless_f32"] is False
        pixels = load(mount, "x.exr", "pixels.npy")
        assert np.allclose(pixels, want, rtol=1e-6, atol=1e-6)
        same = pixels[(ry == 0) & (by == 0)]
        assert (same == same[:, :1]).all()
        for c, name in enumerate("RGB"):
            assert np.array_equal(load(mount, "x.exr", "channels", name + ".npy"), pixels[..., c])
            assert np.array_equal(load(mount, "x.exr", "views", f"ch={name}.npy")[..., 0], pixels[..., c])
        for name, values in stored.items():
            assert np.array_equal(load(mount, "x.exr", "channels", name + ".npy"), values.astype("f4"))
            assert np.array_equal(load(mount, "x.exr", "views", f"native,ch={name}.npy")[..., 0], values)
            assert np.array_equal(load(mount, "x.exr", "views", f"ch={name}.npy")[..., 0], full[name])
        assert np.array_equal(load(mount, "x.exr", "views", "crop=3:1:4:4,chw.npy"), pixels[1:5, 3:7].transpose(2, 0, 1))
        assert np.allclose(load(mount, "x.exr", "views", "gray.npy")[..., 0], pixels @ np.array([0.2126, 0.7152, 0.0722]), atol=1e-5)
        assert {f"{v}.f32" for v in ("rgb", "r", "linear", "blender")} <= set(os.listdir(mount.at("x.exr", "views")))
    mount.assert_clean()


def test_luminance_and_chroma_in_a_layer(tmp_path):
    luma_file(tmp_path, "diffuse.", more=[Channel("Z", HALF, {(0, 0): np.zeros((6, 8), "u2")})])
    with Mount(tmp_path / "source", tmp_path) as mount:
        assert mount.json("x.exr", "meta.json")["channel_names"] == ["diffuse.R", "diffuse.G", "diffuse.B"]
        assert mount.json("x.exr/layers/diffuse", "meta.json")["channel_names"] == ["diffuse.R", "diffuse.G", "diffuse.B"]
        assert np.array_equal(load(mount, "x.exr", "pixels.npy"), load(mount, "x.exr/layers/diffuse", "pixels.npy"))
        assert load(mount, "x.exr/layers/diffuse/channels", "diffuse.RY.npy").shape == (3, 4)
    mount.assert_clean()


@pytest.mark.parametrize("names", [("Y", "RY"), ("X", "Y", "RY", "BY"), ("R", "Y", "RY", "BY")])
def test_luminance_without_its_chroma_is_none(tmp_path, names):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "x.exr").write_bytes(exr([channel(name, 0.5) for name in names]))
    with Mount(tmp_path / "source", tmp_path) as mount:
        meta = mount.json("x.exr", "meta.json")
        assert meta["color_model"] == ("other" if names[0] == "X" else "L")
        assert meta["color"]["interop_id"] == ("data" if names[0] == "X" else "unknown")
    mount.assert_clean()


def rgba_by_openexr(path, window):
    """R, G, B, A as OpenEXR's own RgbaInputFile reads them (ImfCRgbaFile.h), halves."""
    import ctypes
    import ctypes.util
    name = next(filter(None, map(ctypes.util.find_library, ("OpenEXR-3_1", "OpenEXR-3_2", "OpenEXR-3_3", "OpenEXR-3_4", "OpenEXR"))), None)
    if not name:
        pytest.skip("no shared OpenEXR library")
    library = ctypes.CDLL(name)
    library.ImfOpenInputFile.restype = ctypes.c_void_p
    file = ctypes.c_void_p(library.ImfOpenInputFile(os.fsencode(path)))
    assert file.value
    x0, y0, x1, y1 = window
    rows, columns = y1 - y0 + 1, x1 - x0 + 1
    out = np.zeros((rows, columns, 4), "f2")
    base = ctypes.c_void_p(out.ctypes.data - 8 * (x0 + y0 * columns))
    assert library.ImfInputSetFrameBuffer(file, base, ctypes.c_size_t(1), ctypes.c_size_t(columns)) == 1
    assert library.ImfInputReadPixels(file, y0, y1) == 1
    library.ImfCloseInputFile(file)
    return out


@pytest.mark.parametrize("xy", [None, AP0])
def test_openexr_makes_the_same_colours(tmp_path, xy):
    """Where chroma is stored (even columns and rows) every bit of the half that OpenEXR makes; between, OpenEXR interpolates over 27
    samples and pixfs repeats: near it where the colour changes slowly."""
    shape = 64, 96
    v, u = np.mgrid[0:shape[0], 0:shape[1]] / 40
    stored = {"Y": 0.6 + 0.2 * np.sin(u + v), "RY": (0.1 * np.cos(u) + 0.05)[::2, ::2], "BY": (0.1 * np.sin(v) - 0.02)[::2, ::2]}
    stored = {k: a.astype("f2") for k, a in stored.items()}
    channels = [Channel(k, HALF, {(0, 0): stored[k].view("u2")}, (1, 1) if k == "Y" else (2, 2)) for k in ("BY", "RY", "Y")]
    window = 2, 4, 2 + shape[1] - 1, 4 + shape[0] - 1
    attributes = [("chromaticities", "chromaticities", np.array(xy, "<f4").tobytes())] if xy else []
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "x.exr").write_bytes(make_exr.exr(Part(channels, window, attributes=attributes)))
    judged = rgba_by_openexr(tmp_path / "source" / "x.exr", window)
    with Mount(tmp_path / "source", tmp_path) as mount:
        pixels = load(mount, "x.exr", "pixels.npy")
    mount.assert_clean()
    inner = slice(14, -14, 2)  # the library's filter reaches 13 samples beyond the edge
    same = pixels.astype("f2")[inner, inner] == judged[inner, inner, :3]
    assert same.all(), (~same).sum()
    assert np.abs(pixels - judged[..., :3].astype("f4")).max() < 0.02


# ---- assume= ----

def test_assume_answers_for_the_whole_mount(tmp_path):
    from PIL import Image
    (tmp_path / "source").mkdir()
    Image.fromarray(np.full((2, 3, 3), 188, "u1")).save(tmp_path / "source" / "a.png")
    (tmp_path / "source" / "b.exr").write_bytes(exr(layer("")))
    with Mount(tmp_path / "source", tmp_path) as mount:
        assert errno_of(open, mount.at("a.png", "views", "linear.npy")) == errno.EINVAL
        plain = mount.json("a.png", "meta.json")
        assert plain["color"]["assumed"] is None and "linear.f32" not in os.listdir(mount.at("a.png", "views"))
    with Mount(tmp_path / "source", tmp_path, options="assume=srgb_rec709_scene") as mount:
        v = 188 / 255
        assert np.allclose(load(mount, "a.png", "views", "linear.npy"), ((v + 0.055) / 1.055) ** 2.4, rtol=1e-6)
        assert np.allclose(load(mount, "a.png", "pixels.npy"), v)
        told = mount.json("a.png", "meta.json")
        assert told["color"] == {**plain["color"], "assumed": "srgb_rec709_scene"} and told["color"]["interop_id"] == "unknown"
        assert "linear.f32" in os.listdir(mount.at("a.png", "views"))
        view = mount.json("a.png", "views", "linear.json")
        assert (view["transfer"], view["assumed"]) == ("linear", "srgb_rec709_scene")
        assert mount.json(".pixfs", "config.json")["assume"] == "srgb_rec709_scene"
        assert mount.json("b.exr", "meta.json")["color"]["assumed"] is None  # an EXR says linear
        assert mount.json("b.exr", "views", "pixels.json")["assumed"] is None
        assert np.array_equal(load(mount, "b.exr", "views", "linear.npy"), load(mount, "b.exr", "pixels.npy"))
        assert errno_of(open, mount.at("a.png", "views", "assume=unknown,linear.npy")) == errno.EINVAL
    mount.assert_clean()


@pytest.mark.parametrize("ident", ["nosuch", "unknown", "studio:show"])
def test_assume_wants_an_id_with_a_curve(tmp_path, ident):
    import subprocess
    from pixmount import BIN
    told = subprocess.run([BIN, str(tmp_path), str(tmp_path), "-o", "assume=" + ident], capture_output=True, text=True)
    assert told.returncode == 2 and "assume=" + ident in told.stderr
