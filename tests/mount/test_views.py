"""Views through a real mount, read by the programs that people read them with: numpy, OpenCV, Pillow, tifffile. What each view
holds is computed here with numpy from pixels.npy (whose own exactness other tests prove); that every spec is right is the
matter of tests/property."""
import errno
import io
import os
import subprocess

import numpy as np
import pytest
from PIL import Image

import make_exr_cases
from case import pattern
from make_png import RGB, RGBA, png
from pixmount import errno_of

F = np.float32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = tmp_path_factory.mktemp("views")
    (source / "rgb.png").write_bytes(png(pattern(45, 61, 3, 8, 1), RGB, 8))
    (source / "rgba16.png").write_bytes(png(pattern(20, 30, 4, 16, 2), RGBA, 16))
    for case in make_exr_cases.make_all():
        (source / case.name).write_bytes(case.data)
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
    return np.load(mount.at(image, "pixels.npy"))


LAYOUTS = {
    "bgr.npy": lambda a: a[..., 2::-1],
    "chw.npy": lambda a: a.transpose(2, 0, 1),
    "r,squeeze.npy": lambda a: a[..., 0],
    "ch=B+R.npy": lambda a: a[..., [2, 0]],
    "mirror.npy": lambda a: a[:, ::-1],
    "bottomup.npy": lambda a: a[::-1],
    "rot=90.npy": lambda a: np.rot90(a),
    "crop=3:4:10:9.npy": lambda a: a[4:13, 3:13],
    "gray.npy": lambda a: ((F(0.2126) * a[..., 0] + F(0.7152) * a[..., 1]) + F(0.0722) * a[..., 2])[..., None],
    "opaque.npy": lambda a: a[..., :3],
}


@pytest.mark.parametrize("image", ["rgb.png", "rgba16.png"])
@pytest.mark.parametrize("view", LAYOUTS)
def test_moved_and_chosen_samples_are_bit_equal_to_numpy(mount, image, view):
    wanted = LAYOUTS[view](pixels(mount, image))
    got = load(mount, image, view)
    assert got.shape == wanted.shape and got.dtype == F and got.tobytes() == np.ascontiguousarray(wanted).tobytes()


def test_alpha_is_numpys(mount):
    a = pixels(mount, "rgba16.png")
    wanted = a.copy()
    wanted[..., :3] *= a[..., 3:]
    assert load(mount, "rgba16.png", "premul.npy").tobytes() == wanted.tobytes()


@pytest.mark.parametrize("kind, dtype, scale", [("u8", "u1", 255), ("u16", "<u2", 65535), ("f16", "<f2", None)])
def test_sample_types_are_numpys(mount, kind, dtype, scale):
    a = pixels(mount, "rgba16.png")
    wanted = a.astype(dtype) if scale is None else np.rint(a * F(scale)).astype(dtype)
    assert load(mount, "rgba16.png", f"{kind}.npy").tobytes() == wanted.tobytes()
    assert np.fromfile(mount.at("rgba16.png", "views", f"{kind}.{kind}"), dtype).tobytes() == wanted.tobytes()


def test_a_memmap_can_be_written_to_in_memory(mount):
    view = np.load(mount.at("rgb.png", "views", "chw.npy"), mmap_mode="c")
    before = view[0, 0, 0].copy()
    view[0, 0, 0] = 7
    assert view[0, 0, 0] == 7 and load(mount, "rgb.png", "chw.npy")[0, 0, 0] == before


@pytest.mark.parametrize("name, resample", [("box", Image.BOX), ("linear", Image.BILINEAR), ("cubic", Image.BICUBIC),
                                            ("lanczos3", Image.LANCZOS), ("nearest", Image.NEAREST)])
@pytest.mark.parametrize("size", [(17, 23), (100, 80)])
def test_resizing_is_pillows(mount, name, resample, size):
    a = pixels(mount, "rgb.png")
    wanted = np.dstack([np.asarray(Image.fromarray(np.ascontiguousarray(a[..., c]), "F").resize(size, resample)) for c in range(3)])
    got = load(mount, "rgb.png", f"size={size[0]}x{size[1]},filter={name}.npy")
    assert got.shape == wanted.shape and np.abs(got - wanted).max() <= 1e-5


FILTERS = {"box": Image.BOX, "linear": Image.BILINEAR, "cubic": Image.BICUBIC, "lanczos3": Image.LANCZOS}


