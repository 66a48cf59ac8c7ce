"""One reader in this process, or several reader processes that are started once and wait for jobs."""
import json
import os
import subprocess
import sys

from . import worker


class Readers:
    """run(job) reads all of a job, divided among n readers. Use with `with`."""

    def __init__(self, n):
        self.n, self.processes = n, []

    def __enter__(self):
        if self.n > 1:
            environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
            for _ in range(self.n):
                self.processes.append(subprocess.Popen([sys.executable, "-B", "-m", "benchmark.worker"], stdin=subprocess.PIPE, env=environment,
                                                       stdout=subprocess.PIPE, text=True, start_new_session=True))
            for process in self.processes:
                if process.stdout.readline() != "ready\n":
                    self.__exit__()
                    raise RuntimeError("a reader process didn't start")
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def run(self, job):
        if self.n == 1:
            worker.read_all({**job, "first": 0, "step": 1})
            return
        for k, process in enumerate(self.processes):
            process.stdin.write(json.dumps({**job, "first": k, "step": self.n}) + "\n")
            process.stdin.flush()
        for process in self.processes:
            if process.stdout.readline() != "done\n":
                raise RuntimeError("a reader process failed")
