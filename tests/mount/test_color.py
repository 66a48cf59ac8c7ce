"""linear and srgb of images whose colour is an ICC profile, or code points of ITU-T H.273: against the formulas in numpy's double
precision, evaluated from the numbers that the profile was built with; tables against Pillow's ImageCms too."""
import errno
import io
import json
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

import corpus
import make_icc
from case import pattern
from make_icc import CURVES, srgb_decode, srgb_encode
from make_jpeg import encode, insert, marker, photograph
from make_png import GRAY, PALETTE, RGB, RGBA, chunk, png
from pixmount import errno_of

F = np.float32


def iccp(profile):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def app2(profile):
    return marker(0xE2, b"ICC_PROFILE\0\1\1" + profile)


def cicp(transfer):
    return chunk(b"cICP", bytes([9, transfer, 0, 1]))


THREE = make_icc.rgb(CURVES["gamma18"], CURVES["para3"], CURVES["table256"])
THREE_CURVES = [CURVES["gamma18"], CURVES["para3"], CURVES["table256"]]
CICP = {"bt709": 1, "bt2020": 14, "gamma22": 4, "gamma28": 5, "linear": 8, "srgb": 13, "pq": 16, "hlg": 18}
ALL16 = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
ALL8 = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
GRID = 6


def node_table(channels, dark):
    """A made-up relation of device values to the connection space at the points of a grid, as XYZ relative to D50 in 16 bits of
    which 32768 is 1 (6.3.4.2); dark: inks, where 0 is white."""
    points = make_icc.corners(channels, GRID)
    if dark:
        points = (1 - points[:, :3]) * (1 - points[:, 3:])
    linear = points ** 2.0 * 0.95 + 0.01
    mixed = linear @ np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.02, 0.08, 0.9]])
    return np.round(mixed * np.array(make_icc.D50) * 32768).astype(np.uint16)


def lab_table(channels, dark=False):
    """As CIE L*a*b* in 16 bits of version 4 (6.3.4.2), where 65535 is 100 or 127, and 32896 is 0 of a and b."""
    points = make_icc.corners(channels, GRID)
    light = (1 - points[:, :3]).mean(axis=1) if dark else points.mean(axis=1)
    a, b = points[:, 0] - points[:, 1], points[:, 1] - points[:, 2]
    return np.stack([np.round(light * 65535), np.round(32896 + a * 10000), np.round(32896 + b * 10000)], axis=1).astype(np.uint16)


def linear_of_nodes(kind, table):
    table = table.astype(np.float64)
    if kind == "xyz":
        connection = table / 32768
    else:
        connection = make_icc.lab_to_xyz(np.stack([table[:, 0] / 655.35, table[:, 1] / 257 - 128, table[:, 2] / 257 - 128], axis=1))
    return connection @ make_icc.rec709_of_xyz().T


TABLES = {
    "mft2_xyz": ("xyz", make_icc.profile(b"RGB ", {b"A2B0": make_icc.lut16(3, GRID, node_table(3, False))}, version=make_icc.V2)),
    "mab_lab": ("lab", make_icc.profile(b"RGB ", {b"A2B0": make_icc.lut_a_to_b(3, GRID, lab_table(3))}, connection=b"Lab ", device_class=b"scnr")),
}
INKS = make_icc.profile(b"CMYK", {b"A2B0": make_icc.lut16(4, GRID, node_table(4, True))}, version=make_icc.V2, device_class=b"prtr")