def pillow(a, size, resample):
    return np.dstack([np.asarray(Image.fromarray(np.ascontiguousarray(a[..., c]), "F").resize(size, resample)) for c in range(a.shape[2])])


@pytest.fixture
def sprite(tmp_path, mounted):
    """Colour everywhere, but seen through holes only."""
    source = tmp_path / "source"
    source.mkdir()
    stored = pattern(40, 40, 4, 8, 9)
    stored[::3, ::2, 3] = 0
    stored[8:20, 8:30, 3] = 0
    stored[30:, :, 3] = 255
    (source / "a.png").write_bytes(png(stored, RGBA, 8))
    return mounted(source), stored


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("size", [(10, 10), (55, 31)])
def test_straight_alpha_weighs_its_colour_as_pillow_does_it(sprite, name, size):
    mount, stored = sprite
    a = stored.astype(F) / F(255)
    whole = pillow(np.dstack([a[..., :3] * a[..., 3:], a[..., 3:]]), size, FILTERS[name])
    got = load(mount, "a.png", f"size={size[0]}x{size[1]},filter={name}.npy")
    alpha = whole[..., 3:]
    assert np.abs(got[..., 3:] - alpha).max() <= 1e-6
    assert np.abs(got[..., :3] * got[..., 3:] - whole[..., :3]).max() <= 2e-6
    seen = np.abs(alpha[..., 0]) > 0.05
    assert np.abs(got[seen][:, :3] - whole[seen][:, :3] / alpha[seen]).max() <= 1e-4
    assert not got[(whole == 0).all(-1)].any()  # nothing is seen there: black
    assert got.tobytes() == load(mount, "a.png", f"premul,size={size[0]}x{size[1]},straight,filter={name}.npy").tobytes()
    if name not in ("box", "linear"):
        return  # with 8 bits Pillow cuts what overshoots after the first axis
    eight = np.asarray(Image.fromarray(stored).resize(size, FILTERS[name])).astype(int)
    mine = load(mount, "a.png", f"size={size[0]}x{size[1]},u8,filter={name}.npy").astype(int)
    opaque = eight[..., 3] >= 64  # Pillow rounds to 8 bits in between: less is left of what is hardly seen
    assert np.abs(mine - eight)[..., 3].max() <= 1 and np.abs(mine - eight)[opaque].max() <= 5


def test_what_is_no_straight_alpha_weighs_nothing(sprite):
    mount, stored = sprite
    a = stored.astype(F) / F(255)
    apart = pillow(a, (10, 10), Image.BOX)
    assert np.abs(load(mount, "a.png", "packed,size=10x10.npy") - apart).max() <= 1e-6
    assert np.abs(load(mount, "a.png", "rgb,size=10x10.npy") - apart[..., :3]).max() <= 1e-6
    premul = pillow(np.dstack([a[..., :3] * a[..., 3:], a[..., 3:]]), (10, 10), Image.BOX)
    assert np.abs(load(mount, "a.png", "premul,size=10x10.npy") - premul).max() <= 1e-6
    assert np.array_equal(load(mount, "a.png", "size=10x10,filter=nearest.npy"), a[2::4, 2::4])
    assert np.array_equal(load(mount, "a.png", "packed,bgra,premul.npy"), a[..., [2, 1, 0, 3]])
    assert mount.json("a.png", "views", "packed.json")["channel_names"] == ["R", "G", "B", "A"]


def test_blender_is_rgba_from_the_bottom(mount):
    a = pixels(mount, "rgb.png")
    wanted = np.dstack([a, np.ones(a.shape[:2], F)])[::-1]
    assert np.fromfile(mount.at("rgb.png", "views", "blender.f32"), "<f4").tobytes() == wanted.tobytes()


def test_native_has_the_stored_type(mount, fixture_mount):
    assert load(mount, "rgb.png", "native.npy").tobytes() == np.rint(pixels(mount, "rgb.png") * 255).astype("u1").tobytes()
    assert load(mount, "rgba16.png", "native.npy").dtype == np.dtype("<u2")


