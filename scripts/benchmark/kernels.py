"""The kernels that touch every sample, in bytes a second of what they write, on one thread, against numpy doing the same into
memory that was written before (resizing: Pillow). And whether the compiler vectorised them."""
import os
import re
import subprocess
import time

import cv2
import numpy as np
from PIL import Image

from . import mount
from .measure import PIXFS, Row

PROGRAM = os.path.join(mount.ROOT, "build", "release", "tests", "bench", "kernels")
BINARY = os.path.join(mount.ROOT, "build", "release", "pixfs")
WIDTH, HEIGHT = 2048, 1152
GROUP = "kernels"


def stored(dtype, planar):
    random = np.random.default_rng(1)
    shape = (3, HEIGHT, WIDTH) if planar else (HEIGHT, WIDTH, 3)
    if dtype in (np.uint8, np.uint16):
        return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return random.random(shape, np.float32).astype(dtype)


def into(dtype, *shape):
    """A destination that was written before."""
    return np.ones(shape, dtype)


def divide(divisor, channels=slice(None), axes=(0, 1, 2)):
    def make(a):
        source = a.transpose(axes)[..., channels] if axes == (0, 1, 2) else a.transpose(axes)
        out = into(np.float32, *source.shape)
        return lambda: np.divide(source, np.float32(divisor), out=out, dtype=np.float32)
    return make


def rgba(a):
    out = into(np.float32, HEIGHT, WIDTH, 4)

    def run():
        np.divide(a, np.float32(255), out=out[..., :3], dtype=np.float32)
        out[..., 3] = 1
        return out
    return run


def copied(dtype, order):
    """Moved, and cast where the type differs. order: axes of the destination."""
    def make(a):
        source = a.transpose(order) if order else a[..., ::-1]
        out = into(dtype, *source.shape)

        def run():
            np.copyto(out, source, casting="unsafe")
            return out
        return run
    return make


def to_u8(a):
    """float32 planes to u8 (H, W, 3): round half to even, clamped."""
    out, scratch = into(np.uint8, HEIGHT, WIDTH, 3), into(np.float32, 3, HEIGHT, WIDTH)

    def run():
        np.multiply(a, np.float32(255), out=scratch, dtype=np.float32)
        np.rint(scratch, out=scratch)
        np.clip(scratch, 0, 255, out=scratch)
        np.copyto(out, scratch.transpose(1, 2, 0), casting="unsafe")
        return out
    return run


def resized(filter_, width, height):
    def make(a):
        planes = [Image.fromarray(np.ascontiguousarray(a[p])) for p in range(3)]
        out = into(np.float32, height, width, 3)

        def run():
            for p, plane in enumerate(planes):
                out[..., p] = np.asarray(plane.resize((width, height), filter_))
            return out
        return run
    return make


