"""The life of a mount: who mounts, what is there already, signals, copies in other namespaces, fstab, systemd (section 10)."""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

import fixtures
import make_png
from case import pattern
from pixmount import BIN, SLOW, Mount, end_process, errno_of, is_mounted, read_all, sanitizer_environment, wait_for

STORED = pattern(4, 5, 3, 8)
IMAGE = make_png.png(STORED, make_png.RGB, 8)
PIXELS = (STORED.astype("f4") / STORED.astype("f4").dtype.type(255)).tobytes()
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="mounts in a namespace of its own")


@pytest.fixture
def images(source):
    fixtures.write_files(source, {"a.png": IMAGE, "sub/b.png": IMAGE, "sub/plain.txt": b"text"})
    return source


@pytest.fixture
def env(tmp_path):
    """Sanitizer reports of the processes started here; there must be none."""
    yield sanitizer_environment(tmp_path / "report")
    reports = [path.read_text(errors="replace") for path in tmp_path.glob("report.*")]
    assert not reports, "\n".join(reports)[:10000]


def run(env, *arguments):
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, timeout=60 * SLOW, check=False, env=env, stdin=subprocess.DEVNULL)


def in_namespace(script, *words, **more):
    """A shell whose mounts nobody else sees; $0, $1 ... are the words."""
    return subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, *map(str, words)], capture_output=True, timeout=60 * SLOW, check=False,
                          stdin=subprocess.DEVNULL, **more)


# ---- what is there already ----

def test_the_same_source_mounted_there_already_is_success(images, mounted, env):
    mount = mounted(images)
    done = run(env, images, mount.path)
    assert done.returncode == 0 and b"already" in done.stderr and done.stderr.count(b"\n") == 1
    assert mount.process.poll() is None and mount.bytes("a.png", "pixels.f32") == PIXELS
    assert sum(mount.path == line.split()[1] for line in open("/proc/self/mounts", encoding="utf-8")) == 1


def test_a_mountpoint_with_a_space(images, tmp_path, env):
    mnt = tmp_path / "m n"
    mnt.mkdir()
    try:
        assert run(env, images, mnt).returncode == 0
        assert run(env, images, mnt).returncode == 0
        done = run(env, images / "sub", mnt)
        assert done.returncode == 6 and f"fusermount3 -u '{mnt}'" in done.stderr.decode()
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(mnt)], check=False)
    assert not is_mounted(str(mnt))


def test_a_daemon_that_does_not_answer_lives(images, mounted, env):
    mount = mounted(images)
    mount.process.send_signal(signal.SIGSTOP)
    try:
        assert run(env, images, mount.path).returncode == 0
        done = run(env, images / "sub", mount.path)
        assert done.returncode == 6 and b"cleaning" not in done.stderr
    finally:
        mount.process.send_signal(signal.SIGCONT)
    assert mount.bytes("a.png", "pixels.f32") == PIXELS


def test_a_missing_mountpoint_says_how_to_make_it(images, tmp_path, env):
    done = run(env, images, tmp_path / "no such")
    assert done.returncode == 5 and f"mkdir -p '{tmp_path}/no such'" in done.stderr.decode()


@needs_root
def test_no_fuse_says_how_to_get_it(images, tmp_path):
    (tmp_path / "mnt").mkdir()
    done = in_namespace('mount -t tmpfs tmpfs /dev; exec "$0" "$1" "$2"', BIN, images, tmp_path / "mnt")
    assert done.returncode == 7 and b"--device /dev/fuse" in done.stderr and done.stderr.count(b"\n") == 1


def test_auto_unmount_leaves_nothing_after_kill_9(images, tmp_path):
    mount = Mount(images, tmp_path, "auto_unmount")
    mount.start()
    mount.process.kill()
    mount.process.wait()
    assert wait_for(lambda: not is_mounted(mount.path)), "a user of fusermount3 too: see test_user.py"
    mount.stop()


# ---- signals ----

def test_a_second_signal_ends_at_once(images, tmp_path):
    mount = Mount(images, tmp_path)
    with mount:
        fd = os.open(mount.at("a.png", "pixels.f32"), os.O_RDONLY)
        try:
            mount.process.send_signal(signal.SIGTERM)
            assert wait_for(lambda: not is_mounted(mount.path))
            with pytest.raises(subprocess.TimeoutExpired):
                mount.process.wait(1.5)
            mount.process.send_signal(signal.SIGTERM)
            assert mount.process.wait(10 * SLOW) == 0
        finally:
            os.close(fd)
    mount.assert_clean()


@needs_root
@pytest.mark.parametrize("holds", [False, True])
def test_a_copy_of_the_mount_in_another_namespace_keeps_no_daemon(images, tmp_path, holds):
    """Only what is open there counts, and that finishes."""
    mount = Mount(images, tmp_path)
    with mount:
        script = 'exec 3<"$0"/a.png/pixels.f32; echo; read line; cat <&3; exec 3<&-; read line' if holds else "echo; read line; read line"
        other = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script, mount.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert other.stdout.readline() == b"\n"
            mount.process.send_signal(signal.SIGTERM)
            assert wait_for(lambda: not is_mounted(mount.path))
            if holds:
                with pytest.raises(subprocess.TimeoutExpired):
                    mount.process.wait(1.5)
                other.stdin.write(b"\n")
                other.stdin.flush()
                assert other.stdout.read(len(PIXELS)) == PIXELS
            assert mount.process.wait(10 * SLOW) == 0 and other.poll() is None
        finally:
            other.kill()
            other.communicate()
    mount.assert_clean()


