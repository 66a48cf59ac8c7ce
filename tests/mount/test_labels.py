"""Stored integers as they are: native, values and sizes of labels, palette indices and their palette. What must come out is
worked out here with numpy from the samples that were written."""
import errno
import os

import numpy as np
import pytest

from case import pattern
from make_png import GRAY, PALETTE, RGB, RGBA, chunk, palette_of, png
from pixmount import Mount, errno_of

LABELS = pattern(9, 13, 1, 8, 3) % 21
DEEP = pattern(9, 13, 1, 16, 4)
COLOURS = pattern(9, 13, 4, 8, 5)


@pytest.fixture(scope="module")
def mount(tmp_path_factory):
    source = tmp_path_factory.mktemp("labels")
    for name in ("a", "b"):
        (source / name).mkdir()
    plte = chunk(b"PLTE", palette_of(21).tobytes())
    (source / "a" / "0.png").write_bytes(png(LABELS, PALETTE, 8, before=plte))
    (source / "a" / "1.png").write_bytes(png(LABELS[::-1] % 4, PALETTE, 2, before=chunk(b"PLTE", palette_of(4).tobytes()) + chunk(b"tRNS", b"\0\x80")))
    (source / "deep.png").write_bytes(png(DEEP, GRAY, 16))
    (source / "rgba.png").write_bytes(png(COLOURS, RGBA, 8))
    (source / "key.png").write_bytes(png(COLOURS[..., :3], RGB, 8, before=chunk(b"tRNS", bytes([0, 1, 0, 2, 0, 3]))))
    mount = Mount(source, tmp_path_factory.mktemp("mount"))
    with mount:
        yield mount
    mount.assert_clean()


def load(mount, image, view):
    return np.load(mount.at(image, "views", view))


