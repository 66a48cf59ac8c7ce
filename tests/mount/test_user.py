"""An ordinary user's mount, started by root's tests as nobody: it works through fusermount3, nobody else looks in, what the user
may not read stays unread, and each way of ending ends it. Skipped where that can't be tried."""
import errno
import os
import shutil
import signal
import subprocess
import tempfile

import numpy as np
import pytest

import make_png
from case import pattern
from make_zip import Entry, zip_of
from pixmount import BIN, SLOW, end_process, errno_of, is_mounted, sanitizer_environment, wait_for

NOBODY = 65534


def as_nobody(*words, **more):
    return subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *map(str, words)], stdin=subprocess.DEVNULL, **more)


def call_as_nobody(*words, **more):
    process = as_nobody(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    out, _ = process.communicate(timeout=60 * SLOW)
    return process.returncode, out


@pytest.fixture
def home():
    """A folder that nobody may enter (pytest's own are closed), with the program, a source and a mountpoint."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user anyway")
    if not shutil.which("setpriv") or not shutil.which("fusermount3") or call_as_nobody("test", "-w", "/dev/fuse")[0]:
        pytest.skip("needs setpriv, fusermount3 and a /dev/fuse that everyone may open")
    folder = tempfile.mkdtemp(prefix="pixfs-user.")
    os.chmod(folder, 0o755)
    shutil.copy(BIN, os.path.join(folder, "pixfs"))
    stored = pattern(60, 50, 3, 8)
    for name in ("source", "mnt"):
        os.mkdir(os.path.join(folder, name))
        os.chown(os.path.join(folder, name), NOBODY, NOBODY)
    data = make_png.png(stored, make_png.RGB, 8)
    for name, content, mode in (("a.png", data, 0o644), ("secret.png", data, 0o600), ("z.zip", zip_of(Entry(b"in.png", data)), 0o644), ("secret.zip", zip_of(Entry(b"in.png", data)), 0o600)):
        path = os.path.join(folder, "source", name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
    yield folder, (stored.astype(np.float32) / np.float32(255)).tobytes()
    subprocess.run(["fusermount3", "-u", "-z", os.path.join(folder, "mnt")], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


def start(folder, *options):
    mnt = os.path.join(folder, "mnt")
    env = sanitizer_environment(os.path.join(folder, "source", "report"))
    log = open(os.path.join(folder, "log"), "ab")  # pylint: disable=consider-using-with
    process = as_nobody(os.path.join(folder, "pixfs"), os.path.join(folder, "source"), mnt, "-f", *options, env=env, cwd=folder, stdout=log, stderr=log)
    log.close()
    assert wait_for(lambda: is_mounted(mnt) or process.poll() is not None) and process.poll() is None, open(os.path.join(folder, "log"), encoding="utf-8").read()
    return process, mnt


def wait_end(process, folder, code=0):
    assert process.wait(20 * SLOW) == code
    assert not [name for name in os.listdir(os.path.join(folder, "source")) if name.startswith("report")]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "fusermount3"])
def test_mounting_reading_and_ending(home, how):
    folder, pixels = home
    process, mnt = start(folder)
    code, out = call_as_nobody("cat", os.path.join(mnt, "a.png", "pixels.f32"))
    assert code == 0 and out == pixels
    code, out = call_as_nobody("cat", os.path.join(mnt, "z.zip", "in.png", "pixels.f32"))
    assert code == 0 and out == pixels
    for secret in ("secret.png", "secret.zip/in.png"):
        code, out = call_as_nobody("cat", os.path.join(mnt, secret, "pixels.f32"))
        assert code and b"Permission denied" in out, (secret, out)
    assert errno_of(os.listdir, mnt) == errno.EACCES, "root too is another user"
    if how == "fusermount3":
        assert call_as_nobody("fusermount3", "-u", mnt)[0] == 0
    else:
        end_process(process.pid, getattr(signal, how))
    wait_end(process, folder)
    assert not is_mounted(mnt)


def test_open_readers_finish(home):
    folder, pixels = home
    process, mnt = start(folder)
    reader = as_nobody("sh", "-c", f"exec 3<{mnt}/a.png/pixels.f32; sleep 1; cat <&3", stdout=subprocess.PIPE)

    def is_open():
        try:
            return os.readlink(f"/proc/{reader.pid}/fd/3").endswith("pixels.f32")  # before the shell runs, 3 may be something else
        except FileNotFoundError:
            return False
    assert wait_for(is_open) and process.poll() is None
    end_process(process.pid, signal.SIGTERM)
    assert reader.communicate(timeout=20 * SLOW)[0] == pixels
    wait_end(process, folder)


def test_kill_9_and_again(home):
    folder, pixels = home
    process, mnt = start(folder)
    end_process(process.pid)
    process.wait()
    assert is_mounted(mnt) and call_as_nobody("stat", os.path.join(mnt, "a.png", "pixels.npy"))[0], "dead"
    process, mnt = start(folder)
    assert wait_for(lambda: call_as_nobody("cat", os.path.join(mnt, "a.png", "pixels.f32")) == (0, pixels))
    assert "dead" in open(os.path.join(folder, "log"), encoding="utf-8").read()
    end_process(process.pid, signal.SIGTERM)
    wait_end(process, folder)


def test_allow_other_is_refused_in_one_line_where_the_system_forbids_it(home):
    folder, _ = home
    with open("/etc/fuse.conf", encoding="utf-8") as file:
        if any(line.strip() == "user_allow_other" for line in file):
            pytest.skip("this system allows it")
    code, out = call_as_nobody(os.path.join(folder, "pixfs"), os.path.join(folder, "source"), os.path.join(folder, "mnt"), "-o", "allow_other")
    assert code > 0 and b"allow_other" in out and not is_mounted(os.path.join(folder, "mnt"))


def test_auto_unmount_leaves_nothing_after_kill_9(home):
    folder, _ = home
    process, mnt = start(folder, "-o", "auto_unmount")
    assert call_as_nobody("ls", mnt)[0] == 0
    end_process(process.pid)
    process.wait()
    assert wait_for(lambda: not is_mounted(mnt))


def test_a_mountpoint_of_somebody_else(home):
    folder, _ = home
    os.chown(os.path.join(folder, "mnt"), 0, 0)
    code, out = call_as_nobody(os.path.join(folder, "pixfs"), os.path.join(folder, "source"), os.path.join(folder, "mnt"))
    assert code == 5 and b"may write to" in out and out.count(b"\n") == 1


def test_fusermount3_is_missing(home):
    folder, _ = home
    script = """mount --bind /dev/null /usr/bin/fusermount3 && cd "$0" &&
        PATH=/nowhere exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups ./pixfs source mnt"""
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, folder], capture_output=True, check=False)
    assert done.returncode == 7 and b"install fuse3" in done.stderr and done.stderr.count(b"\n") == 1, done.stderr
