"""Disks and memory that fail: each codec and archive at every read and allocation (tests/unit/fault_run.c), and a mount over a
disk that answers EIO for a while: an error then, reported, and the true pixels as soon as it answers again."""
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import HALF, ZIP, simple
from make_zip import DEFLATE, STORED, Entry, zip_of
from pixmount import BIN, SLOW, errno_of, open_errno, read_all, read_range, wait_for

LONG = bool(os.environ.get("PIXFS_LONG"))
FAULT_RUN = os.path.join(os.path.dirname(os.path.realpath(BIN)), "tests", "unit", "fault_run")
SOME = ["png/rgb8.png", "png/palette4.png", "png/rgba16_interlaced.png", "png/chunk_text.png", "jpeg/ycc_420.jpg", "jpeg/ycc_420_progressive.jpg", "jpeg/icc.jpg", "exr/zip_half.exr",
        "exr/rle_mixed.exr", "exr/passes.exr", "exr/parts.exr", "exr/mip_down.exr", "exr/piz_half.exr", "exr/b44_half.exr", "exr/dwaa_half.exr", "zip/methods.zip", "zip/utf8_flag.zip",
        "zip/zip64.zip", "zip/duplicates.zip"]


def fault_run(files, seconds):
    if not os.path.exists(FAULT_RUN):
        pytest.skip("needs `make units`")
    env = {**os.environ, "FAULT_RUNS": "400" if LONG else "60"}
    done = subprocess.run([FAULT_RUN, *map(str, files)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * SLOW, check=False)
    text = done.stdout.decode(errors="replace")
    bad = [line for line in text.splitlines() if not line.startswith("ok ")]
    assert done.returncode == 0 and bad == ["0 wrong"], "\n".join(bad)[:6000]
    return len(text.splitlines()) - 1


def test_every_read_and_allocation_may_fail(fixture_dir, summary):
    chosen = [fixture_dir / name for name in SOME if (fixture_dir / name).exists()]
    if LONG:
        chosen = [path for kind in ("png", "jpeg", "exr", "zip") for path in sorted((fixture_dir / kind).iterdir()) if path.name not in ("all_halves.exr",)]
    elif SLOW > 1:
        chosen = chosen[::3]
    count = fault_run(chosen, 540 if LONG else 60)
    summary(f"faults: every read and allocation of {count} files failed once")


PRELOAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/types.h>
/* while the file named by FAIL_WHILE is there, reading at a place fails; while that of HANG_WHILE is, it doesn't return */
static int is_there(const char *variable) { const char *flag = getenv(variable); return flag && access(flag, F_OK) == 0; }
static int fails(void) { while (is_there("HANG_WHILE")) usleep(10000); return is_there("FAIL_WHILE"); }
#define READ(name) ssize_t name(int fd, void *dst, size_t n, off_t at) { \
  static ssize_t (*next)(int, void *, size_t, off_t); \
  if (!next) next = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, #name); \
  if (fails()) { errno = EIO; return -1; } \
  return next(fd, dst, n, at); }
