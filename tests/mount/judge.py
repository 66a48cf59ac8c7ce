"""judge.py - what independent decoders say an image holds: float32 (H, W, C) under the value rule of pixels.

Integers become value / (2^n - 1) in one float32 division, floats stay, nothing else is done: no colour, no alpha, no
orientation. The decoders' own defaults do other things; each wrapper undoes or avoids them, and raises Unjudged where
that can't be done. A decoder may be absent (Unjudged too); test_judge.py tells how many there are.
"""
import io
import os
import struct
import warnings

import numpy as np

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
try:
    import OpenImageIO as oiio
    oiio.attribute("threads", 1)
except ImportError:
    oiio = None
try:
    import cv2
    cv2.setNumThreads(1)
except ImportError:
    cv2 = None
try:
    from PIL import Image
    Image.MAX_IMAGE_PIXELS = None
except ImportError:
    Image = None


class Unjudged(Exception):
    """This decoder can't tell the stored values of this file."""


def scaled(array):
    """Unsigned integers to float32; (H, W) to (H, W, 1)."""
    array = array[:, :, None] if array.ndim == 2 else array
    if array.dtype.kind == "u":
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    return array.astype(np.float32)


def kind_of(path):
    with open(path, "rb") as file:
        head = file.read(8)
    return {b"\x89PNG": "png", b"\x76\x2f\x31\x01": "exr", b"\xff\xd8\xff": "jpeg"}.get(head[:4]) or ("jpeg" if head[:3] == b"\xff\xd8\xff" else None)


def png_facts(path):
    """depth, colour type, and whether there is a tRNS chunk before the image data."""
    with open(path, "rb") as file:
        data = file.read()
    depth, color_type = data[24], data[25]
    at, transparent = 8, False
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            break
        transparent |= kind == b"tRNS"
        at += 12 + length
    return depth, color_type, transparent


def has_chroma(path):
    """An EXR's channel list with an entry named RY: the name, and a zero byte behind it."""
    with open(path, "rb") as file:
        return kind_of(path) == "exr" and b"\0RY\0" in file.read(4096)


def read_oiio(path, part=0, level=0):
    """Native samples; unassociated alpha as the file has it; EXR uint as numbers."""
    if not oiio:
        raise Unjudged("no OpenImageIO")
    if kind_of(path) == "jpeg" and jpeg_components(path) == 4:
        raise Unjudged("OpenImageIO turns CMYK into RGB")
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    config.attribute("oiio:RawColor", 1)
    image = oiio.ImageInput.open(path, config)
    if image is None:
        words = oiio.geterror()
        raise Unjudged(words) if "Subsampled" in words else ValueError(words)
    try:
        if not image.seek_subimage(part, level):
            raise ValueError(image.geterror() or "no such part")
        spec = image.spec()
        if spec.deep:
            raise Unjudged("deep")
        planes = []
        for number in range(spec.nchannels):
            stored = str(spec.channelformat(number))
            wanted = {"uint8": oiio.UINT8, "uint16": oiio.UINT16, "uint": oiio.UINT32}.get(stored, oiio.FLOAT)
            plane = image.read_image(part, level, number, number + 1, wanted)
            if plane is None or image.has_error:
                words = image.geterror() or "read failed"
                raise Unjudged(words) if "luminance-chroma" in words else ValueError(words)
            plane = np.asarray(plane).reshape(spec.height, spec.width)
            planes.append(plane.astype(np.float32) if stored == "uint" else scaled(plane)[:, :, 0])
        names = list(spec.channelnames)
        if "RY" not in names and has_chroma(path):
            raise Unjudged("OpenImageIO 2.5 makes R, G, B of luminance and chroma")
        return np.dstack(planes), names
    finally:
        image.close()


def read_cv2(path):
    if not cv2:
        raise Unjudged("no OpenCV")
    if kind_of(path) == "exr":
        raise Unjudged("OpenCV gives R, G, B, A only, and no uint")
    if kind_of(path) == "jpeg":
        raise Unjudged("OpenCV turns the picture by its EXIF orientation and CMYK into RGB")
    if kind_of(path) == "png":
        _, color_type, transparent = png_facts(path)
        if color_type == 4 or (transparent and color_type == 0):
            raise Unjudged("OpenCV gives gray with alpha as something else")
    array = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV can't read it")
    array = scaled(array)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    return array[:, :, order], {1: ["Y"], 3: list("RGB"), 4: list("RGBA")}[len(order)]


def read_pillow(path):
    if not Image:
        raise Unjudged("no Pillow")
    if kind_of(path) == "exr":
        raise Unjudged("Pillow reads no EXR")
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        if kind_of(path) == "png":
            return pillow_png(image, *png_facts(path))
        image.load()
        array = np.asarray(image)
        if image.mode == "CMYK":
            return scaled(255 - array), list("CMYK")  # Pillow inverts every CMYK JPEG
        return scaled(array), {"L": ["Y"], "RGB": list("RGB")}[image.mode]


def pillow_png(image, depth, color_type, transparent):
    if depth == 16 and color_type != 0:
        raise Unjudged("Pillow cuts 16-bit colour to 8")
    if transparent and color_type in (0, 2):
        raise Unjudged("Pillow compares tRNS after scaling")
    if color_type == 3:
        mode = "RGBA" if transparent else "RGB"
        return scaled(np.asarray(image.convert(mode))), list(mode)
    array = np.asarray(image)
    if depth == 16:
        array = array.astype(np.uint16)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    return scaled(array), {1: ["Y"], 2: ["Y", "A"], 3: list("RGB"), 4: list("RGBA")}[scaled(array).shape[2]]


def jpeg_components(path):
    """Components of the frame header (T.81 B.2.2), 0 where there is none."""
    with open(path, "rb") as file:
        data = file.read()
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0xFF, 0):
            at += 1
            continue
        code = data[at + 1]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            return data[at + 9]
        at += 2 if code == 1 or 0xD0 <= code <= 0xD8 else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0


READERS = {"OpenImageIO": read_oiio, "OpenCV": read_cv2, "Pillow": read_pillow}


def verdicts(path, without=()):
    """decoder -> (array, names) of all that can judge this file."""
    out = {}
    for name, reader in READERS.items():
        if name not in without:
            try:
                out[name] = reader(path)
            except Unjudged:
                pass
    return out


def decode(path):
    """The array and channel names of the first decoder that can judge the file."""
    for array, names in verdicts(path).values():
        return array, names
    raise Unjudged(path)


def same_bits(got, wanted):
    """Equal shapes and equal bits, float32."""
    return got.shape == wanted.shape and np.array_equal(np.ascontiguousarray(got, "<f4").view("<u4"), np.ascontiguousarray(wanted, "<f4").view("<u4"))


def same_values(got, wanted):
    """Equal shapes and values; NaN equals NaN whatever its payload (decoders may quieten it)."""
    return got.shape == wanted.shape and bool(((got == wanted) | (np.isnan(got) & np.isnan(wanted))).all())


def difference(got, wanted):
    """Words for an assertion: where two arrays first differ."""
    if got.shape != wanted.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    places = np.argwhere(np.ascontiguousarray(got, "<f4").view("<u4") != np.ascontiguousarray(wanted, "<f4").view("<u4"))
    if not len(places):
        return "equal"
    first = tuple(places[0])
    return f"{len(places)} of {got.size} differ, first at {first}: {got[first]!r}, expected {wanted[first]!r}"


def load_npy(data):
    return np.load(io.BytesIO(data), allow_pickle=False)
