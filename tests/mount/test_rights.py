"""What others may see where allow_other lets them in: of files the kernel judges by their modes; of what tells of many files at once
the mount does, at each open, by user, group, supplementary groups and the directories on the way."""
import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

import make_png
from make_zip import Entry, zip_of
from pixmount import open_errno, wait_for

NOBODY, TEAM = 65534, 4242
IMAGE = make_png.png(np.full((4, 4, 3), 9, np.uint8), make_png.RGB, 8)
FORMS = ["pixels.npy", "pixels.f32", "rgb,size=2x2,u8.npy", "pixels.json", "pixels.jsonl", "pixels.zarr/zarr.json"]
STRANGER = ("--regid=65534", "--clear-groups")
MEMBER = ("--regid=65534", f"--groups={TEAM}")
TEAMS = (f"--regid={TEAM}", "--clear-groups")
OPENS = """
import errno, sys
for path in sys.argv[1:]:
    try:
        with open(path, 'rb') as file:
            file.read()
        print('ok')
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def outcomes(who, paths, uid=NOBODY):
    """Of opening and reading each as another user: "ok", or the name of an errno."""
    words = ["setpriv", f"--reuid={uid}", *who, sys.executable, "-c", OPENS, *paths]
    return subprocess.run(words, capture_output=True, check=True, cwd="/", text=True).stdout.split()


@pytest.fixture
def source():
    """A folder for everybody: its directories are open, mixed (a file of the team's), closed below, with archives, and without names."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    folder = tempfile.mkdtemp(prefix="pixfs-rights.")
    os.chmod(folder, 0o755)

    def put(name, mode, data=IMAGE):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.chown(path, 0, TEAM)
        os.chmod(path, mode)
    for name in ("open/a.png", "open/b.png", "mixed/a.png", "closed/a.png", "closed/sub/b.png", "nameless/a.png"):
        put(name, 0o644)
    put("mixed/b.png", 0o640)
    put("zips/open.zip", 0o644, zip_of(Entry(b"in.png", IMAGE)))
    put("zips/team.zip", 0o640, zip_of(Entry(b"in.png", IMAGE), Entry(b"d/in.png", IMAGE)))
    for name, mode in (("closed/sub", 0o700), ("nameless", 0o711)):
        os.chmod(os.path.join(folder, name), mode)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shared(source, mounted):
    def start(options=""):
        mount = mounted(source, "allow_other" + options)
        folder = mount.path
        while folder != "/":  # pytest's folders are closed to others
            if not os.stat(folder).st_mode & 0o001:
                os.chmod(folder, os.stat(folder).st_mode | 0o011)
            folder = os.path.dirname(folder)
        return mount
    return start


def stacks(mount, folder, prefix=""):
    return [mount.at(folder, ".pixfs", "stack", prefix + form) for form in FORMS]


@pytest.mark.parametrize("options", ["", ",nopassthrough", ",immutable", ",default_permissions"])
def test_a_stack_opens_to_whom_all_its_files_do(shared, options):
    mount = shared(options)
    for _ in range(2):  # known, it is judged again
        for who, team in ((STRANGER, False), (MEMBER, True), (TEAMS, True)):
            expected = {("open", ""): True, ("open", "recursive,"): True, ("mixed", ""): team, ("closed", ""): True,
                        ("closed", "recursive,"): False, ("zips", "recursive,"): team, ("zips/open.zip", ""): True, ("", "recursive,"): False}
            expected[("nameless", "")] = False  # a list tells names
            got = outcomes(who, [path for folder, prefix in expected for path in stacks(mount, folder, prefix)])
            for n, ((folder, prefix), may) in enumerate(expected.items()):
                assert got[n * len(FORMS):(n + 1) * len(FORMS)] == ["ok" if may else "EACCES"] * len(FORMS), (who, folder, prefix, got)
        for folder in ("mixed", "closed", "zips", "nameless"):
            assert [open_errno(path) for path in stacks(mount, folder, "recursive,")] == [None] * len(FORMS), "root"


def test_rows_of_a_zarr_array_open_one_by_one(shared):
    mount = shared()
    folder = mount.at("mixed", ".pixfs", "stack", "pixels.zarr")
    chunks = sorted(name for name in os.listdir(folder) if name != "zarr.json")
    paths = [os.path.join(folder, name) for name in chunks]
    assert len(paths) == 2 and outcomes(STRANGER, paths) == ["ok", "EACCES"] and outcomes(MEMBER, paths) == ["ok", "ok"]


@pytest.mark.parametrize("name", ["open/b.png", "open", "zips/open.zip"])
def test_rights_are_those_of_now(shared, source, name):
    mount = shared()
    folder = "zips" if "zip" in name else "open"
    path = mount.at(folder, ".pixfs", "stack", "recursive,pixels.npy")
    who = MEMBER if folder == "zips" else STRANGER
    assert outcomes(who, [path]) == ["ok"]
    before = os.stat(os.path.join(source, name)).st_mode
    os.chmod(os.path.join(source, name), 0o700)
    assert wait_for(lambda: outcomes(who, [path]) == ["EACCES"])
    os.chmod(os.path.join(source, name), before)
    assert wait_for(lambda: outcomes(who, [path]) == ["ok"])


def test_an_owner_is_judged_by_the_owners_bits(shared, source):
    os.chown(os.path.join(source, "mixed", "b.png"), NOBODY, TEAM)
    os.chmod(os.path.join(source, "mixed", "b.png"), 0o044)
    assert set(outcomes(MEMBER, stacks(shared(), "mixed"))) == {"EACCES"}


def test_the_files_of_an_image_have_its_modes(shared, source):
    mount = shared()
    for name in ("pixels.npy", "pixels.f32", "meta.json", "source.png", "views/gray.npy"):
        for image, mode in (("open/a.png", 0o444), ("mixed/b.png", 0o440)):
            assert stat.S_IMODE(os.stat(mount.at(image, name)).st_mode) == mode
    assert stat.S_IMODE(os.stat(mount.at("zips", "team.zip")).st_mode) == 0o550
    assert stat.S_IMODE(os.stat(mount.at("zips", "team.zip", "in.png", "pixels.npy")).st_mode) == 0o440
    os.chmod(os.path.join(source, "open", "a.png"), 0o600)
    assert wait_for(lambda: stat.S_IMODE(os.stat(mount.at("open", "a.png", "pixels.npy")).st_mode) == 0o400)
    time.sleep(1.1)
    assert outcomes(STRANGER, [mount.at("open", "a.png", "pixels.npy")]) == ["EACCES"]


def test_status_files_that_tell_paths_are_the_mounts_own_users(shared, source, mounted):
    os.chown(source, NOBODY, NOBODY)
    mount, alone = shared(), mounted(source)
    for name, mode in (("errors.jsonl", 0o400), ("config.json", 0o400), ("prefetch", 0o200)):
        info = os.stat(mount.at(".pixfs", name))
        assert (stat.S_IMODE(info.st_mode), info.st_uid) == (mode, 0)
        assert outcomes(STRANGER, [mount.at(".pixfs", name)]) == ["EACCES"]
        assert stat.S_IMODE(os.stat(alone.at(".pixfs", name)).st_mode) == (0o222 if name == "prefetch" else 0o444)
    assert outcomes(STRANGER, [mount.at(".pixfs", "stats.json"), mount.at(".pixfs", "metrics")]) == ["ok", "ok"]
    assert open_errno(mount.at(".pixfs", "errors.jsonl")) is None
    assert errno.errorcode[open_errno(mount.at(".pixfs", "prefetch"))] == "EACCES"