READ(pread)
READ(pread64)
"""


@pytest.fixture
def failing_disk(tmp_path):
    """(environment for the daemon, flag file: while it is there the disk answers EIO)."""
    if SLOW > 1 or not shutil.which("cc"):
        pytest.skip("needs cc, and a daemon whose runtime lets itself be preloaded")
    (tmp_path / "preload.c").write_text(PRELOAD)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "preload.so", tmp_path / "preload.c", "-ldl"], check=True)
    flag = tmp_path / "disk-fails"
    return {"LD_PRELOAD": str(tmp_path / "preload.so"), "FAIL_WHILE": str(flag), "HANG_WHILE": str(flag) + ".hang"}, flag


def answers_again(flag, mount):
    """The disk; and what was begun while it failed (the kernel reads ahead, and waits for none of it) has ended."""
    flag.unlink()

    def progress():
        stats = mount.stats()
        return [stats[name] for name in ("decoding", "cache_hits", "cache_misses", "bytes_read", "bytes_checked", "errors")]

    def is_quiet():
        seen = [progress()]
        for _ in range(4):
            time.sleep(0.03)
            seen.append(progress())
        return seen[0][0] == 0 and all(one == seen[0] for one in seen)
    assert wait_for(is_quiet)


def images():
    """name -> (file, pixels): more than open decodes, but for the JPEG."""
    png = pattern(300, 400, 3, 16, 1)
    part = simple(["R", "G", "B"], HALF, width=400, height=300, compression=ZIP, seed=2)
    return {"a.png": (make_png.png(png, make_png.RGB, 16), (png.astype(np.float32) / np.float32(65535)).tobytes()),
            "a.exr": (make_exr.exr(part), make_exr.stack(part.channels, ["R", "G", "B"]).tobytes()), "a.jpg": (make_jpeg.encode(make_jpeg.photograph(200, 300)), None)}


@pytest.mark.parametrize("where", ["disk", "stored", "deflated"])
def test_a_disk_that_fails_for_a_while(source, mounted, failing_disk, where):
    """EIO while it fails, at open or read, told each time; then the pixels: nothing is remembered as damage."""
    env, flag = failing_disk
    made = images()
    if where == "disk":
        for name, (data, _) in made.items():
            (source / name).write_bytes(data)
    else:
        (source / "z.zip").write_bytes(zip_of(*(Entry(name.encode(), data, STORED if where == "stored" else DEFLATE) for name, (data, _) in made.items())))
    mount = mounted(source, env=env)
    places = {name: mount.at(*(() if where == "disk" else ("z.zip",)), name) for name in made}
    flag.write_text("")
    for path in places.values():  # header, archive index
        assert errno_of(read_all, os.path.join(path, "pixels.f32")) == errno.EIO
    answers_again(flag, mount)
    opened = {name: os.open(os.path.join(path, "pixels.f32"), os.O_RDONLY) for name, path in places.items()}  # checked
    flag.write_text("")
    for name in ("a.png", "a.exr"):  # decoding
        os.posix_fadvise(opened[name], 0, 0, os.POSIX_FADV_RANDOM)
        code = errno_of(os.pread, opened[name], 4096, len(made[name][1]) - 4096)
        assert code == errno.EIO or (code is None and where == "deflated"), name  # a small entry stays inflated
    answers_again(flag, mount)
    for name, path in places.items():
        assert open_errno(os.path.join(path, "pixels.f32")) is None
        pixels = read_all(os.path.join(path, "pixels.f32"))
        assert pixels == (made[name][1] or pixels), name
        if made[name][1]:
            assert os.pread(opened[name], 4096, len(pixels) - 4096) == pixels[-4096:], "the file that was open all the while"
        assert errno_of(os.getxattr, os.path.join(path, "pixels.f32"), "user.pixfs.error") == errno.ENODATA
        os.close(opened[name])
    told = [line for line in mount.errors() if line["errno"] == "EIO" and "Input/output error" in line["message"]]
    assert {os.path.basename(line["path"]) for line in told} >= ({"z.zip"} if where == "deflated" else {"a.png", "a.exr"}), told
    assert "Input/output error" in mount.log()


def test_a_check_that_the_disk_interrupts_is_made_again(source, mounted, failing_disk):
    env, flag = failing_disk
    data, pixels = images()["a.png"]
    (source / "good.png").write_bytes(data)
    (source / "bad.png").write_bytes(data[:-30] + bytes(30))
    mount = mounted(source, env=env)
    for name in ("good.png", "bad.png"):
        os.stat(mount.at(name, "pixels.f32"))  # the headers are known
    flag.write_text("")
    assert open_errno(mount.at("good.png", "pixels.f32")) == errno.EIO and open_errno(mount.at("bad.png", "pixels.f32")) == errno.EIO
    answers_again(flag, mount)
    assert wait_for(lambda: open_errno(mount.at("good.png", "pixels.f32")) is None)
    assert read_range(mount.at("good.png", "pixels.f32"), 0, 5000) == pixels[:5000]
    assert open_errno(mount.at("bad.png", "pixels.f32")) == errno.EIO, "damage stays"


def test_a_disk_that_does_not_answer_holds_up_nobody_else(source, mounted, failing_disk, tmp_path):
    """Readers of what is on it wait, and can be killed; names, sizes and what is decoded go on; afterwards all is as it was."""
    env, flag = failing_disk
    made = images()
    for name, (data, _) in made.items():
        (source / name).write_bytes(data)
    for number in range(16):
        (source / f"{number}.png").write_bytes(made["a.png"][0])
    mount = mounted(source, env=env)
    known = mount.at("a.png", "pixels.f32")
    assert read_all(known) == made["a.png"][1]
    os.stat(mount.at("a.exr", "pixels.f32"))
    hang = tmp_path / (flag.name + ".hang")
    hang.write_text("")
    waiting = [subprocess.Popen(["cat", mount.at(name, "pixels.f32")], stdout=subprocess.DEVNULL) for name in ["a.exr"] + [f"{n}.png" for n in range(16)]]
    time.sleep(0.3)
    began = time.monotonic()
    assert len(os.listdir(mount.path)) == 19
    assert os.stat(mount.at("a.exr", "pixels.f32")).st_size == len(made["a.exr"][1])
    assert read_all(known) == made["a.png"][1] and read_all(mount.at("a.png", "views", "rgb,u16.u16"))[:100]
    assert mount.stats()["opens"] >= 2
    assert time.monotonic() - began < 2
    assert all(reader.poll() is None for reader in waiting), "they wait"
    for reader in waiting[:8]:
        reader.kill()
    hang.unlink()
    for reader in waiting[8:]:
        assert reader.wait(20) == 0
    for reader in waiting[:8]:
        reader.wait(20)
    assert read_all(mount.at("a.exr", "pixels.f32")) == made["a.exr"][1]
    assert not mount.errors()


TOUCH = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    mapped[:1]
    print("mapped", flush=True)
    sys.stdin.readline()
    sys.stdout.buffer.write(mapped[int(sys.argv[2]) :])
"""


