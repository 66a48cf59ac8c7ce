"""Single images: first reads, second reads, and parts of large files."""
import contextlib
import os
import shutil
import tempfile

import numpy as np

from . import inputs, mount, peers
from .measure import PIXFS, Row, Side, take_turns


def read_array(path, shape):
    return np.fromfile(path, "<f4").reshape(shape)


@contextlib.contextmanager
def folder_of_copies(bench, path, n):
    folder = tempfile.mkdtemp(prefix="copies.", dir=bench.inputs.folder)
    try:
        yield folder, inputs.copies(path, n, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def notes_on_values(ours, results):
    words = {name: peers.difference(ours, theirs) for name, theirs in results}
    return [f"{name}: {told}" for name, told in words.items() if told]


def first_read(bench, row, path, decoders):
    """np.fromfile(pixels.f32) of a copy never seen, against each decoder on the same copy."""
    with folder_of_copies(bench, path, bench.repetitions + 1) as (folder, names), mount.pixfs(folder) as mnt:
        shape = mnt.json(names[0], "meta.json")["shape"]
        ours = read_array(mnt.at(names[0], "pixels.f32"), shape)
        row.notes += notes_on_values(ours, ((name, decode(path)) for name, decode in decoders.items()))
        sides = [Side(PIXFS, lambda i: read_array(mnt.at(names[i], "pixels.f32"), shape))]
        for name, decode in decoders.items():
            sides.append(Side(name, lambda i, decode=decode: decode(os.path.join(folder, names[i]))))
        row.times = take_turns(sides, bench.repetitions, rotate=True)
        if mnt.stats()["errors"]:
            raise RuntimeError(f"{row.name}: pixfs reported errors")
    return [row]


def megapixels(shape):
    return f"{shape[0]}x{shape[1]}"


def png(bits, target):
    def measure(bench):
        row = Row(f"png{bits}", f"first read PNG {bits} bit", f"first read, PNG {bits} bit RGB", target=target)
        return first_read(bench, row, bench.inputs.png(bits), peers.PNG8 if bits == 8 else peers.PNG16)
    return measure


def jpeg(name):
    def measure(bench):
        row = Row(f"jpeg-{name}", "first read JPEG", f"first read, JPEG {megapixels(inputs.JPEG[name])}", target=1.3)
        return first_read(bench, row, bench.inputs.jpeg(name), peers.JPEG)
    return measure


def exr(name, group, target):
    def measure(bench):
        datatype, compression, tile = inputs.EXR[name]
        words = f"first read, EXR {datatype} {compression}" + (f", {tile}x{tile} tiles" if tile else "")
        row = Row(f"exr-{name}", group, words, target=target)
        return first_read(bench, row, bench.inputs.exr(name), peers.EXR)
    return measure


def second_read(bench):
    """The same array again, against the same bytes in a native file, both in the page cache."""
    row = Row("second", "second read", "second read of the array vs a native file", target=1.05)
    path = bench.inputs.png(8)
    native = bench.inputs.path("native.f32")
    with folder_of_copies(bench, path, 1) as (folder, names), mount.pixfs(folder) as mnt:
        array = mnt.at(names[0], "pixels.f32")
        np.fromfile(array, "<f4").tofile(native)
        os.sync()
        sides = [Side(PIXFS, lambda i: np.fromfile(array, "<f4")), Side("native file", lambda i: np.fromfile(native, "<f4"))]
        row.times = take_turns(sides, bench.repetitions * 4)
    os.unlink(native)
    return [row]


# ---- one row and one crop of 8192x8192 ----

class FreshMount:
    """A new mount for each repetition, its decoders woken up by another small file."""

    def __init__(self, folder, wake, options=""):
        self.folder, self.wake, self.options, self.mount = folder, wake, options, None

    def start(self, _=0):
        self.stop()
        self.mount = mount.pixfs(self.folder, self.options).__enter__()
        np.fromfile(self.mount.at(self.wake, "pixels.f32"), "<f4")

    def stop(self):
        if self.mount:
            self.mount.__exit__()
            self.mount = None

    def at(self, *names):
        return self.mount.at(*names)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def part_of_big(bench, name, what):
    size = bench.inputs.shrunk(inputs.BIG)
    row = Row(f"big-{name}-{what}", "row and crop of a large EXR",
              f"one {'row' if what == 'row' else '256x256 crop'} of a {size}x{size} EXR half zip, {'64x64 tiles' if name == 'tiled' else 'scanline'}",
              target=1.0)
    path = bench.inputs.big_exr(name)
    side = min(256, size // 2)
    x, y = size // 2 + 37, size // 3 + 5
    x = min(x, size - side)
    with tempfile.TemporaryDirectory(prefix="big.", dir=bench.inputs.folder) as folder:
        os.link(path, os.path.join(folder, "big.exr"))
        shutil.copyfile(bench.inputs.small(".exr"), os.path.join(folder, "small.exr"))
        with FreshMount(folder, "small.exr") as fresh:
            def fresh_start(_):
                inputs.read_whole(path)
                fresh.start()

            if what == "row":
                def ours(_):
                    return np.fromfile(fresh.at("big.exr", "pixels.f32"), "<f4", size * 3, offset=y * size * 12).reshape(1, size, 3)

                def theirs(_):
                    return peers.exr_rows(path, y, 1)
            else:
                def ours(_):
                    return read_array(fresh.at("big.exr", "views", f"crop={x}:{y}:{side}:{side}.f32"), (side, side, 3))

                def theirs(_):
                    return peers.exr_crop(path, x, y, side, side)
            fresh_start(0)
            row.notes += notes_on_values(ours(0), [("OpenImageIO", theirs(0))])
            sides = [Side(PIXFS, ours, fresh_start), Side("OpenImageIO", theirs, lambda _: inputs.read_whole(path))]
            row.times = take_turns(sides, bench.repetitions, rotate=True)
    return [row]


def big(name, what):
    return lambda bench: part_of_big(bench, name, what)


def measures():
    """(row name, set, how it is measured), in the order of the table."""
    soft, hard = "first read EXR zip, piz", "first read EXR others"
    rows = [("png8", "cold", png(8, 0.8)), ("png16", "cold", png(16, 0.55))]
    rows += [(f"jpeg-{name}", "cold", jpeg(name)) for name in inputs.JPEG]
    rows += [(f"exr-{name}", "cold", exr(name, soft, 0.85)) for name in ("zip", "piz")]
    rows += [(f"exr-{name}", "cold", exr(name, hard, 0.6)) for name in ("zips", "pxr24", "b44", "none", "tiled", "float")]
    rows.append(("second", "second", second_read))
    rows += [(f"big-{name}-{what}", "big", big(name, what)) for name in ("tiled", "scanline") for what in ("row", "crop")]
    return rows
