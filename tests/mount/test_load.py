"""64 readers at once over images of which the cache holds a tenth: every byte right, memory within its bound all the time, no
request forgotten, and nothing left behind (sections 7 and 9). Readers are interrupted and killed; the kernel is made to forget.
"""
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import HALF, ZIP, simple
from make_zip import DEFLATE, STORED, Entry, zip_of
from pixmount import SLOW, read_all, wait_for

SEED = int(os.environ.get("PIXFS_SEED", "6"))
LONG = bool(os.environ.get("PIXFS_LONG"))
SECONDS = int(os.environ.get("PIXFS_LOAD_SECONDS", "150" if LONG else "4"))
IMAGES = 1000 if LONG else 300
READERS = 64
MIB = 1 << 20
MS_RDONLY, MS_REMOUNT = 1, 32
OLDEST = 10 * SLOW * (3 if LONG else 1)  # seconds; with 64 readers on two processors each waits for many decodes
SIDE = 180

READER = """
import json, os, random, signal, sys, time
import numpy as np
folder, truth, number, seconds = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
source, end, longest, done = random.Random(number), time.monotonic() + seconds, 0.0, 0
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, True)
def quiet():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Python's end gives a handler's signal back its default, which kills
kept = {}
def pixels(name):
    kind, path = truth[name]
    if path not in kept:
        kept[path] = np.load(path, mmap_mode="r").view(np.uint8).reshape(-1)
    return kept[path]
names = sorted(truth)
def fail(words):
    quiet()
    print(f"reader {number}: {words}", file=sys.stderr)
    sys.exit(3)
while time.monotonic() < end:
    name, what = source.choice(names), source.randrange(10)
    path, begin = os.path.join(folder, name), time.monotonic()
    try:
        if what == 0:
            if "pixels.f32" not in os.listdir(path):
                fail(f"{name}: no pixels.f32")
        elif what == 1:
            if os.stat(os.path.join(path, "pixels.npy")).st_size != len(pixels(name)) + 128:
                fail(f"{name}: another size")
        elif what == 2:
            json.loads(open(os.path.join(path, "meta.json"), "rb").read())
        else:
            wanted = pixels(name)
            fd = os.open(os.path.join(path, "pixels.f32"), os.O_RDONLY)
            try:
                if source.random() < 0.7:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
                for _ in range(source.randrange(1, 5)):
                    at, length = source.randrange(len(wanted)), source.choice((12, 4096, 30000, 200000))
                    got = os.pread(fd, length, at)
                    if got != wanted[at : at + length].tobytes():
                        fail(f"{name}: {len(got)} of {length} bytes at {at} are wrong")
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
    except InterruptedError:
        pass
    longest, done = max(longest, time.monotonic() - begin), done + 1
quiet()
print(longest, done)
"""


def images(folder, source):
    """Files in the source, on disk and in archives, and name -> (kind, path of a .npy with the truth)."""
    truth, zips = {}, {"stored.zip": [], "deflated.zip": []}
    made = []
    for number in range(12):
        rgb = pattern(SIDE, SIDE, 3, 8, number)
        wide = pattern(SIDE, SIDE, 4, 16, number)
        part = simple(["R", "G", "B"], HALF, width=SIDE, height=SIDE, compression=ZIP, seed=number)
        tiled = simple(["R", "G", "B"], HALF, width=SIDE, height=SIDE, compression=ZIP, tile=(64, 32), seed=number)
        made += [("png", make_png.png(rgb, make_png.RGB, 8, number % 2, filters=(0, 1)), rgb.astype(np.float32) / np.float32(255)),
                 ("png", make_png.png(wide, make_png.RGBA, 16, filters=(2,)), wide.astype(np.float32) / np.float32(65535)),
                 ("exr", make_exr.exr(part), make_exr.stack(part.channels, ["R", "G", "B"])), ("exr", make_exr.exr(tiled), make_exr.stack(tiled.channels, ["R", "G", "B"])),
                 ("jpg", make_jpeg.encode(make_jpeg.photograph(SIDE, SIDE, 3, number), progressive=number % 2 == 1), None)]
    paths = []
    for number, (_, data, pixels) in enumerate(made):
        if pixels is None:
            pixels = jpeg_pixels(data)
        path = os.path.join(folder, f"{number}.npy")
        np.save(path, np.ascontiguousarray(pixels, "<f4").reshape(-1))
        paths.append(path)
    for number in range(IMAGES):
        kind, data, _ = made[number % len(made)]
        name = f"{number:04}.{kind}"
        if number % 4 == 0:
            archive = "stored.zip" if number % 8 else "deflated.zip"
            zips[archive].append(Entry(name.encode(), data, DEFLATE if archive[0] == "d" else STORED))
            name = f"{archive}/{name}"
        else:
            (source / name).write_bytes(data)
        truth[name] = (kind, paths[number % len(made)])
    for archive, entries in zips.items():
        (source / archive).write_bytes(zip_of(*entries))
    return truth


