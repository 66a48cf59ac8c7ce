"""The programs that people use, on the mount as on any read-only tree; and sixteen of them at once."""
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import tarfile

import numpy as np
import pytest

import fixtures
import make_exr_cases
from pixmount import read_all


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The small dataset, a zip of it, and some EXR."""
    folder = tmp_path_factory.mktemp("clients")
    files = fixtures.small_tree()
    exr = {case.name: case.data for case in make_exr_cases.make_all()}
    files.update({f"renders/{name}": exr[name] for name in ("passes.exr", "mip_down.exr", "parts.exr", "zip_half.exr")})
    fixtures.write_files(folder, files)
    fixtures.archive_of(files, folder / "data.zip")
    return folder


@pytest.fixture
def mount(tree, mounted):
    return mounted(tree)


def run(*command, cwd=None, ok=(0,)):
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, cwd=cwd)
    assert done.returncode in ok, (command, done.returncode, done.stderr.decode("utf-8", "replace")[:2000])
    assert not done.stderr, done.stderr.decode("utf-8", "replace")[:2000]
    return done.stdout


def sums(top):
    """relative path -> (size, sha256) of all regular files, not following links."""
    out = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                data = read_all(path)
                out[os.path.relpath(path, top)] = (len(data), hashlib.sha256(data).hexdigest())
    return out


def test_cat(mount):
    path = mount.at("renders", "zip_half.exr", "pixels.f32")
    assert run("cat", path) == read_all(path)


def test_sha256sum_and_stat_sizes(mount):
    for name, (size, digest) in sums(mount.at("train")).items():
        path = mount.at("train", name)
        assert run("sha256sum", path).split()[0].lstrip(b"\\") == digest.encode() and os.stat(path).st_size == size


def test_dd_and_tail_from_the_middle(mount):
    path = mount.at("data.zip", "renders", "passes.exr", "pixels.npy")
    data = read_all(path)
    assert run("dd", f"if={path}", "bs=1", "skip=1000", "count=777", "status=none") == data[1000:1777]
    assert run("dd", f"if={path}", "bs=4096", "iflag=direct", "status=none") == data
    assert run("tail", "-c", "100", path) == data[-100:]


def test_od_shows_the_floats(mount):
    path = mount.at("train", "cat", "0000.png", "pixels.f32")
    shown = run("od", "-An", "-v", "-tf4", "-w4", path).split()
    assert np.array_equal(np.array(shown, np.float32), np.fromfile(path, "<f4"))


def test_find_counts_what_a_walk_finds(mount):
    listed = run("find", ".", "-type", "f", cwd=mount.path).decode().splitlines()
    assert sorted(os.path.normpath(name) for name in listed) == sorted(sums(mount.path))
    sizes = {os.path.normpath(line.split(" ", 1)[1]): int(line.split(" ", 1)[0]) for line in run("find", ".", "-type", "f", "-printf", "%s %p\\n", cwd=mount.path).decode().splitlines()}
    assert sizes == {name: size for name, (size, _) in sums(mount.path).items()}


def test_ls_lr(mount):
    out = run("ls", "-lR", mount.path).decode()
    assert out.count("pixels.f32") == out.count("pixels.npy") >= 17 * 2
    assert "?" not in "".join(line for line in out.splitlines() if line.startswith(("-", "d", "l")))


def test_du_counts_apparent_sizes(mount):
    apparent = int(run("du", "-s", "--apparent-size", "-B1", mount.at("train")).split()[0])
    assert apparent >= sum(size for size, _ in sums(mount.at("train")).values())
    blocks = int(run("du", "-s", "-B512", mount.at("train", "cat", "0000.png")).split()[0])
    assert blocks >= sum(-(-size // 512) for size, _ in sums(mount.at("train", "cat", "0000.png")).values())


def test_cp_r_makes_the_same_tree(mount, tmp_path):
    run("cp", "-r", mount.path, tmp_path / "copy")
    assert sums(tmp_path / "copy") == sums(mount.path)


def test_tar_holds_the_same_tree(mount, tmp_path):
    run("tar", "-cf", tmp_path / "a.tar", "-C", mount.path, ".")
    with tarfile.open(tmp_path / "a.tar") as archive:
        held = {os.path.normpath(m.name): hashlib.sha256(archive.extractfile(m).read()).hexdigest() for m in archive if m.isfile()}
    assert held == {name: digest for name, (_, digest) in sums(mount.path).items()}


def test_rsync_a_copies_once(mount, tmp_path):
    if not shutil.which("rsync"):
        pytest.skip("needs rsync")
    run("rsync", "-a", mount.path + "/", tmp_path / "copy/")
    assert sums(tmp_path / "copy") == sums(mount.path)
    assert run("rsync", "-ai", mount.path + "/", tmp_path / "copy/") == b"", "a second run finds nothing to do"
    assert run("rsync", "-acin", mount.path + "/", tmp_path / "copy/") == b""


def test_grep_r_ends(mount):
    assert b"labels.csv" in run("grep", "-r", "-l", "0000.png,cat", mount.path)


def test_diff_r_of_the_mount_with_itself_in_the_zip(mount):
    """Except meta.json, which tells where its file lies."""
    assert run("diff", "-r", "-x", "meta.json", "-x", "data.zip", mount.path, mount.at("data.zip")) == b""


def test_numpy_reads_every_way(mount):
    folder = mount.at("renders", "zip_half.exr")
    whole = np.load(os.path.join(folder, "pixels.npy"))
    flat = np.fromfile(os.path.join(folder, "pixels.f32"), "<f4")
    assert flat.tobytes() == whole.tobytes()
    assert np.memmap(os.path.join(folder, "pixels.f32"), "<f4", "r").tobytes() == whole.tobytes()
    assert np.memmap(os.path.join(folder, "pixels.f32"), "<f4", "c").tobytes() == whole.tobytes()
    for mode in ("r", "c"):
        assert np.load(os.path.join(folder, "pixels.npy"), mmap_mode=mode).tobytes() == whole.tobytes()
    assert np.fromfile(os.path.join(folder, "pixels.npy"), "<f4", offset=128, count=7).tobytes() == whole.ravel()[:7].tobytes()


def test_image_folder_datasets_work_unchanged(mount):
    """The walk of torchvision's DatasetFolder: class = folder below the root, samples by extension."""
    def make_dataset(root, extensions):
        classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        out = []
        for label in classes:
            for folder, _, names in sorted(os.walk(os.path.join(root, label), followlinks=True)):
                out += [(os.path.join(folder, name), label) for name in sorted(names) if name.lower().endswith(extensions)]
        return out

    for root in (mount.at("train"), mount.at("data.zip", "train")):
        arrays = make_dataset(root, (".npy",))
        pictures = make_dataset(root, (".png", ".jpg", ".jpeg"))
        assert len(arrays) == len(pictures) == 13
        assert [label for _, label in arrays].count("cat") == 4
        assert all(np.load(path).ndim == 3 for path, _ in arrays)


def read_at_random(arguments):
    """In a process of its own: random ranges of several files against what one full read gave."""
    paths, digests, seed = arguments
    random = np.random.default_rng(seed)
    for number in random.permutation(len(paths)):
        with open(paths[number], "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for _ in range(6):
                offset, length = int(random.integers(0, size)), int(random.integers(1, 1 << 16))
                if os.pread(file.fileno(), length, offset) != digests[number][offset : offset + length]:
                    return f"{paths[number]} at {offset}, {length} bytes"
    return None


def test_sixteen_readers_at_once(tree, mounted):
    first, mount = mounted(tree), mounted(tree)  # the second one's cache is cold
    names = [name for name in sums(first.path) if name.endswith((".f32", ".npy", ".csv", "source.png"))]
    whole = [read_all(first.at(name)) for name in names]
    paths = [mount.at(name) for name in names]
    with multiprocessing.get_context("fork").Pool(16) as pool:
        results = pool.map(read_at_random, [(paths, whole, seed) for seed in range(16)], chunksize=1)
    assert results == [None] * 16
