"""A zip of a million images: entering, listing, walking; what each entry costs in memory, and whether memory comes back."""
import contextlib
import os
import subprocess
import tempfile
import time

from . import datasets, inputs, mount
from .measure import PIXFS, Row
from .rows_image import folder_of_copies
from .rows_tree import quietly

GROUP = "a million images in a zip"
DROP = "/proc/sys/vm/drop_caches"


def timed(action, *arguments):
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


@contextlib.contextmanager
def archive_folder(bench, n, flat):
    """A folder that holds the archive as data.zip, in the page cache."""
    archive = datasets.million_zip(bench.inputs, n, flat)
    with tempfile.TemporaryDirectory(prefix="million.", dir=bench.inputs.folder) as folder:
        os.link(archive, os.path.join(folder, "data.zip"))
        inputs.read_whole(archive)
        yield folder


def settled(mnt, what="VmRSS"):
    """Resident bytes once forgets and releases have been worked off."""
    before = -1
    for _ in range(20):
        now = mnt.memory(what)
        if now == before:
            break
        before = now
        time.sleep(0.1)
    return now


def kernel_forgets():
    """Names and inodes that the kernel remembers are dropped, on this machine; needs root. Whether it was done."""
    try:
        with open(DROP, "w", encoding="ascii") as drop:
            drop.write("2\n")
    except OSError:
        return False
    return True


def megabytes(figure):
    return f"{figure / 1e6:.0f} MB"


def enter(bench):
    n = 20000 if bench.quick else 1000000
    seconds, resident, per_entry = [], [], []
    with archive_folder(bench, n, False) as folder:
        for _ in range(bench.several):
            with mount.pixfs(folder) as mnt:
                empty = settled(mnt)
                seconds.append(timed(os.stat, mnt.at("data.zip", "train")))
                quietly("ls", "-f", mnt.at("data.zip"))
                resident.append(mnt.memory("VmHWM"))
                per_entry.append((settled(mnt) - empty) / n)
    return [Row("enter", GROUP, f"a zip of {n} stored PNGs is entered", {PIXFS: seconds}, 2, kind="limit", notes=["stretch: 1 s"]),
            Row("enter-memory", GROUP, "the most memory resident until then", {PIXFS: resident}, 450e6, "bytes", "limit", ["stretch: 150 MB"]),
            Row("entry-memory", GROUP, "memory kept for an entry", {PIXFS: per_entry}, unit="bytes", kind="told")]


def list_flat(bench):
    """All names of one directory, names alone."""
    n = 20000 if bench.quick else 1000000
    seconds = []
    with archive_folder(bench, n, True) as folder:
        for _ in range(bench.several):
            with mount.pixfs(folder) as mnt:
                os.stat(mnt.at("data.zip", "all"))
                seconds.append(timed(quietly, "ls", "-f", mnt.at("data.zip", "all")))
    return [Row("ls-f", GROUP, f"ls -f of {n} images in one directory, entered before", {PIXFS: seconds}, 1, kind="limit")]


def find_images(path):
    """Every image by its name; not what is in the images' own directories."""
    quietly("find", os.path.join(path, "data.zip"), "-name", "*.png", "-prune")


def walk(bench):
    n = 20000 if bench.quick else 1000000
    seconds, resident, per_name, left = [], [], [], []
    with archive_folder(bench, n, False) as folder:
        for _ in range(bench.several):
            with mount.pixfs(folder) as mnt:
                start = settled(mnt)
                os.stat(mnt.at("data.zip", "train"))
                entered = settled(mnt)
                seconds.append(timed(find_images, mnt.path))
                resident.append(mnt.memory("VmHWM"))
                per_name.append((settled(mnt) - entered) / n)
                if kernel_forgets():
                    time.sleep(1)
                    left.append(settled(mnt) - entered)
                most = mnt.memory("VmHWM") - start
    rows = [Row("walk", GROUP, f"find over {n} images in a zip, cold, entering included", {PIXFS: seconds}, 8, kind="limit",
                notes=["find -name '*.png' -prune: every image is looked up, none is entered; row find tells what entering costs"]),
            Row("walk-memory", GROUP, "the most memory resident until then", {PIXFS: resident}, 450e6, "bytes", "limit"),
            Row("name-memory", GROUP, "memory kept for an image's directory that the kernel refers to", {PIXFS: per_name}, unit="bytes", kind="told")]
    if left:
        rows.append(Row("forgotten", GROUP, "memory more than after entering, once the kernel has forgotten all", {PIXFS: [max(0, x) for x in left]},
                        32e6, "bytes", "limit", [f"the most was {megabytes(most)} over an empty mount"]))
    return rows


def ten_walks(bench, forget):
    """Every file of 2,000 images is looked at (so every header is parsed), ten times; with forget the kernel drops all names
    after each walk, as it does when memory is short."""
    folders = 1 if bench.quick else 2
    resident, known = [], []
    with archive_folder(bench, 20000 if bench.quick else 1000000, False) as folder, mount.pixfs(folder) as mnt:
        paths = [mnt.at("data.zip", "train", f"class_{i:04d}") for i in range(folders)]
        os.stat(paths[0])
        entered = settled(mnt)
        for _ in range(10):
            quietly("find", *paths, "-size", "+0")
            known.append(mnt.stats()["images_known"])
            resident.append(settled(mnt))
            if forget and not kernel_forgets():
                return [Row("ten-walks-forgotten", GROUP, "ten walks, the kernel forgetting in between", skipped=f"{DROP} can't be written", target=4e6, kind="limit")]
    words = f"growth from the second to the tenth walk over {folders * 1000} images and their files" + (", all names forgotten after each" if forget else "")
    row = Row("ten-walks" + ("-forgotten" if forget else ""), GROUP, words, {PIXFS: [max(0, resident[-1] - resident[1])]}, 4e6, "bytes", "limit",
              ["resident after each: " + ", ".join(megabytes(figure) for figure in resident), f"images known after each: {', '.join(map(str, known))}"])
    if forget:
        return [row]
    return [row, Row("image-memory", GROUP, "memory kept for an image whose header is known and whose files were listed",
                     {PIXFS: [(resident[0] - entered) / (folders * 1000)]}, unit="bytes", kind="told")]


def falls_back(bench):
    """Ten large images through a small cache: what stays is the cache, not the peak."""
    budget = 64 << 20
    path = bench.inputs.png(8)
    with folder_of_copies(bench, path, 10) as (folder, names), mount.pixfs(folder, f"cache_size={budget}") as mnt:
        empty = settled(mnt)
        for name in names:
            subprocess.run(["cat", mnt.at(name, "pixels.f32")], stdout=subprocess.DEVNULL, check=True)
        after, most = settled(mnt), mnt.memory("VmHWM")
    return [Row("falls-back", GROUP, "memory resident after a pass over 10 large images with cache_size=64M", {PIXFS: [after]}, budget + (64 << 20), "bytes", "limit",
                [f"an empty mount has {megabytes(empty)}, the most was {megabytes(most)}"])]


def measures():
    return [(name, "scale", measure) for name, measure in
            (("enter", enter), ("ls-f", list_flat), ("walk", walk), ("ten-walks", lambda bench: ten_walks(bench, False)),
             ("ten-walks-forgotten", lambda bench: ten_walks(bench, True)), ("falls-back", falls_back))]
