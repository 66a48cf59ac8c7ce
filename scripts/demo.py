"""The reader's half of scripts/demo: MOUNTPOINT PICTURE. Finds images below the mountpoint, shows what they hold."""
import json
import os
import subprocess
import sys
import time

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


def show_stack():
    """All images as one array: the rows of what can't be decoded are NaN."""
    path = ".pixfs/stack/recursive,rgb,size=224x224.npy"
    say(f"python3: np.load('{path}', mmap_mode='r')")
    start = time.perf_counter()
    try:
        stack = np.load(f"{mnt}/{path}", mmap_mode="r")
    except OSError as error:  # of some images no RGB can be made
        print(f"  {error.strerror}")
        return
    print(f"  shape {stack.shape} {stack.dtype}, {stack.nbytes / 1e6:.1f} MB, opened in {(time.perf_counter() - start) * 1000:.0f} ms")
    last = len(stack) - 1
    print(f"  row {last}: mean {stack[last].mean():.6g}")


def draw(image):
    """A view is a picture too; linear light is encoded for a screen."""
    linear = json.load(open(f"{mnt}/{image}/meta.json"))["color"]["transfer"] == "linear"
    view = f"{image}/views/{'srgb,' if linear else ''}long=1024.png"
    run(f"cp '{view}' '{picture}'")


images = find_images()
renders = [i for i in images if i.lower().endswith(".exr")]
chosen = sorted({images[0], images[-1], *renders[:1], *renders[-1:]})
layered = [i for i in renders if os.path.isdir(f"{mnt}/{i}/layers")]
first = (layered or renders or images)[0]
run(f"find '{first}' | head -n 24")
run(f"ls -l '{first}'")
run(f"head -n 18 '{first}/meta.json'")
size = os.stat(f"{mnt}/{first}/pixels.f32").st_size
run(f"od -A d -t f4 -j {size // 2 // 16 * 16} -N 48 '{first}/pixels.f32'")
say("python3: np.load('.../pixels.npy'), np.fromfile('.../pixels.f32', '<f4')")
for image in chosen:
    show(image)
show_stack()
draw((renders or images)[-1])
run("grep -E 'opens|decodes|cache_bytes' .pixfs/stats.json")
