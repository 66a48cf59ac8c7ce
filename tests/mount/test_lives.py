"""What an open array lives through: whatever is done to the names and attributes of its source, or of the archive that it lies in, who
has it open reads on; where its bytes change it is ESTALE, and never a mix. Judged by values that are the same all over an image."""
import io
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import make_exr
import make_png
import pixmount
from make_exr import HALF, ZIPS, Channel, Part
from make_zip import DEFLATE, STORED, Entry, zip_of
from pixmount import open_errno, read_all, wait_for

SIDE = 320  # decodes to more than what is decoded when it is opened


def png(value):
    return make_png.png(np.full((SIDE, SIDE, 3), value, np.uint8), make_png.RGB, 8, filters=(0,)), np.float32(value) / np.float32(255)


def jpeg(value):
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (value, value, value)).save(file, "JPEG", quality=95)
    decoded = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    assert (decoded == decoded[0, 0, 0]).all()
    return file.getvalue(), np.float32(decoded[0, 0, 0]) / np.float32(255)


def exr(value):
    bits = np.uint16(0x3000 + value)
    part = Part([Channel(name, HALF, {(0, 0): np.full((SIDE, SIDE), bits)}) for name in "BGR"], (0, 0, SIDE - 1, SIDE - 1), compression=ZIPS)
    return make_exr.exr(part), np.float32(bits.view(np.float16))


KINDS = {"png": (png, None), "jpg": (jpeg, None), "exr": (exr, None), "stored": (png, STORED), "packed": (png, DEFLATE)}

