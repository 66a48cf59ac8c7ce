"""Sources that change at random while they are read: every read is one whole version that the source had in that time, or an
error that it allows; what is open keeps its version or is ESTALE; after the timeout the new one is there (section 8).

The model is the history of each name: versions with the time in which they were (or may have been) on disk. A failure prints
seed and step; PIXFS_SEED=N repeats the same changes.
"""
import errno
import io
import json
import os
import random
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image

import make_exr
import make_png
from make_exr import HALF, NONE, ZIPS, Channel, Part
from make_zip import DEFLATE, STORED, Entry, zip_of
from pixmount import SLOW, errno_of, read_all

SEED = int(os.environ.get("PIXFS_SEED", "6"))
LONG = bool(os.environ.get("PIXFS_LONG"))
STEPS = 12000 if LONG else 150
TIMEOUT = 1.0
SLACK = 1.0 * SLOW  # between the kernel's timeout and when a busy machine looks
NAMES = ["a.png", "b.exr", "c.jpg", "d.zip", "e.zip", "f.exr"]
INSIDE = {"d.zip": "in.png", "e.zip": "deep/in.exr"}
DAMAGED, ABSENT = "damaged", "absent"


def png_of(value, side):
    stored = np.empty((side, side, 3), np.uint8)
    stored[:] = value
    return make_png.png(stored, make_png.RGB, 8, filters=(0,)), (stored.astype(np.float32) / np.float32(255)).tobytes()


def exr_of(value, side, compression):
    planes = {name: np.full((side, side), 0x3000 + level * 4, np.uint16) for name, level in zip("RGB", value)}
    part = Part([Channel(name, HALF, {(0, 0): plane}) for name, plane in planes.items()], (0, 0, side - 1, side - 1), compression=compression)
    return make_exr.exr(part), make_exr.stack(part.channels, ["R", "G", "B"]).tobytes()


def jpeg_of(value, side):
    """A flat colour: libjpeg-turbo decodes the same in Pillow."""
    out = io.BytesIO()
    Image.new("RGB", (side, side), value).save(out, "JPEG", quality=95)
    return out.getvalue(), (np.asarray(Image.open(io.BytesIO(out.getvalue()))).astype(np.float32) / np.float32(255)).tobytes()


