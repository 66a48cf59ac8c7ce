#!/usr/bin/python3
"""fixtures.py DIR - makes every small test file into DIR: images of each kind, damaged ones, archives.

The builders are in tests/mount/make_*.py, field by field, each with the array it must give; the tests import those. This
script writes the same files for a look from outside, for the unit tests and for the fuzzers' first corpus. The same
bytes come out at every run with the same libraries (JPEG and some EXR are written by Pillow and OpenImageIO).

    DIR/png jpeg exr     valid images                DIR/zip      archives, valid and awkward
    DIR/damaged          images that are errors      DIR/tree     a small dataset: class folders, labels.csv, a zip
    DIR/icc              ICC profiles, as the fuzz target takes them
"""
import os
import sys
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "mount"))

import make_exr_cases  # noqa: E402
import make_exr_other  # noqa: E402
import make_icc  # noqa: E402
import make_jpeg  # noqa: E402
import make_png  # noqa: E402
import make_zip  # noqa: E402
from case import pattern  # noqa: E402


def valid_cases():
    """folder -> list of Case."""
    return {"png": list(make_png.make_all()), "jpeg": [c for c in [*make_jpeg.make_all(), make_jpeg.make_restarts()] if c],
            "exr": [*make_exr_cases.make_all(), *make_exr_other.make_all()]}


def damaged_files():
    return {**make_png.make_damaged(), **make_jpeg.make_damaged(), **make_exr_cases.make_damaged()}


def archives():
    """name -> bytes of every archive that has a name of its own."""
    kinds = {name: made[0] for maker in (make_zip.make_names, make_zip.make_awkward, make_zip.make_refused) for name, made in maker().items()}
    return {**kinds, "shift_jis.zip": make_zip.shift_jis()[0], "nested.zip": make_zip.nested(3)}


def small_tree():
    """relative path -> bytes: what a dataset's folder looks like."""
    images = {f"train/{label}/{n:04}.png": make_png.png(pattern(16, 16, 3, 8, seed=n * 7 + len(label)), make_png.RGB, 8)
              for label in ("cat", "dog", "owl") for n in range(4)}
    return {**images, "train/photo.jpg": make_jpeg.encode(make_jpeg.photograph(32, 48)), "labels.csv": b"file,label\n0000.png,cat\n",
            "notes/readme.txt": "plain text, Grüße\n".encode(), "notes/empty": b"", "notes/big.bin": pattern(700, 1000, 1, 8, 5).tobytes()}


def profiles():
    """name -> bytes of ICC profiles behind the byte that says to the fuzz target what samples they are for."""
    grays = {f"gray_{name}": b"\0" + make_icc.gray(curve) for name, curve in make_icc.CURVES.items()}
    rgbs = {f"rgb_{name}": b"\1" + make_icc.rgb(curve, make_icc.CURVES["gamma18"]) for name, curve in make_icc.CURVES.items()}
    points = make_icc.corners(4, 2)[:, :3]
    table = (points * 40000).astype("uint16")
    inks = {"inks": b"\2" + make_icc.profile(b"CMYK", {b"A2B0": make_icc.lut16(4, 2, table)}, version=make_icc.V2, connection=b"Lab ")}
    tables = {"tables": b"\1" + make_icc.profile(b"RGB ", {b"A2B0": make_icc.lut_a_to_b(3, 2, table[:8])}, connection=b"Lab ")}
    return {**grays, **rgbs, **inks, **tables}


def packed_data():
    """name -> bytes behind the five that say to the fuzz target by what method, and how long."""
    out = {}
    for number, method in enumerate(make_zip.METHODS[1:]):
        for name, data in (("text", b"all of it, " * 40 + b"."), ("rows", pattern(60, 67, 1, 8, 1).tobytes() + b"." * 13), ("long", bytes(5 << 20) + b".")):
            out[f"{method}_{name}"] = bytes([number, 1]) + (len(data) // 16).to_bytes(3, "little") + make_zip.squeeze(data[: len(data) // 16 * 16 + 1], method)
    return out


def archive_of(files, path, method=zipfile.ZIP_STORED):
    """A zip of relative path -> bytes, with a fixed time of day."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 58)), data, method)


def write_files(folder, files):
    for name, data in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def write_all(folder):
    for kind, cases in valid_cases().items():
        write_files(os.path.join(folder, kind), {c.name: c.data for c in cases})
    write_files(os.path.join(folder, "damaged"), damaged_files())
    write_files(os.path.join(folder, "zip"), archives())
    write_files(os.path.join(folder, "icc"), profiles())
    write_files(os.path.join(folder, "unpack"), packed_data())
    tree = small_tree()
    write_files(os.path.join(folder, "tree"), tree)
    archive_of(tree, os.path.join(folder, "tree", "data.zip"))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    write_all(sys.argv[1])