def test_sighup_opens_the_log_anew(images, tmp_path, mounted):
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    log = tmp_path / "pixfs.log"
    mount = mounted(images, f"log={log}")
    assert errno_of(read_all, mount.at("bad.png", "pixels.f32")) and "bad.png" in log.read_text()
    log.rename(tmp_path / "old.log")
    mount.process.send_signal(signal.SIGHUP)
    assert wait_for(log.exists)
    (images / "worse.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert wait_for(lambda: errno_of(read_all, mount.at("worse.png", "pixels.f32")) and "worse.png" in log.read_text())
    assert mount.process.poll() is None and is_mounted(mount.path) and "worse.png" not in (tmp_path / "old.log").read_text()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(images, tmp_path, abstract):
    address = f"@pixfs-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + address[1:] if abstract else address)
        server.settimeout(10 * SLOW)
        mount = Mount(images, tmp_path, env={"NOTIFY_SOCKET": address})
        with mount:
            assert server.recv(4096).split() == [b"READY=1", b"MAINPID=%d" % mount.process.pid]
            assert os.listdir(mount.path)
            mount.process.send_signal(signal.SIGTERM)
            assert server.recv(4096).split() == [b"STOPPING=1"]
            mount.process.wait(10 * SLOW)
        mount.assert_clean()


def test_success_on_a_terminal_says_how_to_unmount(images, tmp_path, env):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    ours, theirs = pty.openpty()
    try:
        process = subprocess.run([BIN, str(images), str(mnt)], stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, check=False, env=env, timeout=60 * SLOW)
        assert process.returncode == 0 and select.select([ours], [], [], 10)[0]
        text = os.read(ours, 4096).decode()
        assert text.count("\n") == 1 and f"fusermount3 -u {mnt}" in text
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(mnt)], check=False)
        os.close(ours)
        os.close(theirs)
    (tmp_path / "quiet").mkdir()
    done = run(env, images, tmp_path / "quiet")
    subprocess.run(["fusermount3", "-u", "-z", str(tmp_path / "quiet")], check=False)
    assert done.returncode == 0 and not done.stdout and not done.stderr, "in a script it says nothing"


# ---- who mounts ----

@needs_root
def test_a_descriptor_is_a_mountpoint(images, tmp_path, env):
    """As mount.fuse3 -o drop_privileges, Apptainer and CSI drivers do: they open and mount, pixfs only answers."""
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,default_permissions"
    subprocess.run(["mount", "-i", "-t", "fuse.pixfs", "pixfs", str(mnt), "-o", options], pass_fds=[fuse], check=True)
    process = subprocess.Popen([BIN, "-f", str(images), f"/dev/fd/{fuse}", "-o", "ro,dev,suid"], pass_fds=[fuse], env=env, stdin=subprocess.DEVNULL)
    os.close(fuse)
    try:
        assert read_all(mnt / "a.png" / "pixels.f32") == PIXELS
    finally:
        subprocess.run(["umount", "-l", str(mnt)], check=True)
    assert process.wait(10 * SLOW) == 0


@needs_root
def test_fstab(images, tmp_path):
    """mount -a, mount -a again, remounting, umount, with the options that lines have; drop_privileges goes through /dev/fd/N."""
    if not shutil.which("mount.fuse3") or not os.path.exists("/etc/fstab"):
        pytest.skip("needs mount.fuse3 and an /etc/fstab to mount over")
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    options = ("defaults,nodiratime,relatime,nofail,_netdev,users,exec,nosuid,nodev,x-systemd.automount,x-gvfs-show,comment=photos,uid=0,gid=0,"
               "nostrictatime,lazytime,auto,noatime")
    (tmp_path / "fstab").write_text(f"{images} {mnt} fuse.pixfs {options} 0 0\n")
    script = """exec 2>&1
        mount -t tmpfs tmpfs /usr/local/bin; cp "$0" /usr/local/bin/pixfs; mount --bind "$1" /etc/fstab
        mount -a; grep -F " $2 " /proc/self/mounts
        mount -a; grep -cF " $2 " /proc/self/mounts
        mount -o remount,ro "$2"; grep -F " $2 " /proc/self/mounts
        mount -o remount,rw,exec "$2"; grep -F " $2 " /proc/self/mounts
        cat "$2/sub/plain.txt"; echo
        umount "$2"
        mount -t fuse.pixfs "$3" "$2" -o drop_privileges,ro
        cat "$2/sub/plain.txt"; echo
        umount "$2"
        echo end"""
    done = in_namespace(script, BIN, tmp_path / "fstab", mnt, images)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and lines[-1] == "end", lines
    flags = [set(line.split()[3].split(",")) for line in lines if line.startswith("pixfs:")]
    assert len(flags) >= 3 and "rw" in flags[0] and "ro" in flags[-2] and "rw" in flags[-1], lines
    assert "1" in lines and lines.count("text") == 2


def test_remounting_what_is_not_there(images, tmp_path, env):
    (tmp_path / "mnt").mkdir()
    done = run(env, images, tmp_path / "mnt", "-o", "remount,ro")
    assert done.returncode == 5 and re.search(b"no pixfs is mounted there", done.stderr)
