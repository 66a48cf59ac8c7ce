"""Mounts that end whatever happens, and what the kernel tells of their daemon."""
import json
import os
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("PIXFS_BIN", os.path.join(ROOT, "build", "pixfs")))
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.split()[4].replace("\\040", " ") == path for line in table)


class Mount:
    """A FUSE server in the foreground at a new directory. Use with `with`."""

    def __init__(self, command, seconds=60, log=None):
        """command: words, in which MNT stands for the mountpoint."""
        self.folder = tempfile.mkdtemp(prefix="pixfs-bench-mnt.")
        self.path = os.path.realpath(os.path.join(self.folder, "mnt"))
        self.command = [self.path if word == "MNT" else word for word in command]
        self.seconds, self.process = seconds, None
        self.log_path = log or os.path.join(self.folder, "log")

    def __enter__(self):
        os.makedirs(self.path)
        try:
            with open(self.log_path, "wb") as log:
                # a session of its own: Ctrl-C is for this process, which then ends the mount
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self):
        end = time.monotonic() + self.seconds
        while not is_mounted(self.path):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log_path, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"{self.command[0]} didn't mount: {log.read()[-2000:]}")
            time.sleep(0.002)
        os.statvfs(self.path)  # returns when it answers

    def __exit__(self, *_):
        if is_mounted(self.path) and subprocess.run(["fusermount3", "-u", self.path], **QUIET).returncode:
            subprocess.run(["fusermount3", "-u", "-z", self.path], **QUIET)
        if self.process:
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def at(self, *names):
        return os.path.join(self.path, *names)

    def json(self, *names):
        with open(self.at(*names), "rb") as file:
            return json.loads(file.read())

    def stats(self):
        return self.json(".pixfs", "stats.json")

    def memory(self, what="VmRSS"):
        """Bytes: VmRSS what is resident now, VmHWM the most there ever was."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith(what + ":"):
                    return int(line.split()[1]) * 1024
        raise KeyError(what)


def pixfs(source, options="", **more):
    return Mount([BIN, str(source), "MNT", "-f"] + (["-o", options] if options else []), **more)


def fuse_zip(archive):
    return Mount(["fuse-zip", "-f", "-r", str(archive), "MNT"])


def requests_of(source, action, server=None):
    """opcode -> number: the FUSE requests that action(path of the mount) makes of a server (pixfs), from libfuse's debug output.
    action is called a first time before the counting where it says `warm = True`."""
    command = (server or [BIN, str(source), "MNT", "-f"]) + ["-d"]
    with tempfile.TemporaryDirectory(prefix="pixfs-bench-log.") as folder:
        log_path = os.path.join(folder, "log")
        with Mount(command, log=log_path) as mount:
            if getattr(action, "warm", False):
                action(mount.path)
                time.sleep(0.2)  # the last release is asynchronous
            start = os.path.getsize(log_path)
            action(mount.path)
            time.sleep(0.2)
            end = os.path.getsize(log_path)
        counts = {}
        with open(log_path, "rb") as log:
            log.seek(start)
            for line in log.read(end - start).splitlines():
                if line.startswith(b"unique: ") and b"opcode: " in line:
                    opcode = line.split(b"opcode: ")[1].split()[0].decode()
                    counts[opcode] = counts.get(opcode, 0) + 1
    return counts
