"""Archives and directories of many images to measure with; made once, kept in the work directory."""
import io
import os
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

from . import inputs


def png_bytes(width=8, height=8):
    out = io.BytesIO()
    Image.fromarray(inputs.synthetic_photograph(width, height, 3)).save(out, "png")
    return out.getvalue()


def jpeg_bytes(picture, quality=90):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "jpeg", quality=quality)
    return out.getvalue()


def photograph_files():
    """JPEG files of RGB photographs of about 500x400."""
    path = inputs.corpus("datasets", "imagenet-sample.zip")
    if not path:
        return [jpeg_bytes(inputs.synthetic_photograph(500, 375, seed)) for seed in range(40)]
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            data = archive.read(name)
            with Image.open(io.BytesIO(data)) as image:
                if image.mode == "RGB" and 400 <= image.width <= 600 and 300 <= image.height <= 500:
                    found.append(data)
    return found


def stored_zip(path, files):
    """files: (name, bytes). The entries are plain files: without the type in their attributes fuse-zip can't show them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)


def photographs_zip(have, n):
    """n photographs in a stored zip, in one directory, the names in order."""
    def make(path):
        files = photograph_files()
        stored_zip(path, ((f"photos/{i:05d}.jpg", files[i % len(files)]) for i in range(n)))
    return have.kept(f"photos-{n}.zip", make)


def cifar_zip(have):
    """10,000 JPEG of 32x32 in class folders."""
    path = inputs.corpus("datasets", "cifar10-test.zip")
    if path and not have.tiny:
        return path
    n = 200 if have.tiny else 10000

    def make(path):
        files = [jpeg_bytes(inputs.synthetic_photograph(32, 32, seed)) for seed in range(100)]
        stored_zip(path, ((f"test/class{i % 10}/{i // 10:04d}.jpg", files[i % len(files)]) for i in range(n)))
    return have.kept(f"cifar-{n}.zip", make)


def wake_zip(have):
    """A small archive to wake up a new mount with."""
    picture = inputs.synthetic_photograph(500, 375, 9)
    return have.kept("wake.zip", lambda path: stored_zip(path, [("wake.jpg", jpeg_bytes(picture))]))


# ---- very many small ones ----

def write_stored_zip(path, names, data):
    """A stored zip whose entries all hold data; zip64 end records. By hand: zipfile takes minutes for a million."""
    crc, size = zlib.crc32(data), len(data)
    central, offset, count = [], 0, 0
    with open(path, "wb", buffering=1 << 20) as out:
        for name in names:
            raw = name.encode()
            common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x5A21, crc, size, size, len(raw), 0)
            out.write(b"PK\3\4" + common + raw + data)
            central.append(b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, offset) + raw)
            offset += 30 + len(raw) + size
            count += 1
        directory = b"".join(central)
        out.write(directory)
        end = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(directory), offset)
        out.write(b"PK\6\6" + end + b"PK\6\7" + struct.pack("<IQI", 0, offset + len(directory), 1))
        out.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(directory), offset, 0))


def million_zip(have, n, flat):
    """n stored PNGs: 1,000 in each class folder, or all in one."""
    def name(i):
        return f"all/{i:07d}.png" if flat else f"train/class_{i // 1000:04d}/{i:07d}.png"
    return have.kept(f"{'flat' if flat else 'classes'}-{n}.zip", lambda path: write_stored_zip(path, map(name, range(n)), png_bytes()))


def directory(have, n):
    """A directory that holds a directory `images` of n small files, each with an inode of its own."""
    def make(path):
        os.makedirs(os.path.join(path, "images"))
        data = png_bytes()
        for i in range(n):
            with open(os.path.join(path, "images", f"{i:06d}.png"), "wb", buffering=0) as file:
                file.write(data)
    return have.kept(f"directory-{n}.d", make)


def consume(array):
    """Holds what was read for as long as a user's next line would."""
    return np.asarray(array).shape
