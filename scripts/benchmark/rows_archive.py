"""Photographs in a zip: one reader and four, float32 and stored samples, first and second pass; and stacks."""
import contextlib
import io
import os
import shutil
import tempfile
import zipfile

import cv2
import numpy as np
from PIL import Image

from . import datasets, inputs, mount, peers
from .measure import PIXFS, Row, Side, take_turns
from .readers import Readers
from .rows_image import FreshMount, notes_on_values

WAKE = os.path.join("wake.zip", "wake.jpg")


def place(path, link):
    """A plain file where that can be had: following a link costs the mount some system calls each time it looks at the file."""
    try:
        os.link(path, link)
    except OSError:
        os.symlink(path, link)


@contextlib.contextmanager
def fresh_mounts_of(bench, archive):
    """A folder with the archive as data.zip, in the page cache; yields what mounts it anew."""
    with tempfile.TemporaryDirectory(prefix="archive.", dir=bench.inputs.folder) as folder:
        place(archive, os.path.join(folder, "data.zip"))
        place(datasets.wake_zip(bench.inputs), os.path.join(folder, "wake.zip"))
        inputs.read_whole(archive)
        with FreshMount(folder, WAKE, "follow_symlinks,ro") as fresh:
            yield fresh


def first_values(fresh, archive, kind):
    """What differs between the values of pixfs and OpenCV in the first photographs."""
    fresh.start()
    decode = peers.bytes_opencv if kind == "f32" else peers.bytes_opencv_native
    array = "pixels.npy" if kind == "f32" else "views/native.npy"
    notes = []
    with zipfile.ZipFile(archive) as file:
        for name in sorted(file.namelist())[:5]:
            notes += notes_on_values(np.load(fresh.at("data.zip", name, array)), [("OpenCV", decode(file.read(name)))])
    return notes[:1]


@contextlib.contextmanager
def fuse_zip_side(archive, job, readers):
    """Mounted anew for each repetition, as pixfs is."""
    state = []

    def prepare(_):
        while state:
            state.pop().__exit__()
        state.append(mount.fuse_zip(archive).__enter__())

    def run(_):
        readers.run({**job, "reader": "fuse-zip", "folder": state[0].at("photos")})
    try:
        yield Side("fuse-zip + OpenCV", run, prepare, most=1)
    finally:
        while state:
            state.pop().__exit__()


def passes(bench, archive, count, kind, n):
    """side -> seconds for `count` photographs read by n readers; "again" is the second pass over the same mount."""
    job = {"kind": kind, "count": count, "archive": archive}
    with fresh_mounts_of(bench, archive) as fresh, Readers(n) as readers:
        notes = first_values(fresh, archive, kind) if n == 1 else []

        def ours(_):
            readers.run({**job, "reader": "pixfs", "folder": fresh.at("data.zip", "photos")})

        def through(decoder):
            return lambda _: readers.run({**job, "reader": "zipfile", "decoder": decoder})
        sides = [Side(PIXFS, ours, fresh.start), Side("again", ours), Side("zipfile + OpenCV", through("OpenCV"))]
        if n > 1:
            return take_turns(sides, bench.several, warm_up=False), notes
        sides.append(Side("zipfile + Pillow", through("Pillow")))
        if kind == "f32" and peers.imageio:
            sides.append(Side("zipfile + imageio", through("imageio"), most=1))
        if not shutil.which("fuse-zip"):
            return take_turns(sides, bench.several, warm_up=False), notes + ["fuse-zip isn't installed"]
        with fuse_zip_side(archive, job, readers) as side:
            return take_turns(sides + [side], bench.several, warm_up=False), notes


def photographs(kind, n, first_target):
    def measure(bench):
        count = 200 if bench.quick else 2000
        archive = datasets.photographs_zip(bench.inputs, count)
        times, notes = passes(bench, archive, count, kind, n)
        again = times.pop("again")
        peers_alone = {name: seconds for name, seconds in times.items() if name != PIXFS}
        what = f"{count} photographs in a zip as {'float32' if kind == 'f32' else 'views/native.npy'}, {n} reader{'s' if n > 1 else ''}"
        name = f"photos-{kind}" + (f"-{n}" if n > 1 else "")
        named = "zipfile + OpenCV"
        return [Row(name, f"photographs in a zip, {n} reader{'s' if n > 1 else ''}", what, times, first_target, notes=notes, against=named),
                Row(name + "-again", "second pass over photographs", what + ", second pass", {PIXFS: again, **peers_alone}, 0.25, against=named)]
    return measure


# ---- stacks ----

def stack_row(bench, row, archive, spec, folder, peer_name, peer_pass, check):
    """A pass over a stack, row after row, against a peer's loop over the same archive."""
    with fresh_mounts_of(bench, archive) as fresh:
        fresh.start()
        path = os.path.join("data.zip", folder, ".pixfs", "stack", spec)
        if not os.path.exists(fresh.at(path)):
            row.skipped = ".pixfs/stack doesn't resolve in this build"
            return [row]
        row.notes += check(np.load(fresh.at(path), mmap_mode="c"))

        def ours(_):
            stack = np.load(fresh.at(path), mmap_mode="c")
            for i in range(len(stack)):
                np.array(stack[i])
        row.times = take_turns([Side(PIXFS, ours, fresh.start), Side(peer_name, peer_pass)], bench.several, warm_up=False)
    return [row]


def photographs_stack(bench):
    count = 200 if bench.quick else 2000
    archive = datasets.photographs_zip(bench.inputs, count)

    def small(data):
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)).resize((224, 224), Image.BOX))

    def peer(_):
        with zipfile.ZipFile(archive) as file:
            for name in sorted(file.namelist()):
                small(file.read(name))

    def check(stack):
        with zipfile.ZipFile(archive) as file:
            return notes_on_values(np.array(stack[0]), [("Pillow", small(file.read(sorted(file.namelist())[0])))])
    row = Row("stack-photos", "stack of photographs", f"{count} photographs in a zip as one stack rgb,size=224x224,u8", target=1 / 1.6)
    return stack_row(bench, row, archive, "rgb,size=224x224,u8.npy", "photos", "zipfile + OpenCV + Pillow resize", peer, check)


def cifar_stack(bench):
    archive = datasets.cifar_zip(bench.inputs)

    def decode(data):
        return np.asarray(Image.open(io.BytesIO(data)))

    def peer(_):
        with zipfile.ZipFile(archive) as file:
            for name in sorted(file.namelist()):
                decode(file.read(name))

    def check(stack):
        with zipfile.ZipFile(archive) as file:
            return notes_on_values(np.array(stack[0]), [("Pillow", decode(file.read(sorted(file.namelist())[0])))])
    row = Row("stack-cifar", "stack of CIFAR images", "10,000 images of 32x32 in a zip as one u8 memmap", target=1 / 3)
    return stack_row(bench, row, archive, "recursive,rgb,u8.npy", "", "zipfile + Pillow", peer, check)


def measures():
    rows = [("photos-f32", photographs("f32", 1, 0.85)), ("photos-native", photographs("native", 1, 0.6)),
            ("photos-f32-4", photographs("f32", 4, 1.5)), ("photos-native-4", photographs("native", 4, 1.1))]
    return [(name, "photos", measure) for name, measure in rows] + [("stack-photos", "stack", photographs_stack), ("stack-cifar", "stack", cifar_stack)]
