"""The reader's half of scripts/demo: MOUNTPOINT PICTURE. Finds images below the mountpoint, shows what they hold."""
import json
import os
import struct
import subprocess
import sys
import time
import zlib

import numpy as np

mnt, picture = sys.argv[1:]
IMAGES = (".png", ".apng", ".exr", ".jpg", ".jpeg", ".jpe", ".jfif")
ARCHIVES = (".zip", ".zipx", ".cbz")


def say(command):
    print(f"\n$ {command}", flush=True)


def run(command):
    say(command)
    subprocess.run(command, shell=True, cwd=mnt, check=True)


def find_images():
    """Image directories, on disk first; at most a few hundred are looked at."""
    on_disk, archived = [], []
    for root, folders, _ in os.walk(mnt):
        folders.sort()
        images = [f for f in folders if f.lower().endswith(IMAGES)]
        folders[:] = [f for f in folders if f not in images]
        inside = any(part.lower().endswith(ARCHIVES) for part in root.split("/"))
        (archived if inside else on_disk).extend(os.path.relpath(os.path.join(root, f), mnt) for f in images)
        if len(on_disk) + len(archived) > 500:
            break
    good = [i for i in on_disk + archived if os.path.exists(f"{mnt}/{i}/pixels.npy")]
    if not good:
        sys.exit(f"no image below {mnt}: give a folder of PNG, JPEG or OpenEXR images as SRC=")
    return good


def show(image):
    """One image as a user of numpy sees it."""
    start = time.perf_counter()
    array = np.load(f"{mnt}/{image}/pixels.npy")
    seconds = time.perf_counter() - start
    meta = json.load(open(f"{mnt}/{image}/meta.json"))
    again = np.fromfile(f"{mnt}/{image}/pixels.f32", "<f4").reshape(meta["shape"])
    assert array.tobytes() == again.tobytes()
    middle = array[array.shape[0] // 2, array.shape[1] // 2]
    print(f"{image}")
    print(f"  {meta['format']} {meta['compression']}, stored {meta['channel_datatype']}, {meta['color']['interop_id']}, "
          f"shape {array.shape}, {array.nbytes / 1e6:.1f} MB in {seconds * 1000:.0f} ms")
    print(f"  min {array.min():.6g}  max {array.max():.6g}  mean {array.mean():.6g}  middle pixel {middle}")


def write_png(path, array):
    """An 8-bit RGB PNG of a (y, x, 3) array of bytes."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    height, width, _ = array.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = array.reshape(height, -1)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b""))


def draw(image):
    """Every n-th pixel; linear light is encoded for a screen."""
    array = np.load(f"{mnt}/{image}/views/rgb.npy", mmap_mode="r")
    step = max(1, max(array.shape) // 1024)
    array = np.clip(array[::step, ::step], 0, 1)
    if json.load(open(f"{mnt}/{image}/meta.json"))["color"]["transfer"] == "linear":
        array = np.where(array <= 0.0031308, array * 12.92, 1.055 * array ** (1 / 2.4) - 0.055)
    write_png(picture, np.rint(array * 255).astype(np.uint8))
    print(f"{image}: every {step}. pixel drawn to {picture}, {array.shape[1]} x {array.shape[0]}")


images = find_images()
renders = [i for i in images if i.lower().endswith(".exr")]
chosen = sorted({images[0], images[-1], *renders[:1], *renders[-1:]})
first = (renders or images)[0]
run(f"ls -l '{first}'")
run(f"head -c 420 '{first}/meta.json'")
run(f"od -A d -t f4 -N 48 '{first}/pixels.f32'")
say("python3: np.load('.../pixels.npy'), np.fromfile('.../pixels.f32', '<f4')")
for image in chosen:
    show(image)
say("python3: np.load('.../views/rgb.npy', mmap_mode='r')")
draw((renders or images)[-1])
run("grep -E 'opens|decodes|cache_bytes' .pixfs/stats.json")
