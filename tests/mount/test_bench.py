"""The benchmark runs and says what it should: on tiny inputs, for its form and not for figures."""
import json
import os
import subprocess

import pytest

from pixmount import BIN, ROOT

pytestmark = pytest.mark.skipif("release" not in os.path.realpath(BIN), reason="the benchmark measures the release build")


def bench(*arguments, temporary="/tmp"):
    return subprocess.run([os.path.join(ROOT, "scripts", "bench"), *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT,
                          env={**os.environ, "TMPDIR": str(temporary)}, check=False)


def mounts_below(folder):
    with open("/proc/self/mounts", encoding="utf-8") as table:
        return [line.split()[1] for line in table if line.split()[1].startswith(os.path.realpath(folder))]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few cheap rows: the finished process and its JSON."""
    folder = tmp_path_factory.mktemp("bench")
    done = bench("png8", "jpeg-10mp", "exr-zip", "photos-native", "warm", "--tiny", "--repetitions", "1", "--json", str(folder / "out.json"), temporary=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not mounts_below(folder)
    assert os.listdir(folder / "pixfs-bench") and not [name for name in os.listdir(folder) if name.startswith("pixfs-bench-")]
    with open(folder / "out.json", encoding="utf-8") as file:
        return done, json.load(file)


def test_json_has_every_row_with_its_figures(run):
    rows = {row["name"]: row for row in run[1]["rows"]}
    assert {"png8", "jpeg-10mp", "exr-zip", "photos-native", "photos-native-again", "stat-requests", "open-requests", "stat", "open"} == set(rows)
    for row in rows.values():
        assert row["sides"]["pixfs"]["min"] <= row["sides"]["pixfs"]["median"] <= row["sides"]["pixfs"]["max"]
    assert {"Pillow", "OpenCV", "OpenImageIO"} <= set(rows["png8"]["sides"])


def test_ratio_is_to_the_fastest_peer_and_says_whether_the_target_is_met(run):
    row = next(row for row in run[1]["rows"] if row["name"] == "png8")
    fastest = min((side["median"], name) for name, side in row["sides"].items() if name != "pixfs")
    assert row["fastest_peer"] == fastest[1]
    assert row["ratio"] == pytest.approx(row["sides"]["pixfs"]["median"] / fastest[0])
    assert row["met"] == (row["ratio"] <= 0.8)


def test_decoders_agree_with_the_mount(run):
    """Nothing but the last bit of those that multiply by 1/n."""
    for row in run[1]["rows"]:
        for note in row["notes"]:
            assert "another shape" not in note
            assert "different" not in note or "its last bit" in note


def test_table_is_markdown_and_tells_what_is_slower(run):
    lines = [line for line in run[0].stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(run[1]["rows"])
    assert len({line.count("|") for line in lines}) == 1
    assert "Slower than the fastest peer:" in run[0].stdout


def test_warm_requests_are_what_fuse_needs(run):
    rows = {row["name"]: row for row in run[1]["rows"]}
    assert rows["stat-requests"]["value"] == 0
    assert rows["open-requests"]["value"] == 1


def test_unknown_row_is_refused():
    done = bench("no-such-row")
    assert done.returncode != 0 and "no-such-row" in done.stderr


def test_kernels_are_vectorised():
    done = bench("--check-vector")
    assert done.returncode == 0, done.stdout