def damaged_profiles():
    """name -> a profile whose header a PNG decoder accepts, but which says nothing that can be used."""
    good = make_icc.rgb(CURVES["table256"])
    named = {f"zeros_from_{n}": good[:n] + bytes(len(good) - n) for n in (132, 160, 300)}
    named.update({f"cut_{n}": good[:n] for n in (140, 400, len(good) - 1)})
    named["noise"] = good[:128] + pattern(400, 1, 1, 8, 9).tobytes()
    named["noise"] = struct.pack(">I", len(named["noise"])) + named["noise"][4:]
    for name, device_class in (("link", b"link"), ("abstract", b"abst"), ("named", b"nmcl"), ("nothing", b"\0\1\2\3")):
        named["class_" + name] = good[:12] + device_class + good[16:]
    huge = make_icc.Curve(b"curv" + bytes(4) + struct.pack(">I", 0xFFFFFFF0) + bytes(20), None)
    named["huge_curve"] = make_icc.rgb(huge)
    named["long_curve"] = make_icc.rgb(make_icc.Curve(b"curv" + bytes(4) + struct.pack(">I", 30000) + bytes(100), None))
    named["curve_type"] = make_icc.rgb(make_icc.Curve(b"para" + bytes(4) + struct.pack(">HH", 9, 0) + bytes(28), None))
    named["curve_power_0"] = make_icc.rgb(make_icc.para(0, 0.0))
    named["curve_falls"] = make_icc.rgb(make_icc.para(1, 2.0, -1.0, 1.0))
    named["no_tags"] = make_icc.profile(b"RGB ", {})
    named["one_curve"] = make_icc.profile(b"RGB ", {b"rTRC": CURVES["gamma18"].data})
    named["connection"] = good[:20] + b"HSV " + good[24:]
    big = make_icc.lut16(3, GRID, node_table(3, False))
    named["huge_grid"] = make_icc.profile(b"RGB ", {b"A2B0": big[:10] + b"\xff" + big[11:]}, version=make_icc.V2)
    named["cut_table"] = make_icc.profile(b"RGB ", {b"A2B0": big[:200]}, version=make_icc.V2)
    return named


DAMAGED = damaged_profiles()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = tmp_path_factory.mktemp("color")

    def write(name, data):
        (source / name).write_bytes(data)

    for name, curve in CURVES.items():
        write(f"{name}_gray16.png", png(ALL16, GRAY, 16, before=iccp(make_icc.gray(curve))))
        write(f"{name}_gray8.png", png(ALL8, GRAY, 8, before=iccp(make_icc.gray(curve))))
        write(f"{name}_rgb8.png", png(pattern(20, 30, 3, 8, 1), RGB, 8, before=iccp(make_icc.rgb(curve))))
    for version, number in (("v2", make_icc.V2), ("v4", make_icc.V4)):
        write(f"three_{version}_8.png", png(pattern(40, 50, 4, 8, 3), RGBA, 8, before=iccp(make_icc.rgb(*THREE_CURVES, version=number))))
    write("three16.png", png(pattern(40, 50, 4, 16, 4), RGBA, 16, before=iccp(THREE)))
    colors = pattern(200, 1, 3, 8, 5).reshape(200, 3)
    indices = (pattern(30, 20, 1, 8, 6) % 200).astype(np.uint8)
    write("palette.png", png(indices, PALETTE, 8, before=iccp(THREE) + chunk(b"PLTE", colors.tobytes())))
    write("three.jpg", insert(encode(photograph(64, 80)), app2(THREE)))
    write("gray.jpg", insert(encode(photograph(32, 32, 1)), app2(make_icc.gray(CURVES["para4"]))))
    write("pillow.jpg", insert(encode(photograph(32, 32)), app2(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())))
    nodes = np.round(make_icc.corners(3, GRID) * 255).astype(np.uint8).reshape(6, 36, 3)
    for name, (_, profile) in TABLES.items():
        write(f"{name}_nodes.png", png(nodes, RGB, 8, before=iccp(profile)))
        write(f"{name}_nodes16.png", png(np.dstack([nodes.astype(np.uint16) * 257, ALL16[:6, :36]]), RGBA, 16, before=iccp(profile)))
        write(f"{name}_any.png", png(pattern(90, 110, 3, 8, 7), RGB, 8, before=iccp(profile)))
    write("inks.jpg", insert(encode(photograph(64, 80, 4)), app2(INKS)))
    write("inks_solid.jpg", insert(encode(np.full((8, 8, 4), (255, 255, 255, 255), np.uint8)), app2(INKS)))
    write("inks_of_rgb.jpg", insert(encode(photograph(16, 16, 4)), app2(THREE)))
    write("rgb_of_gray.jpg", insert(encode(photograph(16, 16, 1)), app2(THREE)))
    for name, code in CICP.items():
        write(f"cicp_{name}.png", png(ALL16, GRAY, 16, before=cicp(code)))
        write(f"cicp_{name}_8.png", png(pattern(9, 9, 3, 8, 8), RGB, 8, before=cicp(code)))
    for name, profile in DAMAGED.items():
        write(f"damaged_{name}.png", png(pattern(8, 8, 3, 8, 2), RGB, 8, before=iccp(profile)))
        write(f"damaged_{name}.jpg", insert(encode(photograph(16, 16)), app2(profile)))
    return source