# The file, or all of an archive; the mount looks at what was at `path`.
CHANGES = {
    "chmod": lambda path, new: os.chmod(path, 0o600),
    "chown": lambda path, new: os.chown(path, 1234, 1234),
    "ln": lambda path, new: os.link(path, path + ".backup"),
    "setfattr": lambda path, new: os.setxattr(path, "user.note", b"seen"),
    "mv within": lambda path, new: os.rename(path, path + ".moved"),
    "mv out": lambda path, new: os.rename(path, os.path.join(os.path.dirname(path), "..", "..", "..", os.path.basename(os.path.dirname(path)) + os.path.basename(path))),
    "cp -p + mv": lambda path, new: (shutil.copy2(path, path + ".copy"), os.rename(path + ".copy", path)),
    "rm": lambda path, new: os.unlink(path),
    "touch": lambda path, new: os.utime(path),
    "rewrite": lambda path, new: put(path, new),
    "truncate": lambda path, new: os.truncate(path, os.path.getsize(path) // 2),
}
METADATA, NAMES, TIMES = ("chmod", "chown", "ln", "setfattr"), ("mv within", "mv out", "cp -p + mv", "rm"), ("touch",)

# Opens everything, tells so, waits, and reads on: each in a child of its own, as a map that fails kills.
READER = """
import json, os, sys
import numpy as np
held = {}
def values(a):
    return sorted(set(np.unique(np.asarray(a)).tolist()))
for kind, (folder, image) in json.loads(sys.argv[1]).items():
    array = np.load(image + '/pixels.npy', mmap_mode='r')
    array[0, 0, 0]
    fd = os.open(image + '/pixels.f32', os.O_RDONLY)
    os.pread(fd, 64, 0)
    stack = np.load(folder + '/.pixfs/stack/pixels.npy', mmap_mode='r')
    stack[0, 0, 0, 0]
    def handle(fd=fd, size=array.nbytes):
        data = b''
        while len(data) < size:
            part = os.pread(fd, size - len(data), len(data))
            if not part:
                return ['short']
            data += part
        assert os.fstat(fd).st_size == size
        return values(np.frombuffer(data, '<f4'))
    held[kind] = {'map': lambda array=array: values(array), 'handle': handle, 'stack': lambda stack=stack: values(stack[-1])}
print('open', flush=True)
sys.stdin.readline()
seen = {}
for kind, ways in held.items():
    for name, way in ways.items():
        end, begin = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                found = way()
            except OSError as error:
                found = error.errno
            os.write(begin, json.dumps(found).encode())
            os._exit(0)
        os.close(begin)
        with os.fdopen(end) as file:
            text = file.read()
        status = os.waitpid(child, 0)[1]
        seen[kind + ' ' + name] = json.loads(text) if status == 0 else -os.WTERMSIG(status)
print(json.dumps(seen), flush=True)
"""
STALE = (116, -7)  # ESTALE of a read, SIGBUS of a map


def put(path, data):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.write(data)
        file.truncate()


def content(kind, values):
    """Of the files a and b of a kind."""
    make, method = KINDS[kind]
    images = [make(value)[0] for value in values]
    if method is None:
        return {f"a.{kind}": images[0], f"b.{kind}": images[1]}
    return {"z.zip": zip_of(*(Entry(name, data, method) for name, data in zip((b"a.png", b"b.png"), images)))}


@pytest.fixture
def source(tmp_path):
    """A folder for each change, and in it one for each kind."""
    folder = tmp_path / "source"
    for kind in KINDS:
        for name, data in content(kind, (10, 20)).items():
            for change in CHANGES:
                (folder / change / kind).mkdir(parents=True, exist_ok=True)
                put(str(folder / change / kind / name), data)
    return folder


CASES = [(change, kind) for change in CHANGES if change != "chown" or os.geteuid() == 0 for kind in KINDS]


def places(mount):
    """Of each case: the directory whose images are stacked, and an image in it."""
    return {f"{change} {kind}": (mount.at(change, kind), mount.at(change, kind, f"a.{kind}")) if KINDS[kind][1] is None
            else (mount.at(change, kind, "z.zip"), mount.at(change, kind, "z.zip", "a.png")) for change, kind in CASES}


def change_all(source):
    contents = {kind: content(kind, (110, 120)) for kind in KINDS}
    for change, kind in CASES:
        for name, data in contents[kind].items():
            CHANGES[change](str(source / change / kind / name), data)


@pytest.mark.parametrize("options", ["cache_size=2M,nopassthrough", "cache_size=2M", ""], ids=["small", "passthrough", "default"])
def test_what_is_open(source, mounted, options):
    """Of the small caches hardly anything is kept: what is read is decoded then."""
    mount = mounted(source, options)
    process = subprocess.Popen([sys.executable, "-c", READER, json.dumps(places(mount))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    assert process.stdout.readline() == "open\n"
    change_all(source)
    time.sleep(1.1)  # what the kernel knew of names and attributes is over
    seen = json.loads(process.communicate("go\n")[0])
    assert process.returncode == 0
    for (change, kind), way in [(case, way) for case in CASES for way in ("map", "handle", "stack")]:
        make, method = KINDS[kind]
        right = [float(make(20 if way == "stack" else 10)[1])]
        found = seen[f"{change} {kind} {way}"]
        if change in METADATA or (change in NAMES and (way != "stack" or method is not None)):
            assert found == right, (change, kind, way, found)
        elif change in NAMES:
            assert found in STALE, (change, kind, way, found)
        else:
            assert found == right or found in STALE, (change, kind, way, found)


def test_who_looks_anew_sees_what_is_there_now(source, mounted):
    mount = mounted(source, "allow_other" if os.geteuid() == 0 else "")
    paths = {case: os.path.join(image, "pixels.f32") for case, (_, image) in zip(CASES, places(mount).values())}
    held = [open(path, "rb") for path in paths.values()]
    change_all(source)
    time.sleep(1.1)
    for (change, kind), path in paths.items():
        host = source / change / kind / (f"a.{kind}" if KINDS[kind][1] is None else "z.zip")
        if change in ("rm", "mv within", "mv out", "truncate"):
            assert wait_for(lambda path=path: open_errno(path) is not None), (change, kind)
            continue
        value = KINDS[kind][0](110 if change == "rewrite" else 10)[1]
        assert wait_for(lambda path=path, value=value: open_errno(path) is None and (np.frombuffer(read_all(path), "<f4") == value).all()), (change, kind)
        info = os.stat(path)
        assert info.st_mode & 0o777 == (0o400 if change == "chmod" and os.geteuid() == 0 else 0o444) and info.st_uid == os.stat(host).st_uid
        if KINDS[kind][1] is None:
            assert info.st_mtime_ns == os.stat(host).st_mtime_ns
    for file in held:
        file.close()


def test_a_plain_file_that_is_gone_is_read_on(source, mounted):
    """Its own bytes, from the descriptor that was opened."""
    (source / "plain.bin").write_bytes(bytes(range(256)) * 4096)
    mount = mounted(source)
    with open(mount.at("plain.bin"), "rb") as file:
        assert file.read(4) == b"\0\1\2\3"
        (source / "plain.bin").unlink()
        time.sleep(1.2)
        file.seek(0)
        assert file.read() == bytes(range(256)) * 4096 and os.fstat(file.fileno()).st_size == 1 << 20


def limited(folder, descriptors):
    """A pixfs that may have so many open."""
    path = folder / "limited"
    path.write_text(f"#!/bin/sh\nulimit -n {descriptors}\nexec '{pixmount.BIN}' \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def test_more_open_arrays_than_descriptors(tmp_path, mounted, monkeypatch):
    """Beyond a half of the limit the rest are opened by their paths: attributes may change, names may not."""
    folder = tmp_path / "source"
    folder.mkdir()
    names = [f"{i:03d}.png" for i in range(120)]
    for name in names:
        put(str(folder / name), png(10)[0])
    monkeypatch.setattr(pixmount, "BIN", limited(tmp_path, 96))
    mount = mounted(folder, "cache_size=256K,nopassthrough")
    held = [os.open(mount.at(name, "pixels.f32"), os.O_RDONLY) for name in names]
    for name in names:
        os.chmod(folder / name, 0o600)
    for fd in held:
        assert (np.frombuffer(os.pread(fd, SIDE * SIDE * 12, 0), "<f4") == png(10)[1]).all()
        os.close(fd)


NOISE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)  # packs to more than is held in memory of an entry
EXPECTED = (NOISE / np.float32(255)).tobytes()


@pytest.fixture
def few(tmp_path, mounted, monkeypatch):
    """A mount that keeps few descriptors, a folder "old" of its source with NOISE in a PNG, a zip and a zip of two volumes, and what
    closes all that nobody holds."""
    folder = tmp_path / "source"
    (folder / "old").mkdir(parents=True)
    data = make_png.png(NOISE, make_png.RGB, 8, filters=(0,))
    archive = zip_of(Entry(b"a.png", data, STORED))
    for name, content in {"a.png": data, "a.zip": archive, "b.zip.001": archive[:200_000], "b.zip.002": archive[200_000:]}.items():
        put(str(folder / "old" / name), content)
    names = [f"{i:03d}.png" for i in range(20)]
    for name in names:
        put(str(folder / name), make_png.png(np.zeros((8, 8, 3), np.uint8), make_png.RGB, 8, filters=(0,)))
    monkeypatch.setattr(pixmount, "BIN", limited(tmp_path, 64))
    mount = mounted(folder, "cache_size=256K,nopassthrough")

    def close_others():
        for name in names:
            read_all(mount.at(name, "pixels.f32"))
    return mount, folder, close_others


INSIDE = {"png": ["a.png"], "zip": ["a.zip", "a.png"], "volumes": ["b.zip.001", "a.png"]}


@pytest.mark.parametrize("kind", ["png", "zip"])
def test_what_lies_in_a_renamed_folder_is_found_there(few, kind):
    """The version is known by its old path, and its descriptor was closed since."""
    mount, folder, close_others = few
    assert read_all(mount.at("old", *INSIDE[kind], "pixels.f32")) == EXPECTED
    close_others()
    os.rename(folder / "old", folder / "new")
    assert read_all(mount.at("new", *INSIDE[kind], "pixels.f32")) == EXPECTED


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("name", ["pixels.f32", "source.png"])
def test_what_is_open_keeps_its_descriptor_where_others_are_closed(few, kind, name):
    mount, folder, close_others = few
    expected = EXPECTED if name == "pixels.f32" else make_png.png(NOISE, make_png.RGB, 8, filters=(0,))
    with open(mount.at("old", *INSIDE[kind], name), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert file.read(100) == expected[:100]
        close_others()
        shutil.rmtree(folder / "old")
        close_others()
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_NORMAL)
        rest = b"".join(iter(lambda: file.read(1 << 20), b""))
        assert rest == expected[100:]


def test_a_stack_over_zips_keeps_their_descriptors_where_others_are_closed(few):
    mount, folder, close_others = few
    with open(mount.at("old", ".pixfs", "stack", "recursive,pixels.f32"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        assert os.pread(file.fileno(), 4096, 0) == EXPECTED[:4096]
        close_others()
        for name in "a.zip", "b.zip.001", "b.zip.002":
            (folder / "old" / name).unlink()
        close_others()
        assert os.fstat(file.fileno()).st_size == 3 * len(EXPECTED)
        assert os.pread(file.fileno(), 65536, 2 * len(EXPECTED)) == EXPECTED[:65536]
        assert os.pread(file.fileno(), 65536, len(EXPECTED)) == EXPECTED[:65536]