@pytest.mark.parametrize("image, view", [("rgb.png", "pixels.tif"), ("rgb.png", "native.tif"), ("rgba16.png", "u16.tif"), ("rgba16.png", "gray.tif")])
def test_tiff_is_read_by_everyone(mount, image, view):
    import cv2
    import tifffile
    wanted = load(mount, image, view.replace(".tif", ".npy"))
    path = mount.at(image, "views", view)
    assert tifffile.imread(path).tobytes() == wanted.tobytes()
    assert np.array(tifffile.memmap(path, mode="r")).tobytes() == wanted.tobytes()
    seen = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    seen = seen.reshape(wanted.shape)[..., [2, 1, 0, 3][: wanted.shape[2]] if wanted.shape[2] >= 3 else [0]]
    assert np.ascontiguousarray(seen).tobytes() == wanted.tobytes()
    if wanted.dtype == np.uint8:
        assert np.asarray(Image.open(path)).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("image", ["rgb.png", "rgba16.png"])
def test_png_is_a_picture(mount, image):
    import cv2
    data = open(mount.at(image, "views", "pixels.png"), "rb").read()
    wanted = load(mount, image, "u8.npy")
    assert np.asarray(Image.open(io.BytesIO(data))).tobytes() == wanted.tobytes()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape == wanted.shape
    assert len(data) == os.stat(mount.at(image, "views", "pixels.png")).st_size


def test_json_tells_what_the_array_is(mount):
    told = mount.json("rgb.png", "views", "rgb,chw,u8.json")
    array = load(mount, "rgb.png", "rgb,chw,u8.npy")
    assert told["shape"] == list(array.shape) and np.dtype(told["dtype"]) == array.dtype
    assert load(mount, "rgb.png", told["spec"] + ".npy").tobytes() == array.tobytes()


@pytest.mark.parametrize("view, wanted", [
    ("nothing.f32", errno.ENOENT), ("rgb.nothing", errno.ENOENT), ("crop=0:0:0:5.f32", errno.EINVAL), ("crop=a.f32", errno.EINVAL),
    ("linear.f32", errno.EINVAL), ("rot=45.f32", errno.EINVAL), ("size=999999x999999.f32", errno.EFBIG), ("ch=Q.f32", errno.EINVAL),
    ("rgb,,u8.npy", errno.EINVAL), ("size=0x5.npy", errno.EINVAL)])
def test_what_can_not_be_has_its_errno(mount, view, wanted):
    assert errno_of(os.stat, mount.at("rgb.png", "views", view)) == wanted
    assert errno_of(open, mount.at("rgb.png", "views", view), "rb") == wanted


@pytest.mark.parametrize("view", ["chw.f32", "size=16x16,u8.npy", "gray.png", "rot=90.tif", "crop=1:2:30:30.f32"])
def test_ranges_equal_the_same_range_of_a_full_read(mount, view):
    random = np.random.default_rng(5)
    with open(mount.at("rgb.png", "views", view), "rb", buffering=0) as file:
        whole = file.read()
        assert len(whole) == os.fstat(file.fileno()).st_size
        for _ in range(60):
            at, length = int(random.integers(0, len(whole) + 9)), int(random.integers(0, 3000))
            assert os.pread(file.fileno(), length, at) == whole[at : at + length]


def test_cat_writes_the_same_bytes(mount, folder):
    pixfs = os.environ.get("PIXFS_BIN", os.path.join(os.path.dirname(__file__), "..", "..", "build", "pixfs"))
    for view in ("premul,chw.npy", "long=9.png", "gray.tif"):
        out = subprocess.run([pixfs, "cat", str(folder), f"rgba16.png/views/{view}"], capture_output=True, check=True)
        assert out.stdout == open(mount.at("rgba16.png", "views", view), "rb").read()


def test_a_crop_of_a_tiled_image_decodes_the_tiles_under_it(tmp_path, mounted):
    import OpenImageIO as oiio
    spec = oiio.ImageSpec(512, 512, 3, oiio.HALF)
    spec.tile_width = spec.tile_height = 64
    spec.attribute("compression", "zip")
    out = oiio.ImageOutput.create(str(tmp_path / "t.exr"))
    source = tmp_path / "source"
    source.mkdir()
    array = np.random.default_rng(1).random((512, 512, 3), F).astype(np.float16).astype(F)
    assert out.open(str(source / "t.exr"), spec) and out.write_image(array)
    out.close()
    mount = mounted(source)
    before = mount.stats()["decodes"]
    got = load(mount, "t.exr", "crop=70:130:50:60.npy")
    assert got.tobytes() == np.ascontiguousarray(array[130:190, 70:120]).tobytes()
    assert mount.stats()["decodes"] - before == 1