@pytest.fixture(scope="module")
def mount(folder, tmp_path_factory):
    from pixmount import Mount
    mount = Mount(folder, tmp_path_factory.mktemp("mount"))
    with mount:
        yield mount
    mount.assert_clean()


def load(mount, image, view):
    return np.load(mount.at(image, "views", view))


def pixels(mount, image):
    return np.load(mount.at(image, "pixels.npy")).astype(np.float64)


def assert_rounded_once(got, exact):
    """Within one unit in the last place of the exact value."""
    exact = np.broadcast_to(exact, got.shape)
    wrong = np.abs(got.astype(np.float64) - exact) > np.spacing(np.abs(exact).astype(F)).astype(np.float64)
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size} differ, first {got[wrong][0]!r} for {exact[wrong][0]!r}"


# ---- curves ----

@pytest.mark.parametrize("kind", ["gray16", "gray8", "rgb8"])
@pytest.mark.parametrize("name", CURVES)
def test_linear_is_the_profiles_curve(mount, name, kind):
    image = f"{name}_{kind}.png"
    assert_rounded_once(load(mount, image, "linear.npy"), CURVES[name].decode(pixels(mount, image)))


@pytest.mark.parametrize("name", CURVES)
def test_srgb_decodes_and_encodes_in_one_step(mount, name):
    image = f"{name}_gray16.png"
    got, stored = load(mount, image, "srgb.npy"), pixels(mount, image)
    assert_rounded_once(got, stored if name == "para3_srgb" else srgb_encode(CURVES[name].decode(stored)))


@pytest.mark.parametrize("image", ["three_v2_8.png", "three_v4_8.png", "three16.png", "three.jpg", "palette.png"])
def test_each_channel_has_its_own_curve_and_alpha_none(mount, image):
    stored = pixels(mount, image)
    exact = np.dstack([curve.decode(stored[..., c]) for c, curve in enumerate(THREE_CURVES)] + [stored[..., 3:]])
    assert_rounded_once(load(mount, image, "linear.npy"), exact)
    assert load(mount, image, "g,linear.npy").tobytes() == load(mount, image, "linear,g.npy").tobytes()
    assert load(mount, image, "bgr,linear,chw.npy").tobytes() == load(mount, image, "linear,bgr,chw.npy").tobytes()
    assert errno_of(os.stat, mount.at(image, "views", "gray,linear.npy")) == errno.EINVAL


def test_gray_jpeg(mount):
    assert_rounded_once(load(mount, "gray.jpg", "linear.npy"), CURVES["para4"].decode(pixels(mount, "gray.jpg")))
    assert load(mount, "gray.jpg", "rgb,linear.npy").tobytes() == np.repeat(load(mount, "gray.jpg", "linear.npy"), 3, axis=2).tobytes()


def test_srgb_as_little_cms_makes_it_is_srgb(mount):
    assert_rounded_once(load(mount, "pillow.jpg", "linear.npy"), srgb_decode(pixels(mount, "pillow.jpg")))
    assert load(mount, "pillow.jpg", "srgb.npy").tobytes() == pixels(mount, "pillow.jpg").astype(F).tobytes()


def test_a_profile_that_is_linear_changes_nothing(mount):
    assert load(mount, "identity_rgb8.png", "linear.npy").tobytes() == pixels(mount, "identity_rgb8.png").astype(F).tobytes()


@pytest.mark.parametrize("name", ["gamma22", "para3", "para4", "table1024", "para2"])
def test_values_outside_of_the_curve(mount, name):
    """2 f(0) - f(-v) below 0; above 1 the same formula, or the last entry of a table. Resizing brings such values about."""
    image, curve = f"{name}_gray8.png", CURVES[name]
    wild = load(mount, image, "size=40x40,filter=lanczos3.npy").astype(np.float64)
    positive = np.clip(np.abs(wild), None, 1) if name.startswith("table") else np.abs(wild)
    zero = float(curve.decode(np.zeros(1))[0])
    assert (wild < 0).any() and (wild > 1).any()
    exact = np.where(wild < 0, 2 * zero - curve.decode(positive), curve.decode(positive))
    assert_rounded_once(load(mount, image, "size=40x40,filter=lanczos3,linear.npy"), exact)


