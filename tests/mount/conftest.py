"""Fixtures of all mount tests: the files, a mount of them, a way to make more, and a limit of time for each test."""
import os
import signal
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import fixtures  # noqa: E402
import pixmount  # noqa: E402
from pixmount import Mount  # noqa: E402

TEST_SECONDS = int(os.environ.get("PIXFS_TEST_SECONDS", "180"))


@pytest.fixture(autouse=True)
def limit_of_time(request, tmp_path):
    """A request to a daemon that hangs can't be interrupted, only killed: so a process outside kills the tests' daemons.
    Where that doesn't end the test it ends the run. Afterwards nothing may stay mounted below the test's folder."""
    seconds = getattr(request.function, "seconds", TEST_SECONDS)
    Mount.tell_running()
    words = f"""sleep {seconds}; echo 'over {seconds} seconds: {request.node.name}' >&2; kill -9 $(cat {pixmount.PIDS_FILE})
        sleep 60; kill {os.getpid()}; sleep 30; kill -9 {os.getpid()}"""
    watchdog = subprocess.Popen(["sh", "-c", words], start_new_session=True, stdin=subprocess.DEVNULL)
    yield
    os.killpg(watchdog.pid, signal.SIGKILL)
    watchdog.wait()
    pixmount.unmount_below(tmp_path)


@pytest.fixture(scope="session")
def fixture_dir(tmp_path_factory):
    """All files of fixtures.py; read-only for the tests."""
    folder = tmp_path_factory.mktemp("fixtures")
    fixtures.write_all(str(folder))
    return folder


@pytest.fixture(scope="session")
def fixture_mount(fixture_dir, tmp_path_factory):
    """One mount of them for all tests that only look. The cleanliness of its end is checked like a test's."""
    mount = Mount(fixture_dir, tmp_path_factory.mktemp("mount"))
    with mount:
        yield mount
    mount.assert_clean()


@pytest.fixture
def mounted(tmp_path):
    """mounted(source, options="", **environment) -> Mount, as many as wanted; each ends with the test and must end clean."""
    mounts = []

    def start(source, options="", **more):
        folder = tmp_path / f"mount{len(mounts)}"
        folder.mkdir()
        mount = Mount(source, folder, options, **more)
        mounts.append(mount)
        mount.start()
        return mount

    yield start
    for mount in mounts:
        mount.stop()
    for mount in mounts:
        mount.assert_clean()


@pytest.fixture
def source(tmp_path):
    """An empty folder for a source tree."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def pytest_configure():
    """A run that is ended from outside ends as by Ctrl-C: with its mounts. Processes forked from it end at once: Python's
    own handling of a signal that comes just before a wait begins only when the wait ends, and a pool's workers wait forever."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


SUMMARY = []


@pytest.fixture(scope="session")
def summary():
    """summary(words): a line that is shown at the end of the run, whether or not the test passes."""
    return SUMMARY.append


def pytest_terminal_summary(terminalreporter):
    for line in SUMMARY:
        terminalreporter.write_line(line)
