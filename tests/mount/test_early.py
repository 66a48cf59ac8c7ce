"""Where arrays are read whole one after the other, the next PNG is decoded while it is checked: same bytes, same words, no waste."""
import errno
import os

import cv2
import numpy as np

from case import pattern
from damage import png_chunks, png_of
from pixmount import errno_of, open_errno, read_all, wait_for

SIZE = (1500, 2000)


def png(seed=0):
    samples = pattern(*SIZE, 3, 8, seed)
    data = cv2.imencode(".png", samples[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return data, (samples.astype(np.float32) / np.float32(255)).tobytes()


def damaged(data, part=0.01):
    """A few bytes of the image data changed."""
    at = data.index(b"IDAT") + 4 + int((len(data) - 100) * part)
    return data[:at] + bytes(b ^ 0x5A for b in data[at:at + 8]) + data[at + 8:]


def settled(mount):
    """What was closed is known to the daemon, and nothing is decoded any more; how many chunks were."""
    seen = []

    def is_settled():
        stats = mount.stats()
        seen.append((stats["decodes"], stats["decoding"], stats["open_files"] > 1))  # stats.json may be open itself
        return seen[-8:] == [(stats["decodes"], 0, False)] * 8
    assert wait_for(is_settled, seconds=60), seen[-8:]
    return seen[-1][0]


def decodes_of_open(mount, *names):
    """Chunks decoded by opening alone."""
    before = settled(mount)
    os.close(os.open(mount.at(*names), os.O_RDONLY))
    return settled(mount) - before


def test_open_decodes_only_what_is_expected(source, mounted):
    wanted = {}
    for seed in range(6):
        data, wanted[seed] = png(seed)
        os.makedirs(source / str(seed))
        (source / str(seed) / "a.png").write_bytes(data)
    mount = mounted(source)
    assert decodes_of_open(mount, "0", "a.png", "pixels.f32") == 0, "nothing was read whole yet"
    assert read_all(mount.at("1", "a.png", "pixels.f32")) == wanted[1]
    assert decodes_of_open(mount, "2", "a.png", "pixels.f32") > 0
    assert read_all(mount.at("2", "a.png", "pixels.f32")) == wanted[2]
    with open(mount.at("3", "a.png", "pixels.f32"), "rb") as file:
        assert file.read(5000) == wanted[3][:5000]
    assert decodes_of_open(mount, "4", "a.png", "pixels.f32") == 0, "the last one was not read whole"
    for seed in wanted:
        assert read_all(mount.at(str(seed), "a.png", "pixels.f32")) == wanted[seed]


def test_the_check_has_the_first_word(source, mounted):
    """The decode meets the damage first, and says nothing."""
    data, wanted = png()
    (source / "good.png").write_bytes(data)
    for i in range(8):
        (source / f"bad{i}.png").write_bytes(damaged(data, 0.005 * i))
    mount = mounted(source)
    assert read_all(mount.at("good.png", "pixels.f32")) == wanted
    settled(mount)
    for i in range(8):
        assert open_errno(mount.at(f"bad{i}.png", "pixels.f32")) == errno.EIO
    told = mount.errors()
    assert sorted(line["path"] for line in told) == sorted(f"bad{i}.png" for i in range(8))
    assert all(line["stage"] == "check" and "CRC" in line["message"] for line in told), told
    assert read_all(mount.at("good.png", "pixels.f32")) == wanted


def test_what_only_decoding_finds(source, mounted):
    data, wanted = png()
    (source / "good.png").write_bytes(data)
    for i in range(8):
        (source / f"bad{i}.png").write_bytes(png_of(png_chunks(damaged(data, 0.1 * i))))
    mount = mounted(source)
    for i in range(8):
        assert read_all(mount.at("good.png", "pixels.f32")) == wanted
        path = mount.at(f"bad{i}.png", "pixels.f32")
        got = b""
        try:
            with open(path, "rb", buffering=0) as file:
                while piece := file.read(1 << 17):
                    got += piece
        except OSError as error:
            assert error.errno == errno.EIO
        else:
            assert False, "it is damaged"
        assert len(got) < len(wanted), "the last rows come with the checksum of all"
        assert open_errno(path) == errno.EIO
    assert sorted(line["path"] for line in mount.errors()) == sorted(f"bad{i}.png" for i in range(8))


def test_workers_that_read_ahead_meet_damage(source, mounted):
    """A worker checks and decodes by itself what the reader of a folder will open next: it must not wait for itself."""
    data, wanted = {}, {}
    for i in range(16):
        samples = pattern(500, 700, 3, 8, i)
        data[i] = cv2.imencode(".png", samples[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        wanted[i] = (samples.astype(np.float32) / np.float32(255)).tobytes()
        (source / f"{i:02}.png").write_bytes(png_of(png_chunks(damaged(data[i]))) if i > 6 and i % 2 else data[i])
    mount = mounted(source)
    for i in range(16):
        path = mount.at(f"{i:02}.png", "pixels.f32")
        if i > 6 and i % 2:
            assert errno_of(read_all, path) == errno.EIO
        else:
            assert read_all(path) == wanted[i]
    assert sorted(line["path"] for line in mount.errors()) == [f"{i:02}.png" for i in range(16) if i > 6 and i % 2]
