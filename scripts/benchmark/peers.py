"""What people use today, giving what pixels.f32 gives: float32 in 0..1, RGB order, (H, W, C). As a careful user writes it:
one division in place, no needless copy."""
import io
import os

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")

import cv2
import numpy as np
import OpenImageIO as oiio
import PIL
from PIL import Image

try:
    import imageio
except ImportError:
    imageio = None  # its rows are left out

Image.MAX_IMAGE_PIXELS = None


def scaled(stored):
    """Stored integers as float32 in 0..1, with one temporary; floats as they are."""
    if stored.dtype == np.float32:
        return stored
    out = stored.astype(np.float32)
    out /= np.float32(255 if stored.dtype == np.uint8 else 65535)
    return out


def rgb(bgr):
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if bgr.ndim == 3 else bgr[:, :, None]


def opencv(path):
    return scaled(rgb(cv2.imread(path, cv2.IMREAD_UNCHANGED)))


def opencv_native(path):
    return rgb(cv2.imread(path, cv2.IMREAD_UNCHANGED))


def openimageio(path):
    file = oiio.ImageInput.open(path)
    pixels = file.read_image("float")
    file.close()
    return pixels


def pillow(path):
    return scaled(np.asarray(Image.open(path)))


def imageio_(path):
    return scaled(np.asarray(imageio.imread(path)))


def bytes_opencv_native(data):
    return rgb(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def bytes_opencv(data):
    return scaled(bytes_opencv_native(data))


def bytes_pillow_native(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def bytes_pillow(data):
    return scaled(bytes_pillow_native(data))


def bytes_imageio(data):
    return scaled(np.asarray(imageio.imread(io.BytesIO(data))))


def exr_rows(path, first, count):
    """Rows of the full width through OpenImageIO, nothing else decoded than it must."""
    file = oiio.ImageInput.open(path)
    spec = file.spec()
    if spec.tile_height:
        y0 = first // spec.tile_height * spec.tile_height
        y1 = min(spec.height, -(-(first + count) // spec.tile_height) * spec.tile_height)
        pixels = file.read_tiles(0, spec.width, y0, y1, 0, 1, 0, 3, "float")[first - y0:first - y0 + count]
    else:
        pixels = file.read_scanlines(first, first + count, 0, 0, 3, "float")
    file.close()
    return pixels


def exr_crop(path, x, y, width, height):
    file = oiio.ImageInput.open(path)
    spec = file.spec()
    if spec.tile_width:
        tw, th = spec.tile_width, spec.tile_height
        x0, y0 = x // tw * tw, y // th * th
        x1, y1 = min(spec.width, -(-(x + width) // tw) * tw), min(spec.height, -(-(y + height) // th) * th)
        pixels = np.ascontiguousarray(file.read_tiles(x0, x1, y0, y1, 0, 1, 0, 3, "float")[y - y0:y - y0 + height, x - x0:x - x0 + width])
    else:
        pixels = np.ascontiguousarray(file.read_scanlines(y, y + height, 0, 0, 3, "float")[:, x:x + width])
    file.close()
    return pixels


def versions():
    return {"OpenCV": cv2.__version__, "OpenImageIO": oiio.VERSION_STRING, "Pillow": PIL.__version__,
            "imageio": imageio.__version__ if imageio else "not installed", "numpy": np.__version__}


PNG8 = {"Pillow": pillow, "OpenCV": opencv, "OpenImageIO": openimageio, **({"imageio": imageio_} if imageio else {})}
PNG16 = {"OpenCV": opencv, "OpenImageIO": openimageio}  # Pillow, and imageio through it, cut 16-bit RGB to 8
JPEG = PNG8
EXR = {"OpenCV": opencv, "OpenImageIO": openimageio}


def difference(ours, theirs):
    """In words; empty where they are the same bit for bit."""
    if theirs.ndim == 2:
        theirs = theirs[:, :, None]
    if ours.shape != theirs.shape:
        return f"another shape: {theirs.shape} where pixfs has {ours.shape}"
    if ours.tobytes() == theirs.tobytes():
        return ""
    if ours.dtype.kind in "ui":
        most = int(np.abs(ours.astype(np.int64) - theirs).max())
        return f"up to {most} different in {int((ours != theirs).sum())} of {ours.size} values"
    off = np.abs(ours.astype(np.float64) - theirs)
    if not np.nanmax(off) > 0:
        return ""
    return f"up to {np.nanmax(off):.1e} different" + (" (its last bit: it multiplies by 1/n)" if np.nanmax(off) < 1e-6 else "")
