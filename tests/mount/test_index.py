"""A stack's index never guesses: "ok" is null until somebody looked, true after a whole check or decode, false where damage was
found; and fill=V goes on where a member can't be decoded."""
import errno
import json
import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from case import pattern
from make_png import RGBA, png
from pixmount import errno_of, open_errno

SIDE, COUNT, CUT = 96, 6, 3


def jpeg(i):
    return cv2.imencode(".jpg", np.kron(pattern(12, 12, 3, 8, i), np.ones((8, 8, 1), np.uint8)))[1].tobytes()


@pytest.fixture
def jpegs(source):
    """JPEGs, one of them cut in half: its header is right."""
    for i in range(COUNT):
        data = jpeg(i)
        (source / f"{i}.jpg").write_bytes(data[: len(data) // 2] if i == CUT else data)
    return source


def index_of(mount, name="pixels.jsonl"):
    """The lines; the file's size is what stat says and what is read."""
    path = mount.at(".pixfs", "stack", name)
    said = os.stat(path).st_size
    with open(path, "rb") as file:
        text = file.read()
    assert len(text) == said
    return [json.loads(line) for line in text.splitlines()]


def oks(mount, name="pixels.jsonl"):
    return [line["ok"] for line in index_of(mount, name)]


def test_nobody_looked_yet_is_null_and_costs_no_decode(jpegs, mounted):
    mount = mounted(jpegs)
    assert oks(mount) == [None] * COUNT and mount.stats()["decodes"] == 0 and mount.errors() == []


def test_an_image_whose_own_open_failed_is_false_and_one_that_was_opened_is_true(jpegs, mounted):
    mount = mounted(jpegs)
    oks(mount)
    assert open_errno(mount.at(f"{CUT}.jpg", "pixels.f32")) == errno.EIO
    assert open_errno(mount.at("1.jpg", "views", "gray.npy")) is None
    assert oks(mount) == [True if i == 1 else False if i == CUT else None for i in range(COUNT)]
    assert oks(mount, "gray,u8.jsonl")[:4] == [None, True, None, False]  # of any stack over it


def test_rows_that_were_read_are_known(jpegs, mounted):
    mount = mounted(jpegs)
    size = os.stat(mount.at(".pixfs", "stack", "pixels.jsonl")).st_size
    a = np.load(mount.at(".pixfs", "stack", "pixels.npy"))
    assert np.isnan(a[CUT]).all() and not np.isnan(np.delete(a, CUT, 0)).any()
    assert oks(mount) == [i != CUT for i in range(COUNT)]
    assert os.stat(mount.at(".pixfs", "stack", "pixels.jsonl")).st_size == size
    assert [e["path"] for e in mount.errors()] == [f"{CUT}.jpg"]


def test_with_verify_full_reading_the_index_decodes(jpegs, mounted):
    mount = mounted(jpegs, "verify=full")
    assert oks(mount) == [i != CUT for i in range(COUNT)] and mount.stats()["decodes"] >= COUNT - 1


def test_with_verify_off_only_a_decode_of_all_says_true(jpegs, mounted):
    mount = mounted(jpegs, "verify=off")
    open_errno(mount.at("1.jpg", "pixels.f32"))
    assert oks(mount) == [None] * COUNT
    np.load(mount.at(".pixfs", "stack", "pixels.npy"))
    assert oks(mount) == [i != CUT for i in range(COUNT)]


def test_what_the_header_says_is_false_with_words(jpegs, mounted):
    (jpegs / "0.jpg").write_bytes(b"no image")
    mount = mounted(jpegs)
    lines = index_of(mount)
    assert lines[0]["ok"] is False and lines[0]["error"] and lines[0]["shape"] is None
    assert [line["ok"] for line in lines[1:]] == [None] * (COUNT - 1)


def test_damage_that_only_decoding_finds_turns_true_into_false(source, mounted):
    bad = bytearray(png(pattern(300, 300, 4, 8, 1), RGBA, 8))  # 360 KB: checked at open by its CRC, not decoded
    at = bad.index(b"IDAT")
    length, = struct.unpack(">I", bad[at - 4:at])
    bad[at + 4 + length // 2] ^= 0xff
    bad[at + 4 + length:at + 8 + length] = struct.pack(">I", zlib.crc32(bad[at:at + 4 + length]))
    (source / "0.png").write_bytes(bytes(bad))
    (source / "1.png").write_bytes(png(pattern(300, 300, 4, 8, 2), RGBA, 8))
    mount = mounted(source)
    with open(mount.at("0.png", "pixels.f32"), "rb"):
        pass
    assert oks(mount) == [True, None]  # the checks of an open were all right
    a = np.load(mount.at(".pixfs", "stack", "size=4x4.npy"))
    assert np.isnan(a[0]).all() and not np.isnan(a[1]).any()
    assert oks(mount, "size=4x4.jsonl") == [False, True] and oks(mount) == [False, True]


# ---- fill ----

@pytest.mark.parametrize("spec, value", [("u8,fill=0", 0), ("fill=255,u8", 255), ("u16,fill=65535", 65535), ("native,fill=7", 7),
                                         ("fill=-1.5", -1.5), ("f16,fill=0.5", 0.5), ("pixels,fill=nan", np.nan)])
def test_fill_stands_in_place_of_what_cant_be_decoded(jpegs, mounted, spec, value):
    mount = mounted(jpegs)
    a = np.load(mount.at(".pixfs", "stack", spec + ".npy"), mmap_mode="r")
    plain = ",".join(op for op in spec.split(",") if not op.startswith("fill=")) or "pixels"
    for i in range(COUNT):
        if i == CUT:
            assert np.array_equal(a[i], np.full((SIDE, SIDE, 3), value, a.dtype), equal_nan=a.dtype.kind == "f")
        else:
            assert np.array_equal(a[i], np.load(mount.at(f"{i}.jpg", "views", plain + ".npy")))
    assert oks(mount, spec + ".jsonl")[CUT] is False and "fill=" in mount.json(".pixfs", "stack", spec + ".json")["spec"]


def test_without_fill_an_integer_stack_is_an_error_there(jpegs, mounted):
    mount = mounted(jpegs)
    row = SIDE * SIDE * 3
    for name in ("u8.u8", "u8,fill=9.u8"):
        with open(mount.at(".pixfs", "stack", name), "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            if "fill" in name:
                assert os.pread(file.fileno(), 50, CUT * row + 5000) == b"\x09" * 50
            else:
                assert errno_of(os.pread, file.fileno(), 50, CUT * row + 5000) == errno.EIO


@pytest.mark.parametrize("spec", ["u8,fill=256", "u8,fill=-1", "u8,fill=1.5", "u8,fill=x", "u16,fill=nan", "fill=1:2", "u8,fill=1e2"])
def test_a_fill_that_the_type_doesnt_hold_is_refused(jpegs, mounted, spec):
    mount = mounted(jpegs)
    assert errno_of(os.stat, mount.at(".pixfs", "stack", spec + ".npy")) == errno.EINVAL
    assert mount.json(".pixfs", "stack", spec + ".json")["error"]["message"].startswith(f"fill={spec.split('=')[1]}: ")


def test_views_have_no_fill(jpegs, mounted):
    assert errno_of(os.stat, mounted(jpegs).at("0.jpg", "views", "u8,fill=1.npy")) == errno.ENOENT
