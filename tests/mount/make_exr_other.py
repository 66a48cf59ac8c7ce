"""make_exr_other.py - OpenEXR files that OpenImageIO writes: the compressions that make_exr.py has not, and deep images.

Needs python3-openimageio; make_all() gives nothing where it is absent. What PIZ, ZIP and RLE hold is the array itself; the
lossy ones (PXR24 of floats, B44, DWA) are judged by decoding (judge.py).
"""
import os
import tempfile

import numpy as np

from case import Case
from make_exr import HALF, FLOAT, UINT, random_bits, half_bits_to_float

try:
    import OpenImageIO as oiio
except ImportError:
    oiio = None

METHODS = ("piz", "pxr24", "b44", "b44a", "dwaa", "dwab")
RGBA = ("R", "G", "B", "A")


def spec_of(height, width, kind, method, names=RGBA, tile=None):
    spec = oiio.ImageSpec(width, height, len(names), kind)
    spec.channelnames = names
    spec.attribute("compression", method)
    spec.attribute("DateTime", "2024:01:01 00:00:00")  # else the writer puts the time of day there
    if tile:
        spec.tile_width, spec.tile_height = tile
    return spec


def written(name, spec, pixels):
    """The bytes of a file with these pixels."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        out = oiio.ImageOutput.create(path)
        if not out or not out.open(path, spec) or not out.write_image(pixels):
            raise RuntimeError(f"OpenImageIO can't write {name}: {oiio.geterror()}")
        out.close()
        with open(path, "rb") as file:
            return file.read()


def picture(height, width, planes, seed=0):
    """Smooth values in and above 0..1, as lossy methods expect, and a hard edge."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / (7 + c) + seed) * np.cos(y / (11 - c)) * 0.5 + 0.5 for c in range(planes)]
    image = np.dstack(waves).astype(np.float32)
    image[height // 3 : height // 2, width // 4 : width // 2] = 3.25
    return image


def make_compressions():
    for method in METHODS:
        for label, kind in (("half", oiio.HALF), ("float", oiio.FLOAT)):
            for tile in (None, (32, 16)):
                pixels = picture(45, 77, 4, seed=len(method))
                if kind == oiio.HALF:
                    pixels = pixels.astype(np.float16).astype(np.float32)
                name = f"{method}_{label}{'_tiled' if tile else ''}.exr"
                exact = method == "piz" or (method == "pxr24" and label == "half")
                yield Case(name, written(name, spec_of(45, 77, kind, method, tile=tile), pixels), pixels if exact else None, list(RGBA),
                           meta={"compression": method, "format": "openexr"})


def make_piz_bits():
    """PIZ of any bits at all, which its wavelet must give back."""
    half = np.dstack([half_bits_to_float(random_bits(HALF, 33, 40, seed)) for seed in range(3)])
    yield Case("piz_half_bits.exr", written("a.exr", spec_of(33, 40, oiio.HALF, "piz", ("R", "G", "B")), half), half, ["R", "G", "B"])
    whole = np.dstack([random_bits(FLOAT, 33, 40, seed).view(np.float32) for seed in range(3)])
    yield Case("piz_float_bits.exr", written("a.exr", spec_of(33, 40, oiio.FLOAT, "piz", ("R", "G", "B")), whole), whole, ["R", "G", "B"])
    for method in ("piz", "pxr24"):
        number = random_bits(UINT, 33, 40, 5)[:, :, None]
        data = written("a.exr", spec_of(33, 40, oiio.UINT, method, ("Y",)), number)
        yield Case(f"{method}_uint.exr", data, number.astype(np.float32), ["Y"], meta={"channel_datatype": "U32", "lossless_f32": False})


def make_all():
    if oiio:
        yield from make_compressions()
        yield from make_piz_bits()


def make_deep():
    """A deep scanline image: valid, described, and not decodable as an array. None without OpenImageIO."""
    if not oiio:
        return None
    spec = oiio.ImageSpec(4, 3, 2, oiio.FLOAT)
    spec.channelnames = ("A", "Z")
    spec.deep = True
    spec.attribute("compression", "zips")
    spec.attribute("DateTime", "2024:01:01 00:00:00")
    deep = oiio.DeepData()
    deep.init(12, 2, (oiio.FLOAT, oiio.FLOAT), ("A", "Z"))
    for pixel in range(12):
        deep.set_samples(pixel, pixel % 3)
        for sample in range(pixel % 3):
            deep.set_deep_value(pixel, 0, sample, 0.5)
            deep.set_deep_value(pixel, 1, sample, float(pixel + sample))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "deep.exr")
        out = oiio.ImageOutput.create(path)
        assert out.open(path, spec) and out.write_deep_image(deep), out.geterror()
        out.close()
        with open(path, "rb") as file:
            return Case("deep.exr", file.read(), meta={"width": 4, "height": 3})
