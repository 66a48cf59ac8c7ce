"""make_jpeg.py - JPEG files: written by an encoder, then edited marker by marker where the encoder can't.

Reference: ITU-T T.81 (markers, section B), JFIF 1.02, Adobe TN 5116 (APP14), Exif 2.32. The expected pixels come from
judge.py: the value rule names libjpeg-turbo's accurate integer DCT with fancy upsampling, which Pillow uses.
"""
import io
import struct

import numpy as np
from PIL import Image

from case import Case, pattern
from make_png import exif, icc_profile

SOI = b"\xff\xd8"


def marker(code, body):
    """B.1.1.4: a marker segment; its length counts itself."""
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def insert(data, *segments):
    """Segments right behind SOI."""
    assert data[:2] == SOI
    return SOI + b"".join(segments) + data[2:]


def adobe(transform):
    """APP14: version 100, flags, and the colour transform: 0 none (RGB, CMYK), 1 YCbCr, 2 YCCK."""
    return marker(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def exif_segment(orientation):
    return marker(0xE1, b"Exif\0\0" + exif(orientation))


def photograph(height, width, planes=3, seed=0):
    """Smooth gradients, edges and some grain: what exercises chroma upsampling."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [127 + 100 * np.sin(x / (5 + 3 * c) + y / (9 - 2 * c) + seed) for c in range(planes)]
    image = np.dstack(waves) + (pattern(height, width, planes, 5, seed).astype(np.float64) - 16)
    image[height // 3 : height // 2, width // 4 : width // 2] = np.arange(planes) * 80 + 10
    return np.clip(image, 0, 255).astype(np.uint8)


def encode(array, **options):
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[array.shape[2]]
    out = io.BytesIO()
    Image.fromarray(array[:, :, 0] if mode == "L" else array, mode).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def find_marker(data, code):
    """Offset of the first segment with this marker code, walking the segments."""
    at = 2
    while at + 4 <= len(data):
        assert data[at] == 0xFF
        if data[at + 1] == code:
            return at
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise AssertionError(f"no marker {code:#x}")


def without_marker(data, code):
    at = find_marker(data, code)
    return data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]


def with_adobe_transform(data, transform):
    """The file with its Adobe segment, if any, replaced."""
    try:
        data = without_marker(data, 0xEE)
    except AssertionError:
        pass
    return insert(data, adobe(transform))


def make_all():
    rgb, gray, cmyk = photograph(37, 51), photograph(37, 51, 1), photograph(37, 51, 4)
    plain = encode(rgb, subsampling="4:4:4")
    color = {"format": "jpeg", "bit_depth": 8, "shape": [37, 51, 3], "color_model": "RGB", "is_float": False}
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for progressive in (False, True):
            name = f"ycc_{sampling.replace(':', '')}{'_progressive' if progressive else ''}.jpg"
            yield Case(name, encode(rgb, subsampling=sampling, progressive=progressive), channel_names=["R", "G", "B"], meta=color)
    for size in ((1, 1), (7, 9), (8, 8), (16, 17), (33, 65)):
        yield Case(f"size_{size[1]}x{size[0]}_420.jpg", encode(photograph(*size), subsampling="4:2:0"))
    yield Case("gray.jpg", encode(gray), channel_names=["Y"], meta={"color_model": "L", "shape": [37, 51, 1]})
    yield Case("gray_progressive.jpeg", encode(gray, progressive=True), channel_names=["Y"])
    yield Case("optimized.jpg", encode(rgb, optimize=True), meta=color)
    yield Case("quality_5.jpg", encode(rgb, quality=5), meta=color)
    yield Case("rgb_adobe.jpg", with_adobe_transform(plain, 0), channel_names=["R", "G", "B"], meta=color)
    four = {"color_model": "CMYK", "shape": [37, 51, 4]}
    names = ["C", "M", "Y", "K"]
    yield Case("cmyk_adobe.jpg", with_adobe_transform(encode(cmyk), 0), channel_names=names, meta={**four, "attributes.jpeg.adobe_inverted": True})
    yield Case("ycck_adobe.jpg", with_adobe_transform(encode(cmyk), 2), channel_names=names, meta={**four, "attributes.jpeg.adobe_inverted": True})
    for orientation in range(1, 9):
        facts = {"orientation.exif": orientation, "orientation.applied": False, "shape": [37, 51, 3]}
        yield Case(f"orientation_{orientation}.jpg", insert(plain, exif_segment(orientation)), meta=facts)
    yield Case("density.jpg", encode(rgb, dpi=(254, 127)), meta={"resolution.x": 10000, "resolution.y": 5000, "resolution.unit": "1/m"})
    yield Case("icc.jpg", encode(rgb, icc_profile=icc_profile()), meta={"color.transfer": "icc"})
    yield Case("comment.jpg", insert(encode(rgb), marker(0xFE, b"caf\xe9 \"said\" \x01\xff")), meta=color)
    yield Case("exif_broken.jpg", insert(plain, marker(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f")), meta=color)
    yield Case("behind_eoi.jpg", plain + b"trailing bytes", meta=color)
    yield Case("fill_bytes.jpg", SOI + b"\xff\xff\xff" + plain[2:], meta=color)
    yield Case("upper.JPG", plain, meta=color)


def make_restarts():
    """Restart markers (B.2.4.4), which Pillow can't write; None where OpenCV is absent."""
    try:
        import cv2
    except ImportError:
        return None
    ok, data = cv2.imencode(".jpg", photograph(64, 96), [cv2.IMWRITE_JPEG_RST_INTERVAL, 3, cv2.IMWRITE_JPEG_QUALITY, 80])
    return Case("restarts.jpg", data.tobytes()) if ok else None


def make_damaged():
    """name -> bytes: a JPEG has no checksum, so these are found by decoding, which open does."""
    whole = encode(photograph(80, 80), subsampling="4:2:0")
    progressive = encode(photograph(80, 80), progressive=True)
    frame = find_marker(whole, 0xC0)
    zero = bytearray(whole)
    zero[frame + 5 : frame + 9] = bytes(4)  # B.2.2: Y and X; X = 0 is not allowed
    return {
        "truncated.jpg": whole[: len(whole) * 2 // 3],
        "truncated_progressive.jpg": progressive[: len(progressive) * 2 // 3],
        "cut_in_header.jpg": whole[:30],
        "no_scan.jpg": whole[: find_marker(whole, 0xDA)] + b"\xff\xd9",
        "zero_size.jpg": bytes(zero),
        "no_quantization.jpg": without_marker(without_marker(whole, 0xDB), 0xDB),
        "empty.jpg": b"",
        "only_soi.jpg": SOI,
        "not_an_image.jpeg": b"\1\2 no format at all\0" * 5,
    }


def slow_jpeg(side=7000):
    """A progressive image that takes a while, and that is decoded only as a whole."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return encode(np.dstack([(127 + 120 * np.sin(x / 9)).astype(np.uint8), (127 + 120 * np.cos(y / 7)).astype(np.uint8), ((x + y) % 251).astype(np.uint8)]),
                  progressive=True, quality=95, subsampling="4:4:4")