# ---- tables ----

@pytest.mark.parametrize("name", TABLES)
def test_a_profile_of_tables_becomes_linear_bt709(mount, name):
    kind, _ = TABLES[name]
    exact = linear_of_nodes(kind, node_table(3, False) if kind == "xyz" else lab_table(3)).reshape(6, 36, 3)
    for image in (f"{name}_nodes.png", f"{name}_nodes16.png"):
        got = load(mount, image, "linear.npy")
        assert np.abs(got[..., :3] - exact).max() < 2e-5, np.abs(got[..., :3] - exact).max()
        assert got[..., 3:].tobytes() == np.ascontiguousarray(pixels(mount, image)[..., 3:].astype(F)).tobytes()
        assert errno_of(os.stat, mount.at(image, "views", "r,linear.npy")) == errno.EINVAL
        assert errno_of(os.stat, mount.at(image, "views", "gray,linear.npy")) == errno.EINVAL


def by_pillow(array, mode, profile):
    """As 8-bit sRGB, relative colorimetric without black point compensation; flags: no cache, no simplified tables."""
    convert = ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=1, flags=0x0140)
    return np.asarray(ImageCms.applyTransform(Image.fromarray(array, mode), convert)).astype(int)


@pytest.mark.parametrize("name", TABLES)
def test_between_the_points_of_a_table_it_is_what_pillow_says(mount, name):
    image = f"{name}_any.png"
    stored = np.rint(pixels(mount, image) * 255).astype(np.uint8)
    got = load(mount, image, "srgb,u8.npy").astype(int)
    assert np.abs(got - by_pillow(stored, "RGB", TABLES[name][1])).max() <= 1
    assert load(mount, image, "linear,bgr,crop=7:9:50:40.npy").tobytes() == np.ascontiguousarray(load(mount, image, "linear.npy")[9:49, 7:57, ::-1]).tobytes()


def test_inks_become_colours(mount):
    ink = np.rint((1 - pixels(mount, "inks.jpg")) * 255).astype(np.uint8)  # Adobe stores 1 - ink
    got = load(mount, "inks.jpg", "srgb,u8.npy").astype(int)
    assert got.shape[2] == 3 and np.abs(got - by_pillow(ink, "CMYK", INKS)).max() <= 1
    nodes = linear_of_nodes("xyz", node_table(4, True))
    assert np.abs(load(mount, "inks_solid.jpg", "linear.npy") - nodes[-1]).max() < 2e-5
    assert errno_of(os.stat, mount.at("inks.jpg", "views", "rgb,linear.npy")) == errno.EINVAL
    assert load(mount, "inks.jpg", "rgb.npy").shape[2] == 3
    assert "linear.f32" in os.listdir(mount.at("inks.jpg", "views"))


# ---- H.273 ----

def bt709(v):
    alpha, beta = 1.099296826809442, 0.018053968510807
    return np.where(v < 4.5 * beta, v / 4.5, np.power((v + alpha - 1) / alpha, 1 / 0.45))


def pq(v):
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    n = np.power(v, 1 / m2)
    return np.power(np.maximum(n - c1, 0) / (c2 - c3 * n), 1 / m1)


def hlg(v):
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)


H273 = {"bt709": bt709, "bt2020": bt709, "gamma22": lambda v: v ** 2.2, "gamma28": lambda v: v ** 2.8, "linear": lambda v: v,
        "srgb": srgb_decode, "pq": pq, "hlg": hlg}


@pytest.mark.parametrize("name", CICP)
def test_code_points_of_h273(mount, name):
    for image in (f"cicp_{name}.png", f"cicp_{name}_8.png"):
        stored = pixels(mount, image)
        assert_rounded_once(load(mount, image, "linear.npy"), H273[name](stored))
        assert_rounded_once(load(mount, image, "srgb.npy"), stored if name == "srgb" else srgb_encode(H273[name](stored)))


def test_assume_knows_them_too(mount):
    stored = pixels(mount, "three16.png")[..., :1]
    for ident, curve in (("pq_rec2020_display", pq), ("hlg_rec2020_display", hlg), ("srgb_rec709_scene", srgb_decode), ("g24_rec709_scene", lambda v: v ** 2.4)):
        assert_rounded_once(load(mount, "three16.png", f"assume={ident},linear,r.npy"), curve(stored))
    assert errno_of(os.stat, mount.at("three16.png", "views", "assume=unknown,linear.npy")) == errno.EINVAL


