"""Single images to measure with, made once and kept in the work directory: photographs where the corpus is there, else
synthetic. Deterministic: the same files at every run."""
import io
import os
import shutil
import zipfile

import numpy as np
from PIL import Image

CORPUS_DEFAULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared", "corpus")
WIDTH, HEIGHT = 4096, 2304
BIG = 8192


def corpus(*names):
    """A path in the folder of public test images, None where it isn't."""
    path = os.path.join(os.environ.get("PIXFS_CORPUS", CORPUS_DEFAULT), *names)
    return path if os.path.exists(path) else None


def synthetic_photograph(width, height, seed):
    """Gradients, soft shapes and sensor noise: compresses about as a photograph does."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(width, height)
    out = np.empty((height, width, 3), np.float32)
    for c in range(3):
        plane = 110 + 60 * x - 40 * y
        for _ in range(12):
            fx, fy, phase = random.uniform(-40, 40), random.uniform(-40, 40), random.uniform(0, 6.28)
            plane += random.uniform(3, 12) * np.sin(fx * x + fy * y + phase)
        out[:, :, c] = plane + random.normal(0, 3.5, plane.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def photographs():
    """uint8 RGB pictures of about 768x512."""
    path = corpus("datasets", "kodak.zip")
    if not path:
        return [synthetic_photograph(768, 512, seed) for seed in range(24)]
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        return [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]


def mosaic(width, height):
    """Photographs side by side in their own resolution: the detail of each pixel stays a photograph's."""
    tiles = [tile if tile.shape[0] < tile.shape[1] else np.rot90(tile) for tile in photographs()]
    out = np.empty((height, width, 3), np.uint8)
    h, w = tiles[0].shape[:2]
    n = 0
    for y in range(0, height, h):
        for x in range(0, width, w):
            part = out[y:y + h, x:x + w]
            part[...] = tiles[n * 7 % len(tiles)][:part.shape[0], :part.shape[1]]
            n += 1
    return out


def deep(picture, seed=1):
    """16 bit: the photograph with the noise of a sensor in the bits below."""
    noise = np.random.default_rng(seed).normal(0, 48, picture.shape).astype(np.float32)
    return np.clip(picture.astype(np.float32) * 257 + noise, 0, 65535).astype(np.uint16)


def scene_linear(picture):
    """Linear light with a renderer's fine noise."""
    value = deep(picture).astype(np.float32) / 65535
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def write_oiio(path, pixels, datatype, compression="", tile=0):
    import OpenImageIO as oiio
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, datatype)
    if compression:
        spec.attribute("compression", compression)
    if tile:
        spec.tile_width = spec.tile_height = tile
    out = oiio.ImageOutput.create(path)
    if not out or not out.open(path, spec) or not out.write_image(np.ascontiguousarray(pixels)):
        raise RuntimeError(f"{path}: {out.geterror() if out else oiio.geterror()}")
    out.close()


# name of an EXR -> stored type, compression, tile size
EXR = {"zip": ("half", "zip", 0), "piz": ("half", "piz", 0), "zips": ("half", "zips", 0), "pxr24": ("half", "pxr24", 0),
       "b44": ("half", "b44", 0), "none": ("half", "none", 0), "tiled": ("half", "zip", 64), "float": ("float", "zip", 0)}
JPEG = {"10mp": (3872, 2592), "16mp": (4928, 3264), "24mp": (6000, 4000)}


class Inputs:
    """Paths of inputs below one work directory; each is made when it is first asked for."""

    def __init__(self, folder, tiny=False):
        self.folder, self.tiny = os.path.realpath(folder), tiny
        os.makedirs(self.folder, exist_ok=True)
        self._picture = None

    def shrunk(self, n):
        return max(64, n // 16) if self.tiny else n

    def path(self, name):
        return os.path.join(self.folder, ("tiny-" if self.tiny else "") + name)

    def kept(self, name, make):
        """The path of a file or directory; make(path) writes it where it isn't there yet, whole or not at all."""
        path = self.path(name)
        if not os.path.exists(path):
            root, extension = os.path.splitext(path)
            part = root + ".part" + extension
            if os.path.isdir(part):
                shutil.rmtree(part)
            print(f"making {name}", flush=True)
            make(part)
            os.rename(part, path)
        return path

    def picture(self):
        if self._picture is None:
            self._picture = mosaic(self.shrunk(WIDTH), self.shrunk(HEIGHT))
        return self._picture

    def png(self, bits):
        if bits == 8:
            return self.kept("8bit.png", lambda path: Image.fromarray(self.picture()).save(path))
        return self.kept("16bit.png", lambda path: write_oiio(path, deep(self.picture()), "uint16"))

    def jpeg(self, name):
        width, height = (self.shrunk(n) for n in JPEG[name])
        return self.kept(f"{name}.jpg", lambda path: Image.fromarray(mosaic(width, height)).save(path, quality=90, subsampling=2))

    def exr(self, name):
        datatype, compression, tile = EXR[name]
        return self.kept(f"{name}.exr", lambda path: write_oiio(path, scene_linear(self.picture()), datatype, compression, tile))

    def big_exr(self, name):
        tile = 64 if name == "tiled" else 0
        size = self.shrunk(BIG)

        def make(path):
            write_oiio(path, scene_linear(mosaic(size, size)).astype(np.float16), "half", "zip", tile)
        return self.kept(f"big-{name}.exr", make)

    def small(self, extension):
        """A small image of another kind of content, to wake up a new mount's decoders with."""
        picture = mosaic(256, 256)
        if extension == ".exr":
            return self.kept("small.exr", lambda path: write_oiio(path, scene_linear(picture), "half", "zip"))
        return self.kept("small" + extension, lambda path: Image.fromarray(picture).save(path))


def copies(path, n, folder):
    """n real copies of a file below folder, in the page cache and written to disk; their names. Each in a directory of its own:
    pixfs decodes ahead for who reads the images of one directory in order, which is not what a first read measures."""
    extension = os.path.splitext(path)[1]
    names = [os.path.join(str(i), f"copy{extension}") for i in range(n)]
    for name in names:
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        shutil.copyfile(path, os.path.join(folder, name))
    os.sync()
    for name in names:
        read_whole(os.path.join(folder, name))
    return names


def read_whole(path):
    """Into the page cache."""
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass
