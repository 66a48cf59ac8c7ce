"""No way out of SOURCE: whatever is swapped for a symlink, renamed or put in another's place while somebody stands in it, nothing
that lies outside is ever read by the mount. As root, and as another user where allow_other lets one in."""
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest

import make_png
from pixmount import errno_of, read_all

SECRET = b"SECRET outside of SOURCE\n"
NOBODY = 65534
INNER, OUTER = (make_png.png(np.full((4, 4, 3), value, np.uint8), make_png.RGB, 8) for value in (9, 77))

# Stands in a directory of the mount, waits for a line, and tells what it can read: a line of JSON for each line it gets.
WITNESS = """
import json, os, sys
os.chdir(sys.argv[1])
def read(name):
    with open(name, 'rb', opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW)) as file:
        return file.read().decode('latin-1')
print('ready', flush=True)
for line in sys.stdin:
    seen = {}
    for name, action in {'list': lambda: sorted(os.listdir('.')), 'scan': lambda: sorted(e.name for e in os.scandir('.') if e.stat()),
                         'secret.txt': lambda: read('secret.txt'), 'both.txt': lambda: read('both.txt'), 'secret.png': lambda: read('secret.png/pixels.f32'),
                         'both.png': lambda: read('both.png/pixels.f32'), 'deep': lambda: read('deep/secret.txt'), 'zip': lambda: sorted(os.listdir('z.zip')),
                         'stack': lambda: read('.pixfs/stack/pixels.npy'), 'index': lambda: read('.pixfs/stack/recursive,pixels.jsonl')}.items():
        try:
            seen[name] = action()
        except OSError as error:
            seen[name] = error.errno
    print(json.dumps(seen), flush=True)
"""


@pytest.fixture
def place():
    """A folder that everybody may enter: album (in SOURCE) and outside hold files of the same names, and some of their own."""
    folder = tempfile.mkdtemp(prefix="pixfs-escape.")
    os.chmod(folder, 0o755)
    for where, text, image in (("source/album", b"inside\n", INNER), ("outside", SECRET, OUTER)):
        os.makedirs(os.path.join(folder, where, "deep"))
        own = "secret" if where == "outside" else "own"
        for name, data in (("both.txt", text), ("both.png", image), (own + ".txt", text), (own + ".png", image), ("deep/" + own + ".txt", text)):
            with open(os.path.join(folder, where, name), "wb") as file:
                file.write(data)
        with open(os.path.join(folder, where, "z.zip"), "wb") as file:
            file.write(b"PK\5\6" + bytes(18))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Witness:
    def __init__(self, path, as_other):
        words = [sys.executable, "-c", WITNESS, path]
        if as_other:
            words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] + words
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", text=True)
        assert self.process.stdout.readline() == "ready\n"

    def look(self):
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


def leaks(seen):
    """What of a look lies outside."""
    outer = (np.full((4, 4, 3), 77, np.uint8).astype("<f4") / np.float32(255)).tobytes().decode("latin-1")
    return {name: found for name, found in seen.items()
            if (isinstance(found, str) and (SECRET.decode() in found or "secret" in found or outer[:48] in found))
            or (isinstance(found, list) and any("secret" in word for word in found))}


who = pytest.mark.parametrize("as_other", [False, True], ids=["root", "other"])


def start(place, mounted, as_other, options=""):
    if as_other and (os.geteuid() != 0 or not shutil.which("setpriv")):
        pytest.skip("needs root and setpriv")
    mount = mounted(os.path.join(place, "source"), ",".join(filter(None, ["allow_other" if as_other else "", options])))
    folder = mount.path
    while as_other and folder != "/":  # pytest's folders are closed to others
        if not os.stat(folder).st_mode & 0o001:
            os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = os.path.dirname(folder)
    return mount


@who
@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_a_directory_that_becomes_a_link_out_is_left(place, mounted, as_other, kind):
    mount = start(place, mounted, as_other)
    album, outside = os.path.join(place, "source", "album"), os.path.join(place, "outside")
    with Witness(mount.at("album"), as_other) as witness:
        before = witness.look()
        assert before["both.txt"] == "inside\n" and "own.txt" in before["list"] and before["index"].count("\n") == 2
        os.rename(album, os.path.join(place, "moved"))
        os.symlink(outside if kind == "absolute" else "../outside", album)
        for wait in (0, 1.2):
            time.sleep(wait)
            seen = witness.look()
            assert not leaks(seen), seen
            assert isinstance(seen["secret.txt"], int) and isinstance(seen["stack"], int), seen
    assert os.readlink(mount.at("album")) in (outside, "../outside")


@who
def test_another_directory_in_its_place_is_another(place, mounted, as_other):
    """Inside SOURCE nothing is secret, but who stands in the old one never sees the new one's files as its own."""
    mount = start(place, mounted, as_other)
    album = os.path.join(place, "source", "album")
    with Witness(mount.at("album"), as_other) as witness:
        witness.look()
        os.rename(album, os.path.join(place, "moved"))
        shutil.copytree(os.path.join(place, "outside"), album)
        time.sleep(1.2)
        assert not leaks(witness.look())
    assert read_all(mount.at("album", "both.txt")) == SECRET
    assert sorted(os.listdir(mount.at("album"))) == sorted(os.listdir(album))