PLANAR = (1, 2, 0)
HALF_SIZE = f"size={WIDTH // 2}x{HEIGHT // 2}"
# name, words, stored type, interleaved, view, what does it with numpy
CASES = [
    ("u8-f32", "u8 to float32", np.uint8, 1, "pixels.f32", divide(255)),
    ("u16-f32", "u16 to float32", np.uint16, 1, "pixels.f32", divide(65535)),
    ("f16-f32", "half planes to float32 (y, x, c)", np.float16, 0, "pixels.f32", copied(np.float32, PLANAR)),
    ("f32-f32", "float32 planes to (y, x, c)", np.float32, 0, "pixels.f32", copied(np.float32, PLANAR)),
    ("bgr", "u8 RGB to float32 BGR", np.uint8, 1, "bgr.f32", divide(255, slice(None, None, -1))),
    ("rgba", "u8 RGB to float32 RGBA", np.uint8, 1, "rgba.f32", rgba),
    ("chw", "u8 (y, x, c) to float32 planes", np.uint8, 1, "chw.f32", divide(255, axes=(2, 0, 1))),
    ("bgr-u8", "u8 RGB to u8 BGR", np.uint8, 1, "native,bgr.u8", copied(np.uint8, None)),
    ("chw-u8", "u8 (y, x, c) to u8 planes", np.uint8, 1, "native,chw.u8", copied(np.uint8, (2, 0, 1))),
    ("f32-f16", "float32 planes to half (y, x, c)", np.float32, 0, "pixels.f16", copied(np.float16, PLANAR)),
    ("f32-u8", "float32 planes to u8 (y, x, c)", np.float32, 0, "pixels.u8", to_u8),
    ("resize-box", "float32 resized by 0.5, box, vs Pillow", np.float32, 0, HALF_SIZE + ".f32", resized(Image.BOX, WIDTH // 2, HEIGHT // 2)),
    ("resize-lanczos", "float32 resized by 0.5, lanczos3, vs Pillow", np.float32, 0, HALF_SIZE + ",filter=lanczos3.f32",
     resized(Image.LANCZOS, WIDTH // 2, HEIGHT // 2)),
    ("resize-up", "float32 resized by 2, linear, vs Pillow", np.float32, 0, f"size={WIDTH * 2}x{HEIGHT * 2}.f32",
     resized(Image.BILINEAR, WIDTH * 2, HEIGHT * 2)),
]
TYPE = {np.uint8: "u8", np.uint16: "u16", np.float16: "f16", np.float32: "f32"}


def ask(program, words):
    program.stdin.write(words + "\n")
    program.stdin.flush()
    nbytes, seconds = program.stdout.readline().split()
    return int(nbytes), float(seconds)


def measure_case(program, case, repetitions):
    name, words, dtype, interleaved, view, make = case
    run = make(stored(dtype, planar=not interleaved))
    rival = "Pillow" if name.startswith("resize") else "numpy"
    times = {PIXFS: [], rival: []}
    written = run().nbytes
    for _ in range(repetitions):
        nbytes, seconds = ask(program, f"{TYPE[dtype]} {interleaved} {view}")
        times[PIXFS].append(nbytes / seconds)
        start = time.thread_time()
        run()
        times[rival].append(written / (time.thread_time() - start))
    if nbytes != written:
        raise RuntimeError(f"{name}: {nbytes} bytes where {rival} writes {written}")
    return Row("kernel-" + name, GROUP, f"kernel: {words}", times, unit="B/s", kind="told", more_is_better=True)


def measure(bench):
    cv2.setNumThreads(0)
    program = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        return [measure_case(program, case, bench.repetitions * 2) for case in CASES]
    finally:
        program.kill()
        program.wait()


# ---- are they vectorised? ----

def functions():
    """name -> disassembled lines, of the clones for AVX2."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", BINARY], capture_output=True, text=True, check=True).stdout
    found = {}
    name = None
    for line in listing.splitlines():
        label = re.match(r"[0-9a-f]+ <(.+)>:$", line)
        if label:
            name = label.group(1) if re.search(r"\.avx2(\.\d+)?$", label.group(1)) else None
            if name:
                found[name] = []
        elif name and line.strip():
            found[name].append(line)
    return found


# one table entry for each sample: nothing to do side by side
LOOKUPS = ("curve_table",)


def check_vector():
    """Prints each kernel and its packed instructions on 256 bits; 0 where all have some."""
    found = functions()
    plain = []
    for name, lines in sorted(found.items()):
        wide = sum("%ymm" in line for line in lines)
        print(f"{name.split('.')[0]:24} {len(lines):5} instructions, {wide:4} on 256 bits")
        if not wide and name.split(".")[0] not in LOOKUPS:
            plain.append(name)
    print(f"{len(found)} kernels, {len(plain)} not vectorised" + (": " + ", ".join(plain) if plain else ""))
    return 1 if plain or not found else 0


def measures():
    return [("kernels", "kernels", measure)]
