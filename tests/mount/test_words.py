"""What can't be made says why: views and stacks that are EINVAL have words in errors.jsonl and in their .json."""
import errno
import os

import numpy as np
import pytest

from case import pattern
from make_png import RGB, png
from pixmount import errno_of


@pytest.fixture
def mount(source, mounted):
    for i, (height, width) in enumerate([(20, 30), (20, 30), (25, 18)]):
        (source / f"{i}.png").write_bytes(png(pattern(height, width, 3, 8, i), RGB, 8))
    return mounted(source)


def told(mount, stage):
    return [(e["path"], e["errno"], e["message"]) for e in mount.errors() if e["stage"] == stage]


@pytest.mark.parametrize("spec, code, words", [
    ("linear", "EINVAL", "transfer curve"), ("crop=90:0:4:4", "EINVAL", "nothing of the 30 x 20 pixels"), ("rot=45", "EINVAL", "0, 90, 180"),
    ("native,size=3x3", "EINVAL", "filter=nearest"), ("native,u8", "EINVAL", "native"), ("size=999999x999999", "EFBIG", "2^31"),
    ("ch=Q", "EINVAL", "Q")])
def test_a_view_that_cant_be_says_why(mount, spec, code, words):
    number = getattr(errno, code)
    for _ in range(5):
        assert errno_of(os.stat, mount.at("0.png", "views", spec + ".npy")) == number
    assert errno_of(open, mount.at("0.png", "views", spec + ".npy")) == number
    (path, name, message), = told(mount, "view")
    assert (path, name) == (f"0.png/views/{spec}.npy", code) and words in message
    why = mount.json("0.png", "views", spec + ".json")
    assert why["spec"] == spec and why["error"] == {"errno": code, "message": message}
    assert os.stat(mount.at("0.png", "views", spec + ".json")).st_size == len(mount.bytes("0.png", "views", spec + ".json"))
    assert len(told(mount, "view")) == 1


def test_what_doesnt_exist_has_no_words(mount):
    for name in ("frobnicate.json", "frobnicate.npy", "rgb.nothing"):
        assert errno_of(os.stat, mount.at("0.png", "views", name)) == errno.ENOENT
    assert mount.errors() == []


def test_many_look_ups_leave_other_errors_in_the_ring(mount, source):
    (source / "bad.png").write_bytes(png(pattern(4, 4, 3, 8, 1), RGB, 8)[:20])
    assert errno_of(os.stat, mount.at("bad.png", "pixels.npy")) == errno.EIO
    for _ in range(1100):
        assert errno_of(os.stat, mount.at("0.png", "views", "rot=1.npy")) == errno.EINVAL
    assert [e["path"] for e in mount.errors()] == ["bad.png", "0.png/views/rot=1.npy"]


def test_a_stack_that_cant_be_says_why(mount):
    assert errno_of(os.stat, mount.at(".pixfs", "stack", "linear.npy")) == errno.EINVAL
    (path, name, message), = told(mount, "view")
    assert (path, name) == (".pixfs/stack/linear.npy", "EINVAL") and message.startswith("0.png: linear: ")
    why = mount.json(".pixfs", "stack", "linear.json")
    assert why["error"] == {"errno": "EINVAL", "message": message} and "shape" not in why
    assert errno_of(os.stat, mount.at(".pixfs", "stack", "linear.npy")) == errno.EINVAL and len(told(mount, "view")) == 1


@pytest.mark.parametrize("spec, words", [("pixels", "2.png has shape (25, 18, 3)"), ("crop=20:0:4:4", "2.png: crop=20:0:4:4: nothing of the 18 x 25")])
def test_a_stack_whose_members_differ_says_so_in_its_json(mount, spec, words):
    why = mount.json(".pixfs", "stack", spec + ".json")
    assert why["error"]["errno"] == "EINVAL" and words in why["error"]["message"]
    assert errno_of(open, mount.at(".pixfs", "stack", spec + ".npy")) == errno.EINVAL
    assert [(path, message) for path, _, message in told(mount, "stack")] == [(f".pixfs/stack/{spec}.npy", why["error"]["message"])]
    assert np.load(mount.at(".pixfs", "stack", "size=4x4.npy")).shape == (3, 4, 4, 3)
    assert "error" not in mount.json(".pixfs", "stack", "size=4x4.json")