@who
def test_a_decoy_at_the_old_path_of_source(place, mounted, as_other):
    source = os.path.join(place, "source")
    os.symlink("../outside/secret.txt", os.path.join(source, "l.txt"))
    os.symlink(os.path.join(source, "album", "both.txt"), os.path.join(source, "in.txt"))
    mount = start(place, mounted, as_other)
    assert os.path.islink(mount.at("l.txt")) and not os.path.islink(mount.at("in.txt"))
    os.rename(source, source + "2")
    os.makedirs(os.path.join(source, "album"))
    for name in ("l.txt", "album/both.txt"):
        with open(os.path.join(source, name), "wb") as file:
            file.write(b"decoy")
    time.sleep(1.2)
    assert os.path.islink(mount.at("l.txt")) and os.path.islink(mount.at("in.txt"))
    assert errno_of(lambda: os.close(os.open(mount.at("l.txt"), os.O_RDONLY | os.O_NOFOLLOW)))
    assert read_all(mount.at("album", "both.txt")) == b"inside\n", "SOURCE goes on under its descriptor"


def test_links_back_into_source_are_followed_however_they_lead(place, mounted):
    source, album = os.path.join(place, "source"), os.path.join(place, "source", "album")
    os.symlink(source, os.path.join(place, "alias"))
    links = {"abs.txt": album + "/both.txt", "alias.txt": place + "/alias/album/both.txt", "out_and_in.txt": "../../source/album/both.txt",
             "dir": album + "/deep", "pic.png": album + "/both.png"}
    for name, target in links.items():
        os.symlink(target, os.path.join(album if name == "out_and_in.txt" else source, name))
    mount = start(place, mounted, False)
    for name in ("abs.txt", "alias.txt", "album/out_and_in.txt"):
        assert not os.path.islink(mount.at(name)) and read_all(mount.at(name)) == b"inside\n"
    assert read_all(mount.at("dir", "own.txt")) == b"inside\n" and os.listdir(mount.at("dir")) == ["own.txt"]
    assert (mount.pixels("pic.png") == np.float32(9) / np.float32(255)).all()
    assert mount.json(".pixfs", "stack", "pixels.json")["shape"][0] == 1


def exchange(a_fd, a, b_fd, b):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(a_fd, os.fsencode(a), b_fd, os.fsencode(b), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


@who
@pytest.mark.parametrize("options", ["", "nopassthrough"])
def test_races_of_swaps_give_nothing_away(place, mounted, as_other, options):
    """Directories, files, images and archives are exchanged with links to those outside, as fast as it goes."""
    mount = start(place, mounted, as_other, options)
    source = os.path.join(place, "source")
    folders = [os.open(os.path.join(source, name), os.O_RDONLY) for name in (".", "album")]
    pairs = [(folders[name != "album"], name, "." + name) for name in ("album", "both.txt", "both.png", "deep", "z.zip")]
    for _, name, other in pairs:
        os.symlink(os.path.join(place, "outside", "" if name == "album" else name), other, dir_fd=folders[0])
    ended = threading.Event()

    def swap():
        while not ended.is_set():
            for folder, name, other in pairs:
                exchange(folder, name, folders[0], other)
    swapper = threading.Thread(target=swap)
    with Witness(mount.at("album"), as_other) as witness:
        witness.look()
        swapper.start()
        end, nlooks = time.monotonic() + 2, 0
        try:
            while time.monotonic() < end or nlooks < 5:
                found = leaks(witness.look())
                found.pop("deep", None)  # while it is a link out the kernel follows it, as a reader's own open() would
                assert not found, found
                nlooks += 1
        finally:
            ended.set()
            swapper.join()
            for folder in folders:
                os.close(folder)


def test_what_a_followed_link_shows_of_a_closed_directory(place, mounted):
    source = os.path.join(place, "source")
    os.symlink("album/both.txt", os.path.join(source, "l.txt"))
    os.symlink("album/both.png", os.path.join(source, "l.png"))
    os.symlink("album/deep", os.path.join(source, "dir"))
    os.chmod(os.path.join(source, "album"), 0o700)
    mount = start(place, mounted, True)
    for name in ("l.txt", "l.png/pixels.npy", "dir/own.txt"):
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", mount.at(name)]
        assert subprocess.run(words, capture_output=True, check=False).returncode, name
        assert read_all(mount.at(name))
    os.chmod(os.path.join(source, "album"), 0o755)
    time.sleep(1.2)
    for name in ("l.txt", "l.png/pixels.npy", "dir/own.txt"):
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", mount.at(name)]
        assert subprocess.run(words, capture_output=True, check=False).returncode == 0, name