def test_what_is_mapped_while_the_disk_fails_or_hangs(source, mounted, failing_disk):
    """SIGBUS is the only way to tell who touches a page; who waits can be killed or gets the bytes; the next one reads them."""
    env, flag = failing_disk
    width, height = 2000, 1000  # 24 MB, of which the end is neither decoded nor read ahead
    part = simple(["R", "G", "B"], HALF, width=width, height=height, compression=ZIP, seed=2)
    (source / "a.exr").write_bytes(make_exr.exr(part))
    pixels = make_exr.stack(part.channels, ["R", "G", "B"]).tobytes()
    mount = mounted(source, env=env)
    path, at = mount.at("a.exr", "pixels.f32"), len(pixels) - 9000

    def mapping():
        reader = subprocess.Popen([sys.executable, "-c", TOUCH, path, str(at)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert reader.stdout.readline() == b"mapped\n"
        return reader

    def go_on(reader):
        reader.stdin.write(b"\n")
        reader.stdin.flush()
    failed, killed, waits, later = (mapping() for _ in range(4))
    flag.write_text("")
    go_on(failed)
    assert failed.wait(20) == -signal.SIGBUS
    answers_again(flag, mount)
    hang = flag.with_name(flag.name + ".hang")
    hang.write_text("")
    for reader in (killed, waits):
        go_on(reader)
    time.sleep(0.3)
    assert killed.poll() is None and waits.poll() is None, "they wait"
    killed.kill()
    hang.unlink()
    killed.wait(20)
    go_on(later)
    for reader in (waits, later):
        assert reader.communicate(timeout=20)[0] == pixels[at:] and reader.returncode == 0
    for reader in (failed, killed):
        reader.communicate()


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer needs address space of its own")
@pytest.mark.parametrize("more_kib", [0, 300, 2000, 8000])
def test_a_daemon_that_gets_no_more_memory(source, mounted, more_kib):
    """ENOMEM, or the true bytes; and when there is memory again all is read: nothing of it was remembered as damage."""
    made = images()
    for number in range(4):
        for name, (data, _) in made.items():
            (source / f"{number}{name}").write_bytes(data)
        (source / f"{number}.zip").write_bytes(zip_of(*(Entry(name.encode(), data, DEFLATE) for name, (data, _) in made.items())))
    large = np.zeros((3000, 3000, 3), np.uint16)  # 51 MiB of samples: more than the address space that is mapped ahead
    (source / "large.png").write_bytes(make_png.png(large, make_png.RGB, 16))
    mount = mounted(source)
    assert read_all(mount.at("0a.png", "pixels.f32")) == made["a.png"][1]
    pid = mount.process.pid
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.prlimit(pid, resource.RLIMIT_AS, (now + (more_kib << 10), resource.RLIM_INFINITY))
    codes = set()
    for number in range(4):
        for name, (_, pixels) in made.items():
            for place in ((f"{number}{name}",), (f"{number}.zip", name)):
                try:
                    got = read_all(mount.at(*place, "pixels.f32"))
                    assert pixels is None or got == pixels, place
                except OSError as error:
                    codes.add(error.errno)
        errno_of(os.listdir, mount.at(f"{number}.zip"))
    assert codes <= {errno.ENOMEM}, [errno.errorcode[code] for code in codes]
    assert errno_of(read_all, mount.at("large.png", "pixels.f32")) == errno.ENOMEM
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    assert read_all(mount.at("large.png", "pixels.f32")) == bytes(large.size * 4)
    for number in range(4):
        for name, (_, pixels) in made.items():
            for place in ((f"{number}{name}",), (f"{number}.zip", name)):
                assert read_all(mount.at(*place, "pixels.f32")) == (pixels or read_all(mount.at("3a.jpg", "pixels.f32"))), place


def test_a_log_on_a_full_disk_is_no_reason_to_stop(source, mounted):
    data, pixels = images()["a.png"]
    (source / "good.png").write_bytes(data)
    (source / "bad.png").write_bytes(data[:-3000])
    mount = mounted(source, "log=/dev/full")
    for _ in range(3):
        assert open_errno(mount.at("bad.png", "pixels.f32")) == errno.EIO
    assert read_all(mount.at("good.png", "pixels.f32")) == pixels and mount.errors()