def jpeg_pixels(data):
    import io
    from PIL import Image
    return np.asarray(Image.open(io.BytesIO(data))).astype(np.float32) / np.float32(255)


class Watch(threading.Thread):
    """Samples the daemon's memory, makes the kernel forget, interrupts readers and kills some."""

    def __init__(self, mount, readers, seconds, seed):
        super().__init__()
        self.mount, self.readers, self.end, self.random = mount, readers, time.monotonic() + seconds, random.Random(seed)
        self.peak, self.samples, self.killed, self.forgotten, self.most_cached = 0, 0, set(), 0, 0

    def run(self):
        while time.monotonic() < self.end:
            with open(f"/proc/{self.mount.process.pid}/statm", encoding="ascii") as file:
                self.peak = max(self.peak, int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
            self.samples += 1
            self.most_cached = max(self.most_cached, self.mount.stats()["cache_bytes"])
            chosen = self.random.choice(self.readers)
            if self.random.random() < 0.5 and chosen.poll() is None:
                chosen.send_signal(signal.SIGUSR1)
            if self.random.random() < 0.05 and len(self.killed) < READERS // 4 and chosen.poll() is None:
                chosen.kill()
                self.killed.add(chosen.pid)
            if self.random.random() < 0.05:
                self.forgotten += forget(self.mount.path)
            time.sleep(0.02)


def forget(path):
    """Makes the kernel drop all names of this mount, so that it sends forgets: a remount does, for root. 1 where it did."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.mount(None, os.fsencode(path), None, MS_REMOUNT | MS_RDONLY, None) == 0)


def test_64_readers(source, mounted, tmp_path, summary):
    folder = tmp_path / "truth"
    folder.mkdir()
    truth = images(str(folder), source)
    (folder / "truth.json").write_text(json.dumps(truth))
    stored = IMAGES * SIDE * SIDE * 5  # bytes of decoded samples, about
    cache = max(stored // 10, MIB)
    mount = mounted(source, f"cache_size={cache}")
    # seconds of a sanitizer's daemon count less: it answers a fraction of the requests
    command = [sys.executable, "-c", READER, mount.path, str(folder / "truth.json")]
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until a reader has its handler
    readers = [subprocess.Popen([*command, str(SEED * 1000 + number), str(SECONDS + 1)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for number in range(READERS)]
    signal.signal(signal.SIGUSR1, before)
    watch = Watch(mount, readers, SECONDS, SEED)
    watch.start()
    longest, done, wrong = 0.0, 0, []
    for reader in readers:
        out, err = reader.communicate(timeout=(SECONDS + 60) * SLOW)
        if reader.returncode == 0:
            longest, done = max(longest, float(out.split()[0])), done + int(out.split()[1])
        elif not (reader.returncode == -9 and reader.pid in watch.killed):
            wrong.append(f"a reader ended with {reader.returncode}: {err.decode()[-300:]}")
    watch.join()
    flight = 2 * os.cpu_count() * SIDE * SIDE * 8 * 2  # a decode on each processor and one ahead, each a whole image and its coefficients
    summary(f"load: {READERS} readers, {done} actions, the longest {longest:.2f} s, resident at most {watch.peak / MIB:.1f} MiB with cache_size {cache / MIB:.1f} MiB "
            f"({watch.samples} samples), {len(watch.killed)} killed, forgotten {watch.forgotten} times")
    assert not wrong, f"seed {SEED}: " + "\n".join(wrong[:5])
    assert longest < OLDEST
    if SLOW == 1:
        assert watch.peak < cache + 64 * MIB + flight
    assert watch.most_cached <= cache + flight
    assert done > READERS * SECONDS / SLOW
    nothing_is_left(mount, watch.forgotten)
    name = next(iter(truth))
    assert read_all(mount.at(name, "pixels.f32")) == np.load(truth[name][1]).tobytes(), "and it goes on"
    assert not [line for line in mount.errors() if line["errno"] not in ("EINTR",)]


def nothing_is_left(mount, can_forget):
    """Once the kernel has forgotten, only the root is known; the cache is within its budget."""
    assert wait_for(lambda: mount.stats()["open_files"] == 0 and mount.stats()["decoding"] == 0), mount.stats()
    stats = mount.stats()
    assert stats["cache_bytes"] <= stats["cache_budget_bytes"]
    if can_forget:
        def is_forgotten():
            forget(mount.path)
            return mount.stats()["nodes"] <= 4
        assert wait_for(is_forgotten), mount.stats()
