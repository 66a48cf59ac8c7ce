"""One of several reader processes: takes a job as a line of JSON, reads all of it, answers with a line.

Also used by the run itself for one reader: read_all() is what a user's loop does.
"""
import json
import os
import sys
import zipfile

import numpy as np

from . import peers

DECODERS = {("OpenCV", "f32"): peers.bytes_opencv, ("OpenCV", "native"): peers.bytes_opencv_native,
            ("Pillow", "f32"): peers.bytes_pillow, ("imageio", "f32"): peers.bytes_imageio,
            ("Pillow", "native"): peers.bytes_pillow_native}
ARRAY = {"f32": "pixels.npy", "native": "views/native.npy"}


def read_mounted(job):
    """pixfs: a file for each image."""
    folder, array = job["folder"], ARRAY[job["kind"]]
    for name in sorted(os.listdir(folder))[job["first"]:job["count"]:job["step"]]:
        np.load(os.path.join(folder, name, array))


def read_zipfile(job):
    decode = DECODERS[job["decoder"], job["kind"]]
    with zipfile.ZipFile(job["archive"]) as archive:
        for name in sorted(archive.namelist())[job["first"]:job["count"]:job["step"]]:
            decode(archive.read(name))


def read_fuse_zip(job):
    """The archive as plain files under fuse-zip, decoded here."""
    decode = peers.opencv if job["kind"] == "f32" else peers.opencv_native
    for name in sorted(os.listdir(job["folder"]))[job["first"]:job["count"]:job["step"]]:
        decode(os.path.join(job["folder"], name))


READERS = {"pixfs": read_mounted, "zipfile": read_zipfile, "fuse-zip": read_fuse_zip}


def read_all(job):
    READERS[job["reader"]](job)


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        read_all(json.loads(line))
        print("done", flush=True)


if __name__ == "__main__":
    main()