def version_of(name, number):
    """(file, pixels.f32) of a name's nth version: one colour, that no other version has."""
    value, side = (number % 256, number // 256 % 256, sum(name.encode()) % 256), (40, 250, 120)[number % 3]
    if name == "d.zip":
        data, pixels = png_of(value, side)
        return zip_of(Entry(b"other.txt", b"x" * (number % 50)), Entry(b"in.png", data, DEFLATE)), pixels
    if name == "e.zip":
        data, pixels = exr_of(value, side, ZIPS)
        return zip_of(Entry(b"deep/in.exr", data, STORED), Entry(b"other.txt", b"x" * (number % 50))), pixels
    if name.endswith(".exr"):
        return exr_of(value, side, NONE if name[0] == "f" else ZIPS)
    return (png_of if name.endswith(".png") else jpeg_of)(value, side)


class Name:
    """One source file, and what it was when."""

    def __init__(self, folder, name):
        self.path, self.name, self.lock, self.number = os.path.join(folder, name), name, threading.Lock(), 0
        self.history = [[0.0, None, ABSENT]]  # born (before the change began), died (after the next was made), pixels

    def change(self, what, make):
        """make() brings it about; while it does, the file may be cut or not there."""
        now = time.monotonic()
        with self.lock:
            self.history += [[now, None, DAMAGED], [now, None, what]]
        make()
        now = time.monotonic()
        with self.lock:
            for entry in self.history[:-1]:
                entry[1] = entry[1] or now
            del self.history[:-40]

    def allowed(self, since, until):
        """All that it was in this time."""
        with self.lock:
            return [what for born, died, what in self.history if born <= until and (died is None or died >= since)]

    def current(self):
        with self.lock:
            return self.history[-1][2]

    def new_version(self, how):
        self.number += 1
        data, pixels = version_of(self.name, self.number)

        def rewrite():
            with open(self.path, "wb") as file:
                file.write(data)

        def replace():
            with open(self.path + ".new", "wb") as file:
                file.write(data)
            os.rename(self.path + ".new", self.path)

        self.change(pixels, rewrite if how == "rewrite" else replace)

    def act(self, how):
        if how in ("rewrite", "replace") or not os.path.exists(self.path):
            self.new_version(how)
        elif how == "truncate":
            size = os.path.getsize(self.path)
            self.change(DAMAGED, lambda: os.truncate(self.path, size // 2))
        else:
            self.change(ABSENT, lambda: os.unlink(self.path))


def array_path(mount, name):
    return mount.at(name, INSIDE[name], "pixels.f32") if name in INSIDE else mount.at(name, "pixels.f32")


def judge_error(code, allowed):
    """Whether an errno follows from one of the states."""
    return code == errno.ESTALE or (code == errno.EIO and DAMAGED in allowed) or (code == errno.ENOENT and (ABSENT in allowed or DAMAGED in allowed))


class Reader(threading.Thread):
    """Whole reads, and files kept open of which random pieces are read."""

    def __init__(self, mount, names, seed, end):
        super().__init__()
        self.mount, self.names, self.random, self.end, self.wrong, self.counts = mount, names, random.Random(seed), end, [], {"reads": 0, "pieces": 0, "errors": 0, "stale": 0}
        self.kept = []  # (fd, name, pixels of the version it was opened on)

    def run(self):
        try:
            while not self.end.is_set() and len(self.wrong) < 5:
                name = self.names[self.random.randrange(len(self.names))]
                self.random.choice((self.read_whole, self.keep_open, self.read_piece, self.read_piece, self.look))(name)
        except BaseException as error:  # told by the test
            self.wrong.append(repr(error))
            raise
        finally:
            for fd, _, _ in self.kept:
                os.close(fd)

    def check_error(self, name, since, error, what):
        self.counts["errors"] += 1
        allowed = name.allowed(since, time.monotonic())
        if not judge_error(error.errno, allowed):
            self.wrong.append(f"{name.name}: {what} gave {errno.errorcode.get(error.errno)}, it was {[s if isinstance(s, str) else 'whole' for s in allowed]}")

    def read_whole(self, name):
        since = time.monotonic() - TIMEOUT - SLACK
        self.counts["reads"] += 1
        try:
            got = read_all(array_path(self.mount, name.name))
        except OSError as error:
            return self.check_error(name, since, error, "a whole read")
        if got not in name.allowed(since, time.monotonic()):
            uniform = len(got) % 12 == 0 and got == got[:12] * (len(got) // 12)
            self.wrong.append(f"{name.name}: {len(got)} bytes that are no version of that time ({'another version' if uniform else 'a mix'})")
        return None

    def keep_open(self, name):
        if len(self.kept) >= 8:
            fd, _, _ = self.kept.pop(self.random.randrange(8))
            os.close(fd)
        since = time.monotonic() - TIMEOUT - SLACK
        try:
            fd = os.open(array_path(self.mount, name.name), os.O_RDONLY)
        except OSError as error:
            return self.check_error(name, since, error, "open")
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            size, first = os.fstat(fd).st_size, os.pread(fd, 12, 0)
        except OSError as error:
            os.close(fd)
            return self.check_error(name, since, error, "the first read")
        versions = [what for what in name.allowed(since, time.monotonic()) if isinstance(what, bytes) and what[:12] == first and len(what) == size]
        if not versions:
            self.wrong.append(f"{name.name}: opened, {size} bytes that begin like no version of that time")
            os.close(fd)
            return None
        self.kept.append((fd, name, versions[0]))
        return None

    def read_piece(self, _):
        if not self.kept:
            return
        fd, name, pixels = self.random.choice(self.kept)
        at, length = self.random.randrange(len(pixels)), self.random.choice((100, 4096, 70000))
        self.counts["pieces"] += 1
        try:
            got = os.pread(fd, length, at)
        except OSError as error:
            self.counts["stale"] += 1
            if error.errno not in (errno.ESTALE, errno.EIO):
                self.wrong.append(f"{name.name}: a piece of an open file gave {errno.errorcode.get(error.errno)}")
            return
        wanted = pixels[at : at + length]
        if len(got) < len(wanted) and errno_of(os.pread, fd, 1, at + len(got)) in (errno.ESTALE, errno.EIO):
            wanted = wanted[: len(got)]  # the kernel gives the pages before the one that failed
        if got != wanted:
            self.wrong.append(f"{name.name}: open, {len(got)} of {length} bytes at {at} are not those of its version, zeros: {got.count(0)}")

    def look(self, name):
        since = time.monotonic() - TIMEOUT - SLACK
        folder = os.path.dirname(array_path(self.mount, name.name))
        try:
            os.listdir(folder)
            with open(os.path.join(folder, "meta.json"), "rb") as file:
                json.loads(file.read())
        except OSError as error:
            self.check_error(name, since, error, "looking")


MAPPER = """
import mmap, random, sys, time
import numpy as np
paths, end, source = sys.argv[2:], time.monotonic() + float(sys.argv[1]), random.Random(len(sys.argv))
while time.monotonic() < end:
    try:
        with open(source.choice(paths), "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            pixels = np.frombuffer(mapped, "<f4")
            pixels = pixels[: len(pixels) // 3 * 3].reshape(-1, 3)
            for _ in range(20):
                at = source.randrange(len(pixels))
                piece = pixels[at : at + 2000]
                if not (piece == pixels[0]).all():
                    print("a mix at", at, file=sys.stderr)
                    sys.exit(3)
                time.sleep(0.001)
            del pixels, piece
    except (OSError, ValueError):
        time.sleep(0.001)
"""


def settle(mount, names, wrong, step):
    """After the timeout what is on disk is what is shown."""
    time.sleep(TIMEOUT + 0.3)
    for name in names:
        current = name.current()
        end = time.monotonic() + SLACK
        while True:
            path = array_path(mount, name.name)
            code = errno_of(lambda path=path: read_all(path))
            good = judge_error(code, [current]) and code != errno.ESTALE if code else isinstance(current, bytes) and read_all(path) == current
            if good or time.monotonic() > end:
                break
            time.sleep(0.05)
        if not good:
            wrong.append(f"step {step}: {name.name} is {current if isinstance(current, str) else 'whole'}, a timeout later the mount says {errno.errorcode.get(code, 'another version')}")


def test_a_model_of_changes(source, mounted, summary):
    names = [Name(str(source), name) for name in NAMES]
    chance = random.Random(SEED)
    for name in names:
        name.new_version("replace")
    mount = mounted(source)
    end, wrong, mappers = threading.Event(), [], []
    readers = [Reader(mount, names, f"{SEED} {number}", end) for number in range(3)]
    for reader in readers:
        reader.start()
    script = [sys.executable, "-c", MAPPER, "3600", *(array_path(mount, name.name) for name in names)]
    killed = 0
    try:
        mappers = [subprocess.Popen(script) for _ in range(2)]
        for step in range(1, STEPS + 1):
            chance.choice(names).act(chance.choices(("replace", "rewrite", "truncate", "delete"), (6, 4, 1, 1))[0])
            time.sleep(chance.choice((0, 0, 0.001, 0.01)))
            if step % (STEPS // (40 if LONG else 2)) == 0:
                settle(mount, names, wrong, step)
                for number, mapper in enumerate(mappers):
                    if mapper.poll() is not None:
                        killed += 1
                        assert mapper.returncode in (0, -7), f"seed {SEED}: a mapping reader ended with {mapper.returncode}"  # SIGBUS is EIO's way there
                        mappers[number] = subprocess.Popen(script)
            assert not wrong and not any(reader.wrong for reader in readers), f"seed {SEED}, step {step}"
            assert mount.process.poll() is None, "the daemon lives"
    finally:
        end.set()
        for reader in readers:
            reader.join()
        for mapper in mappers:
            code = mapper.poll()
            mapper.kill()
            mapper.wait()
            wrong += [f"a mapping reader ended with {code}"] if code not in (None, 0, -7) else []
        wrong += [words for reader in readers for words in reader.wrong]
        if wrong:
            print(f"seed {SEED}:\n" + "\n".join(wrong[:20]))
    counts = {key: sum(reader.counts[key] for reader in readers) for key in readers[0].counts}
    summary(f"model: {STEPS} changes, {counts}, mapping readers that SIGBUS ended: {killed}")
    assert not wrong, f"seed {SEED}: " + "; ".join(wrong[:5])
    assert counts["reads"] > 50 and counts["pieces"] > 50


test_a_model_of_changes.seconds = 900 * SLOW if LONG else 120 * SLOW