def nearest(a, width, height):
    """Pillow's: the sample under the centre of each output sample."""
    rows = [(2 * i + 1) * a.shape[0] // (2 * height) for i in range(height)]
    columns = [(2 * i + 1) * a.shape[1] // (2 * width) for i in range(width)]
    return a[rows][:, columns]


MOVES = {"crop=2:1:5:6": lambda a: a[1:7, 2:7], "rot=90": np.rot90, "mirror": lambda a: a[:, ::-1], "bottomup": lambda a: a[::-1],
         "upright": lambda a: a, "chw": lambda a: a.transpose(2, 0, 1), "square": lambda a: a[:, 2:11], "pixels": lambda a: a}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("image, stored", [("a/0.png", LABELS), ("deep.png", DEEP), ("rgba.png", COLOURS)])
def test_what_moves_means_the_same_before_and_after_native(mount, image, stored, move):
    wanted = np.ascontiguousarray(MOVES[move](stored))
    for spec in (f"native,{move}", f"{move},native"):
        got = load(mount, image, spec + ".npy")
        assert got.dtype == stored.dtype and got.shape == wanted.shape and got.tobytes() == wanted.tobytes()
    for spec in (f"values,{move}", f"{move},values"):
        got = load(mount, image, spec + ".npy")
        assert got.dtype == np.float32 and np.array_equal(got, wanted.astype(np.float32))


@pytest.mark.parametrize("choice, planes", [("ch=G", [1]), ("ch=A+R", [3, 0]), ("bgr", [2, 1, 0]), ("opaque", [0, 1, 2]), ("a", [3])])
def test_channels_are_chosen_before_and_after_native(mount, choice, planes):
    for spec in (f"native,{choice}", f"{choice},native"):
        assert np.array_equal(load(mount, "rgba.png", spec + ".npy"), COLOURS[..., planes])
    assert np.array_equal(load(mount, "rgba.png", f"{choice},values.npy"), COLOURS[..., planes].astype("f4"))


@pytest.mark.parametrize("spec", ["native,linear", "srgb,native", "native,size=5x5", "size=5x5,native,filter=box", "native,u8",
                                  "native,values", "gray,native", "rgba,native", "values,rgba", "range=0:1,native"])
def test_what_changes_values_is_refused_with_native_wherever_it_stands(mount, spec):
    assert errno_of(os.stat, mount.at("key.png", "views", spec + ".npy")) == errno.EINVAL


@pytest.mark.parametrize("size", [(7, 4), (30, 31), (13, 2), (1, 1)])
@pytest.mark.parametrize("image, stored", [("a/0.png", LABELS), ("deep.png", DEEP), ("rgba.png", COLOURS)])
def test_labels_stay_labels_in_other_sizes(mount, image, stored, size):
    wanted = nearest(stored, *size)
    text = "size=%dx%d" % size
    for spec in (f"native,{text},filter=nearest", f"filter=nearest,{text},native", f"{text},native,filter=nearest"):
        got = load(mount, image, spec + ".npy")
        assert got.dtype == stored.dtype and np.array_equal(got, wanted)
    assert np.array_equal(load(mount, image, f"values,{text},filter=nearest.npy"), wanted.astype("f4"))
    turned = load(mount, image, f"rot=90,native,{text},mirror,filter=nearest.npy")
    assert np.array_equal(turned, nearest(np.rot90(stored), *size)[:, ::-1])


def test_values_are_the_stored_integers_and_keep_them_as_other_types(mount):
    assert np.array_equal(load(mount, "deep.png", "values.npy"), DEEP.astype("f4"))
    assert np.array_equal(load(mount, "a/0.png", "values,u8.npy"), LABELS)
    assert np.array_equal(load(mount, "deep.png", "values,u16.npy"), DEEP)
    assert np.array_equal(load(mount, "deep.png", "values,u8.npy"), np.minimum(DEEP, 255).astype("u1"))
    assert np.array_equal(load(mount, "rgba.png", "values,premul,linear.npy"), COLOURS.astype("f4"))  # data: no alpha, no curve
    assert mount.json("rgba.png", "views", "values.json")["transfer"] == "data"


@pytest.mark.parametrize("lo, hi", [(0, 65535), (1000, 3000.5), (500, -20)])
def test_range_is_a_linear_map(mount, lo, hi):
    lo32, hi32 = np.float32(lo), np.float32(hi)
    wanted = (DEEP.astype("f4") - lo32) / (hi32 - lo32)
    assert load(mount, "deep.png", f"values,range={lo}:{hi}.npy").tobytes() == wanted.tobytes()
    seen = np.rint(np.clip(wanted * np.float32(255), 0, 255)).astype("u1")
    assert np.array_equal(load(mount, "deep.png", f"values,range={lo}:{hi},u8.npy"), seen)


def test_range_leaves_alpha_alone(mount):
    got = load(mount, "rgba.png", "range=0:2.npy")
    whole = np.load(mount.at("rgba.png", "pixels.npy"))
    assert got[..., 3].tobytes() == whole[..., 3].tobytes() and np.array_equal(got[..., :3], whole[..., :3] / np.float32(2))


@pytest.mark.parametrize("argument", ["1:1", "x:1", "1", "1:2:3", "0:"])
def test_a_range_that_is_none_is_refused(mount, argument):
    assert errno_of(os.stat, mount.at("deep.png", "views", f"range={argument}.npy")) == errno.EINVAL


def test_a_stack_of_palette_images_has_their_indices(mount):
    wanted = np.stack([LABELS, LABELS[::-1] % 4])
    for spec in ("native", "values,u8", "native,size=13x9,filter=nearest"):
        got = np.load(mount.at("a", ".pixfs", "stack", spec + ".npy"), mmap_mode="r")
        assert got.dtype == np.uint8 and np.array_equal(got, wanted)
    half = np.load(mount.at("a", ".pixfs", "stack", "squeeze,native,filter=nearest,size=6x4.npy"))
    assert np.array_equal(half, np.stack([nearest(a[..., 0], 6, 4) for a in wanted]))


def test_the_palette_is_an_array_that_is_never_listed(mount):
    opaque = np.load(mount.at("a/0.png/attributes/palette.npy"))
    assert opaque.dtype == np.uint8 and np.array_equal(opaque, np.c_[palette_of(21), np.full(21, 255, "u1")])
    cut = np.load(mount.at("a/1.png/attributes/palette.npy"), mmap_mode="r")
    assert np.array_equal(cut, np.c_[palette_of(4), np.array([0, 0x80, 255, 255], "u1")])
    pixels = cut[load(mount, "a/1.png", "native,squeeze.npy")] / np.float32(255)
    assert np.array_equal(pixels, np.load(mount.at("a/1.png/pixels.npy")))
    assert "attributes" not in os.listdir(mount.at("a/0.png")) and os.listdir(mount.at("a/0.png/attributes")) == []
    assert errno_of(os.stat, mount.at("rgba.png/attributes/palette.npy")) == errno.ENOENT
    assert os.getxattr(mount.at("a/0.png/attributes/palette.npy"), "user.pixfs.shape") == b"21,4"
