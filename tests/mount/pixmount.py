"""pixmount.py - a mount in the foreground, ended whatever happens, and small helpers that read from one."""
import glob
import json
import os
import signal
import subprocess
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("PIXFS_BIN", os.path.join(ROOT, "build", "pixfs")))
PIDS_FILE = os.path.join(tempfile.gettempdir(), f"pixfs-test-{os.getpid()}.pids")
SLOW = int(os.environ.get("PIXFS_SLOW", "1"))  # sanitizers: limits of time times this
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:", "Sanitizer:DEADLYSIGNAL")


def sanitizer_environment(log):
    """Reports go to files of their own, so that none is lost in the daemon's log."""
    env = dict(os.environ)
    for name, extra in (("ASAN_OPTIONS", "detect_leaks=1"), ("UBSAN_OPTIONS", "print_stacktrace=1"), ("TSAN_OPTIONS", "halt_on_error=0")):
        env[name] = ":".join(filter(None, [env.get(name), extra, f"log_path={log}"]))
    return env


def is_mounted(path):
    """Whether something of type fuse, dead or alive, is mounted at exactly this path, by the kernel's own list."""
    wanted = os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split()
            if fields[4].replace("\\040", " ") == wanted and "fuse" in fields[fields.index("-") + 1]:
                return True
    return False


def answers(path):
    """Whether a living daemon is mounted here: statfs is never answered from what the kernel remembers of a dead one. In this
    order: a dead mount that is cleaned up between the two questions leaves a folder that answers."""
    return errno_of(os.statvfs, path) is None and is_mounted(path)


def unmount_below(folder):
    """Lazily, whatever of type fuse is still mounted there: what a failed test may leave."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as table:
        places = [line.split()[1].replace("\\040", " ") for line in table if line.split()[2].startswith("fuse")]
    for place in places:
        if place.startswith(os.path.realpath(folder) + "/"):
            subprocess.run(["fusermount3", "-u", "-z", place], check=False, stderr=subprocess.DEVNULL)


class Mount:
    """pixfs -f SOURCE MNT. Use with `with`, or start() and stop(); assert_clean() afterwards."""

    running = set()  # process ids, also in PIDS_FILE for the watchdog of conftest.py

    @staticmethod
    def tell_running():
        if Mount.running:
            with open(PIDS_FILE, "w", encoding="utf-8") as pids:
                pids.write("".join(f"{pid}\n" for pid in Mount.running))
        elif os.path.exists(PIDS_FILE):
            os.unlink(PIDS_FILE)

    def __init__(self, source, folder, options="", env=None, seconds=10):
        self.source, self.folder, self.options, self.seconds = str(source), str(folder), options, seconds * SLOW
        self.path = os.path.join(self.folder, "mnt")
        self.log_path = os.path.join(self.folder, "log")
        self.reports = os.path.join(self.folder, "sanitizer")
        self.env = {**sanitizer_environment(self.reports), **(env or {})}
        self.process = None
        self.killed = False

    def start(self):
        if not is_mounted(self.path):
            os.makedirs(self.path, exist_ok=True)
        command = [BIN, self.source, self.path, "-f"] + (["-o", self.options] if self.options else [])
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stdout=self.log_file, stderr=self.log_file, stdin=subprocess.DEVNULL, env=self.env, cwd=self.folder)
        Mount.running.add(self.process.pid)
        Mount.tell_running()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_until_it_answers(self):
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"pixfs ended with {self.process.returncode}: {self.log()}")
            if answers(self.path):
                return
            time.sleep(0.005)
        raise RuntimeError(f"pixfs didn't mount in {self.seconds} s: {self.log()}")

    def unmount(self):
        """As a user does; lazily where something is still open."""
        if is_mounted(self.path):
            quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if subprocess.run(["fusermount3", "-u", self.path], **quiet).returncode:
                subprocess.run(["fusermount3", "-u", "-z", self.path], **quiet)

    def stop(self):
        if self.process is None:
            return
        self.unmount()
        try:
            self.process.wait(self.seconds)
        except subprocess.TimeoutExpired:
            self.killed = True
            self.process.kill()
            self.process.wait()
        Mount.running.discard(self.process.pid)
        Mount.tell_running()
        self.unmount()
        self.log_file.close()

    def assert_clean(self, codes=(0,)):
        if self.process is None:
            return  # it never ran, which start() told
        reports = []
        for name in glob.glob(self.reports + ".*"):
            with open(name, encoding="utf-8", errors="replace") as file:
                reports.append(file.read())
        reports += [self.log() for words in SANITIZER_WORDS if words in self.log()]
        assert not reports, "\n".join(reports)[:20000]
        assert not self.killed, f"didn't end {self.seconds} s after its unmount: {self.log()}"
        assert self.process.returncode in codes, f"exit code {self.process.returncode}: {self.log()}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def at(self, *names):
        return os.path.join(self.path, *names)

    def bytes(self, *names):
        with open(self.at(*names), "rb") as file:
            return file.read()

    def json(self, *names):
        return json.loads(self.bytes(*names).decode("utf-8"))

    def pixels(self, *names):
        """pixels.f32 of an image directory, in the shape that its meta.json tells."""
        return array_of(self.at(*names))

    def stats(self):
        return self.json(".pixfs", "stats.json")

    def errors(self):
        """The lines of errors.jsonl."""
        return [json.loads(line) for line in self.bytes(".pixfs", "errors.jsonl").decode().splitlines()]


def array_of(image_dir, name="pixels.f32"):
    with open(os.path.join(image_dir, "meta.json"), "rb") as file:
        shape = json.loads(file.read())["shape"]
    return np.fromfile(os.path.join(image_dir, name), "<f4").reshape(shape)


def errno_of(action, *arguments):
    """The errno that a call fails with, None where it succeeds."""
    try:
        action(*arguments)
    except OSError as error:
        return error.errno
    return None


def open_errno(path):
    """The errno of opening for reading, None where it succeeds."""
    return errno_of(lambda: os.close(os.open(path, os.O_RDONLY)))


def read_all(path):
    """Opens and reads with plain system calls: bytes come back only if every read succeeded."""
    fd = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while True:
            part = os.read(fd, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(fd)


def read_range(path, offset, length):
    """pread without read-ahead, so that only the pages of this range are asked for."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        return os.pread(fd, length, offset)
    finally:
        os.close(fd)


def wait_for(condition, seconds=10, step=0.02):
    """Polls until condition() is true; its last value."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def end_process(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def dig(data, dotted):
    """dig({"a": {"b": 1}}, "a.b") -> 1"""
    for key in dotted.split("."):
        data = data[key]
    return data