def test_json_tells_the_curve(mount):
    for spec, wanted in (("pixels", "icc"), ("linear", "linear"), ("srgb", "srgb"), ("assume=pq_rec2020_display", "pq")):
        assert mount.json("three16.png", "views", f"{spec}.json")["transfer"] == wanted


# ---- what can't be ----

@pytest.mark.parametrize("name", [f"damaged_{name}.{kind}" for name in DAMAGED for kind in ("png", "jpg")] + ["inks_of_rgb.jpg", "rgb_of_gray.jpg"])
def test_a_profile_that_says_nothing_is_einval_and_no_harm(mount, name):
    for view in ("linear.f32", "srgb.npy", "linear,long=4.png"):
        assert errno_of(os.stat, mount.at(name, "views", view)) == errno.EINVAL
        assert errno_of(open, mount.at(name, "views", view), "rb") == errno.EINVAL
    assert "linear.f32" not in os.listdir(mount.at(name, "views"))
    stored = np.load(mount.at(name, "pixels.npy"))
    assert stored.size and load(mount, name, "chw.npy").size == stored.size
    shown = np.asarray(Image.open(mount.at(name, "views", "pixels.png")))
    if stored.shape[2] != 4:
        assert (shown.reshape(stored.shape) == np.rint(stored * 255)).all()
    assert load(mount, name, "rgb,assume=srgb_rec709_scene,linear.npy").size


# ---- images that nobody here made ----

@pytest.mark.skipif(not corpus.available(), reason=f"no corpus at {corpus.CORPUS} (PIXFS_CORPUS)")
def test_profiles_of_the_corpus(mounted, summary):
    mount = mounted(corpus.CORPUS)
    equal, refused, damaged = [], [], []
    part = "pixels" if os.environ.get("PIXFS_LONG") == "1" else "crop=0:0:200:200"
    for folder, _, _ in os.walk(corpus.CORPUS):
        for name in sorted(os.listdir(folder)):
            image = mount.at(os.path.relpath(os.path.join(folder, name), corpus.CORPUS))
            if not name.lower().endswith((".png", ".jpg", ".jpeg")) or not os.path.exists(os.path.join(image, "pixels.npy")):
                continue
            with open(os.path.join(image, "meta.json"), "rb") as file:
                if json.load(file)["color"]["transfer"] != "icc":
                    continue
            if errno_of(np.load, os.path.join(image, "pixels.npy")):
                damaged.append(image)
            elif errno_of(os.stat, os.path.join(image, "views", "linear.npy")) == errno.EINVAL:
                refused.append(name)
            else:
                with open(os.path.join(image, "attributes", "icc.icc"), "rb") as file:
                    tags = make_icc.read_tags(file.read())
                curves = [make_icc.read_curve(tags[tag]) for tag in (b"kTRC", b"rTRC", b"gTRC", b"bTRC") if tag in tags]
                stored = np.load(os.path.join(image, "views", f"{part}.npy")).astype(np.float64)
                exact = np.dstack([curve(stored[..., c]) for c, curve in enumerate(curves)] + [stored[..., len(curves) :]])
                assert_rounded_once(np.load(os.path.join(image, "views", f"{part},linear.npy")), exact)
                equal.append(name)
    summary(f"corpus: linear of {len(equal)} images with a profile is the curve's, {len(refused)} refused, {len(damaged)} damaged")
    assert len(equal) > 30 and len(refused) < 5


# ---- many at once ----

@pytest.mark.parametrize("image", ["mab_lab_any.png", "inks.jpg", "three16.png"])
def test_eight_readers_of_one_view(mount, image):
    with open(mount.at(image, "views", "linear,mirror.f32"), "rb", buffering=0) as file:
        whole = file.read()
        file.seek(0)
        wrong = []

        def read(seed):
            random = np.random.default_rng(seed)
            for number in range(30):
                with open(mount.at(image, "views", f"linear,mirror{',pixels' * (number % 5)}.f32"), "rb", buffering=0) as own:
                    at = int(random.integers(0, len(whole)))
                    length = int(random.integers(1, len(whole)))
                    if os.pread(own.fileno(), length, at) != whole[at : at + length]:
                        wrong.append((seed, at, length))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
