"""Names and attributes: ls -l, find, warm stat and open, in microseconds and in FUSE requests. Held against tests/bench/null_fs,
a FUSE server of the same shape that does nothing: what FUSE itself costs."""
import os
import subprocess


from . import datasets, mount
from .measure import PIXFS, Row, Side, take_turns

NULL_FS = os.path.join(mount.ROOT, "build", "release", "tests", "bench", "null_fs")
NULL = "a FUSE server that does nothing"


def quietly(*command):
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "LC_ALL": "C"})


def spec_of(image_directory):
    """The shape of an image's directory, for null_fs."""
    words = []
    for folder, folders, files in os.walk(image_directory):
        folders.sort()
        below = os.path.relpath(folder, image_directory)
        for name in files:
            path = name if below == "." else f"{below}/{name}"
            words.append(f"{path}={os.path.getsize(os.path.join(folder, name))}")
    return ",".join(words)


def null_command(source, n):
    with mount.pixfs(source) as mnt:
        spec = spec_of(mnt.at("images", "000000.png"))
    return [NULL_FS, "MNT", str(n), spec]


class Remounted:
    """A side that is mounted anew before each repetition; close() ends the last mount."""

    def __init__(self, make, run):
        self.make, self.action, self.mount = make, run, None

    def prepare(self, _):
        self.close()
        self.mount = self.make().__enter__()

    def run(self, _):
        return self.action(self.mount.path)

    def close(self):
        if self.mount:
            self.mount.__exit__()
            self.mount = None


def cold_times(source, null, action, repetitions, native=None):
    """side -> seconds of action(path), pixfs and null_fs mounted anew for each repetition; native: the path of a last side."""
    ours, floor = Remounted(lambda: mount.pixfs(source), action), Remounted(lambda: mount.Mount(null), action)
    sides = [Side(PIXFS, ours.run, ours.prepare), Side(NULL, floor.run, floor.prepare)]
    if native:
        sides.append(Side("the source", lambda _: action(native)))
    try:
        return take_turns(sides, repetitions, warm_up=False)
    finally:
        ours.close()
        floor.close()


def in_words(counts, n):
    words = [f"{name.lower()} {count / n:.2f}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count / n >= 0.005]
    return ", ".join([*words, f"in all {sum(counts.values()) / n:.3g}"]) if counts else ""


def list_long(bench):
    n = 1000 if bench.quick else 100000
    source = datasets.directory(bench.inputs, n)

    def action(path):
        quietly("ls", "-l", os.path.join(path, "images"))
    action(source)
    null = null_command(source, n)
    row = Row("ls-l", "ls -l and find", f"ls -l of a directory of {n} images, cold, vs the source", target=4, against="the source")
    row.times = cold_times(source, null, action, bench.several, native=source)
    counts = mount.requests_of(source, action)
    row.notes += [f"{row.median(PIXFS) / n * 1e6:.1f} µs an image, {in_words(counts, n)} requests an image",
                  f"FUSE alone {row.median(NULL) / row.median('the source'):.2f} of the source"]
    return [row]


def find_all(bench):
    """find enters every image's directory: what each costs."""
    n = 200 if bench.quick else 10000
    source = datasets.directory(bench.inputs, n)

    def action(path):
        quietly("find", os.path.join(path, "images"))
    null = null_command(source, n)
    row = Row("find", "ls -l and find", f"find over {n} images, cold, an image's directory", target=4, against=NULL)
    times = cold_times(source, null, action, bench.several)
    row.times = {side: [seconds / n for seconds in times[side]] for side in times}
    ours, floor = mount.requests_of(source, action), mount.requests_of(source, action, server=null)
    requests = Row("find-requests", "ls -l and find", f"find over {n} images, cold, requests an image's directory", target=4, unit="requests", against=NULL)
    requests.times = {PIXFS: [sum(ours.values()) / n], NULL: [sum(floor.values()) / n]}
    requests.notes.append("pixfs: " + in_words(ours, n))
    return [row, requests]


# ---- warm ----

def paths_below(path, n):
    return [os.path.join(path, "images", f"{i:06d}.png", "pixels.f32") for i in range(n)]


def stat_all(path, n=100):
    for name in paths_below(path, n):
        os.stat(name)


def open_and_read(path, n=100):
    for name in paths_below(path, n):
        fd = os.open(name, os.O_RDONLY)
        os.read(fd, 4096)
        os.close(fd)


stat_all.warm = open_and_read.warm = True


def warm_times(source, null, action, repetitions, n=100):
    """side -> seconds each, of the second and later times in one mount. The kernel asks anew for names that are older than a
    second, so each repetition warms up first."""
    with mount.pixfs(source) as ours, mount.Mount(null) as floor:
        sides = [Side(PIXFS, lambda _: action(ours.path), lambda _: action(ours.path)),
                 Side(NULL, lambda _: action(floor.path), lambda _: action(floor.path)),
                 Side("the source", lambda _: native(source, action, n), lambda _: native(source, action, n))]
        return {side: [seconds / n for seconds in times] for side, times in take_turns(sides, repetitions * 4).items()}


def native(source, action, n):
    for i in range(n):
        name = os.path.join(source, "images", f"{i:06d}.png")
        if action is stat_all:
            os.stat(name)
        else:
            fd = os.open(name, os.O_RDONLY)
            os.read(fd, 4096)
            os.close(fd)


def waited_for(counts):
    """Requests that a caller waits for: releases and forgets are sent behind its back."""
    return sum(count for opcode, count in counts.items() if opcode not in ("RELEASE", "FORGET", "BATCH_FORGET"))


def warm(bench):
    n = 100
    total = 1000 if bench.quick else 10000
    source = datasets.directory(bench.inputs, total)
    null = null_command(source, total)
    rows = []
    for name, action, words, target in (("stat", stat_all, "warm stat", 0), ("open", open_and_read, "warm open + read of 4 KiB", 1)):
        counts = mount.requests_of(source, action)
        for _ in range(2):  # on a busy machine a name gets older than its second and is asked for anew: the fewest of three
            if waited_for(counts) > target * n:
                counts = min(counts, mount.requests_of(source, action), key=waited_for)
        requests = Row(f"{name}-requests", "warm stat and open", f"{words}: requests waited for", {PIXFS: [waited_for(counts) / n]}, target, "requests", "limit")
        requests.notes.append(in_words(counts, n) or "no request at all")
        row = Row(name, "warm stat and open", words, warm_times(source, null, action, bench.repetitions), kind="told", against=NULL)
        rows += [requests, row]
    return rows


def measures():
    return [("ls-l", "tree", list_long), ("find", "tree", find_all), ("warm", "tree", warm)]
