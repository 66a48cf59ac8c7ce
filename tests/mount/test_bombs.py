"""Small files that ask for much: each is EFBIG or EIO, or simply works, within a second of the daemon's processor time and
within its bound of memory (section 9). All are built here, harmless on disk."""
import errno
import os
import struct
import time
import zlib

import pytest

import make_exr
import make_jpeg
import make_png
from case import pattern
from make_exr import attribute, simple, text
from make_zip import DEFLATE, Entry, local_header, central_header, zip_of
from pixmount import SLOW, errno_of, read_all, read_range

LONG = bool(os.environ.get("PIXFS_LONG"))
MIB = 1 << 20
CACHE = 16
MAY = {None, errno.EIO, errno.EFBIG}
REFUSED = {errno.EIO, errno.EFBIG}


def zeros_stream(mib, raw=False):
    """mib MiB of zeros as a zlib (or raw deflate) stream: one flushed piece again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = piece * mib + last.flush()
    return body if raw else b"\x78\xda" + body + struct.pack(">I", (mib * MIB % 65521) << 16 | 1)


def png_bombs():
    chunk, head, end = make_png.chunk, make_png.SIGNATURE, make_png.chunk(b"IEND")
    small = pattern(10, 10, 3, 8)
    data = make_png.idats(make_png.image_data(small, 8))
    ihdr = make_png.ihdr(10, 10, 8, make_png.RGB)
    bomb = zeros_stream(256)
    yield "65535.png", head + make_png.ihdr(65535, 65535, 8, make_png.RGB) + chunk(b"IDAT", zlib.compress(b"")) + end, {errno.EFBIG}
    yield "tall.png", head + make_png.ihdr(1, 0x7FFFFFFF, 16, make_png.RGBA) + chunk(b"IDAT", zlib.compress(b"")) + end, REFUSED
    yield "bits.png", head + make_png.ihdr(32000, 32000, 1, make_png.GRAY, 1) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + end, REFUSED
    yield "idat.png", head + ihdr + chunk(b"IDAT", bomb) + end, MAY
    yield "idat_valid.png", head + make_png.ihdr(9000, 9900, 8, make_png.RGB) + chunk(b"IDAT", bomb) + end, MAY
    yield "ztxt.png", head + ihdr + chunk(b"zTXt", b"a\0\0" + bomb) + data + end, {None}
    yield "ztxts.png", head + ihdr + chunk(b"zTXt", b"a\0\0" + zeros_stream(15)) * 40 + data + end, {None}
    yield "itxt.png", head + ihdr + chunk(b"iTXt", b"a\0\1\0\0\0" + bomb) + data + end, {None}
    yield "iccp.png", head + ihdr + chunk(b"iCCP", b"a\0\0" + bomb) + data + end, {None}
    yield "texts.png", head + ihdr + chunk(b"tEXt", b"k\0v") * 60000 + data + end, {None}
    yield "keys.png", head + ihdr + b"".join(chunk(b"tEXt", b"k%d\0v" % n) for n in range(40000)) + data + end, {None}
    yield "idats.png", head + ihdr + chunk(b"IDAT") * 60000 + data + end, {None}
    yield "private.png", head + ihdr + chunk(b"abCd") * 60000 + data + end, {None}


def exr_of(window=(0, 0, 9, 9), channels=b"R\0" + struct.pack("<iB3xii", 1, 0, 1, 1) + b"\0", tiles=None, more=b"", tail=bytes(64), compression=3, version=None):
    """A header field by field, and hardly any chunks."""
    box = struct.pack("<4i", *window)
    out = [attribute("channels", "chlist", channels), attribute("compression", "compression", bytes([compression])), attribute("dataWindow", "box2i", box),
           attribute("displayWindow", "box2i", box), attribute("lineOrder", "lineOrder", b"\0"), attribute("pixelAspectRatio", "float", struct.pack("<f", 1)),
           attribute("screenWindowCenter", "v2f", bytes(8)), attribute("screenWindowWidth", "float", struct.pack("<f", 1))]
    if tiles:
        out.append(attribute("tiles", "tiledesc", struct.pack("<IIB", *tiles)))
    flags = (0x200 if tiles else 0) if version is None else version
    return struct.pack("<II", make_exr.MAGIC, 2 | flags) + b"".join(out) + more + b"\0" + tail


def exr_bombs():
    top = (1 << 31) - 1
    one = struct.pack("<iB3xii", 1, 0, 1, 1)
    yield "window.exr", exr_of((0, 0, top - 1, top - 1)), REFUSED
    yield "window_all.exr", exr_of((-top, -top, top, top)), REFUSED
    yield "window_30000.exr", exr_of((0, 0, 29999, 29999)), REFUSED
    yield "tile_huge.exr", exr_of((0, 0, 29999, 29999), tiles=(top, top, 0)), REFUSED
    yield "tile_zero.exr", exr_of((0, 0, 99, 99), tiles=(0, 0, 0)), REFUSED
    yield "tile_one.exr", exr_of((0, 0, 29999, 29999), tiles=(1, 1, 0)), REFUSED
    yield "rip.exr", exr_of((0, 0, 29999, 29999), tiles=(1, 1, 2)), REFUSED
    yield "attributes.exr", exr_of(more=attribute("a", "int", bytes(4)) * 200000), REFUSED
    yield "attribute_names.exr", exr_of(more=b"".join(attribute(f"a{n}", "int", bytes(4)) for n in range(100000))), REFUSED
    yield "attribute_long.exr", exr_of(more=attribute("a", "string", bytes(24 * MIB))), REFUSED
    yield "attribute_lies.exr", exr_of(more=b"a\0string\0" + struct.pack("<i", top)), REFUSED
    yield "channels.exr", exr_of(channels=b"".join(b"c%d\0" % n + one for n in range(6000)) + b"\0"), REFUSED
    yield "channels_wide.exr", exr_of((0, 0, 9999, 9999), channels=b"".join(b"c%d\0" % n + one for n in range(4000)) + b"\0"), REFUSED
    yield "sampling.exr", exr_of(channels=b"R\0" + struct.pack("<iB3xii", 1, 0, top, top) + b"\0"), REFUSED
    head = exr_of((0, 0, 999, 15), tail=b"")
    stream = zeros_stream(64)
    yield "zip_chunk.exr", head + struct.pack("<Q", len(head) + 8) + struct.pack("<ii", 0, len(stream)) + stream, REFUSED
    part = attribute(*text("name", "p")) + attribute(*text("type", "scanlineimage")) + attribute("chunkCount", "int", struct.pack("<i", top))
    yield "chunk_count.exr", exr_of(more=part, version=0x1000), REFUSED
    good = make_exr.header(simple(["R"], name="p"), True)
    yield "parts.exr", struct.pack("<II", make_exr.MAGIC, 0x1002) + good * 9000 + b"\0" + bytes(64), REFUSED


def progressive(side, scans):
    """Gray, progressive: the DC, then for each coefficient alone one scan for each bit, all of them runs of empty blocks (T.81 G.1.2)."""
    out = [make_jpeg.SOI, make_jpeg.marker(0xDB, bytes(1) + b"\x08" * 64), make_jpeg.marker(0xC2, struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0))]
    # DC table: category 0 is the code 0; AC table: the symbol E0, a run of 2^14 + 14 more bits blocks, is the code 0
    out += [make_jpeg.marker(0xC4, b"\x00\x01" + bytes(15) + b"\x00"), make_jpeg.marker(0xC4, b"\x10\x01" + bytes(15) + b"\xe0")]
    blocks = (side // 8) ** 2

    def scan(first, last, high, low, data):
        return make_jpeg.marker(0xDA, struct.pack(">BBBBBB", 1, 1, 0, first, last, high << 4 | low)) + data.replace(b"\xff", b"\xff\0")

    count, rest = divmod(blocks, 16384)
    assert not rest, "the blocks are to be whole runs"
    bits = "0".ljust(15, "0") * count
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big")
    out.append(scan(0, 0, 0, 0, bytes(-(-blocks // 8))))
    made = 1
    for low in range(13, -1, -1):
        for k in range(1, 64):
            if made < scans:
                out.append(scan(k, k, low + 1 if low < 13 else 0, low, empty))
                made += 1
    return b"".join(out) + b"\xff\xd9"


def jpeg_bombs():
    small = make_jpeg.encode(make_jpeg.photograph(16, 16))
    frame = make_jpeg.find_marker(small, 0xC0)

    def of_size(data, side):
        at = make_jpeg.find_marker(data, 0xC2 if b"\xff\xc2" in data else 0xC0)
        return data[: at + 5] + struct.pack(">HH", side, side) + data[at + 9 :]

    table = make_jpeg.marker(0xC4, b"\x00\x01" + bytes(15) + b"\x00")
    yield "65500.jpg", of_size(small, 65500), REFUSED
    yield "30000.jpg", of_size(small, 30000), REFUSED
    yield "30000_progressive.jpg", of_size(make_jpeg.encode(make_jpeg.photograph(16, 16), progressive=True), 30000), REFUSED
    yield "scans_small.jpg", progressive(1024, 880), MAY
    yield "scans.jpg", progressive(4096, 880), MAY
    yield "tables.jpg", make_jpeg.insert(small, table * 100000), MAY
    yield "apps.jpg", make_jpeg.insert(small, make_jpeg.marker(0xE5, bytes(60000)) * 400), MAY
    yield "comments.jpg", make_jpeg.insert(small, make_jpeg.marker(0xFE, b"c") * 100000), MAY
    yield "icc.jpg", make_jpeg.insert(small, *(make_jpeg.marker(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65000)) for n in range(1, 256))), MAY
    yield "fill.jpg", small[:2] + b"\xff" * (8 * MIB) + small[2:], MAY
    yield "no_markers.jpg", small[:frame] + bytes(8 * MIB), REFUSED


def cpu_seconds(mount):
    with open(f"/proc/{mount.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_bytes(mount, field):
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) << 10


def forget_peak(mount):
    with open(f"/proc/{mount.process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def touch(folder):
    """As a user would: a listing, the header, the first and the last bytes of the pixels; the first error."""
    def look():
        os.listdir(folder)
        with open(os.path.join(folder, "meta.json"), "rb") as file:
            file.read()
        path = os.path.join(folder, "pixels.f32")
        size = os.stat(path).st_size
        read_range(path, 0, 4096)
        if size < 1 << 26:
            read_range(path, size - 4096 if size > 4096 else 0, 4096)
    return errno_of(look)


class Meter:
    """Time and memory of the daemon for one action at a time."""

    def __init__(self, mount):
        self.mount, self.wrong, self.worst = mount, [], (0.0, "")
        self.worst_bytes = (0, "")

    def measure(self, name, action, seconds=1.0, more_mib=0):
        forget_peak(self.mount)
        cpu, wall = cpu_seconds(self.mount), time.monotonic()
        result = action()
        cpu, wall = cpu_seconds(self.mount) - cpu, time.monotonic() - wall
        peak = status_bytes(self.mount, "VmHWM")
        self.worst, self.worst_bytes = max(self.worst, (cpu, name)), max(self.worst_bytes, (peak, name))
        if cpu > seconds * SLOW or wall > 10 * seconds * SLOW:
            self.wrong.append(f"{name}: {cpu:.2f} s of processor time, {wall:.2f} s")
        if SLOW == 1 and peak > (CACHE + 64 + more_mib) * MIB:
            self.wrong.append(f"{name}: {peak >> 20} MiB resident")
        return result


@pytest.mark.parametrize("bombs", [png_bombs, exr_bombs, jpeg_bombs], ids=["png", "exr", "jpeg"])
def test_images_that_ask_for_much(source, mounted, summary, bombs):
    wanted = {}
    for name, data, codes in bombs():
        (source / name).write_bytes(data)
        wanted[name] = codes
    mount = mounted(source, f"cache_size={CACHE}M")
    meter = Meter(mount)
    for name, codes in wanted.items():
        code = meter.measure(name, lambda name=name: touch(mount.at(name)), more_mib=64 if name.startswith("scans") else 0)
        if code not in codes:
            meter.wrong.append(f"{name}: {errno.errorcode.get(code)}, expected {[errno.errorcode.get(c) for c in codes]}")
    summary(f"bombs {bombs.__name__[:-6]}: {len(wanted)} files, the slowest {meter.worst[1]} {meter.worst[0]:.2f} s, the largest {meter.worst_bytes[1]} {meter.worst_bytes[0] >> 20} MiB")
    assert not meter.wrong, "\n".join(meter.wrong)


# ---- archives ----

def many_of_one_name(count, name=b"a.txt"):
    """count entries in the directory, all of them the same local header."""
    entry = Entry(name, b"x")
    local = local_header(entry, b"x", zlib.crc32(b"x"), 1) + b"x"
    central = central_header(entry, b"x", zlib.crc32(b"x"), 1, 0) * count
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(central), len(local)) + struct.pack("<IIQI", 0x07064B50, 0, len(local) + len(central), 1)
    return local + central + end64 + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def quoted_overlap(count):
    """Each entry's data contains the next one's local header and data: all end in the same kernel."""
    kernel = zeros_stream(1, raw=True)
    entries, body = [], b""
    for number in range(count):
        name = b"%03d" % number
        header = local_header(Entry(name), kernel, 0, MIB)
        entries.append((name, len(body)))
        body += header
    body += kernel
    central = b"".join(central_header(Entry(name, method=DEFLATE), body[offset + 33 :], 0, MIB, offset) for name, offset in entries)
    return body + central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(central), len(body), 0)


def nest(depth, width=16):
    """width archives in each archive, depth deep: width^depth files out of a few KB."""
    data = b"bottom"
    for level in range(depth):
        data = zip_of(*(Entry(b"%02d.%s" % (n, b"zip" if level else b"txt"), data, DEFLATE) for n in range(width)))
    return data


def descend(top):
    """Down the first name of each directory; (steps, the errno that ended it)."""
    for step in range(200):
        try:
            names = sorted(os.listdir(top))
            if "error.txt" in names:
                with open(os.path.join(top, "error.txt"), encoding="utf-8") as file:
                    return step, file.read()
            folder = next((name for name in names if os.path.isdir(os.path.join(top, name))), None)
        except OSError as error:
            return step, errno.errorcode[error.errno]
        if folder is None:
            return step, ""
        top = os.path.join(top, folder)
    return 200, ""


def test_archives_that_ask_for_much(source, mounted, summary):
    count = 1_000_000 if LONG else 200_000
    (source / "one_name.zip").write_bytes(many_of_one_name(count))
    (source / "overlap.zip").write_bytes(quoted_overlap(250))
    (source / "nested.zip").write_bytes(nest(10))
    (source / "zeros.zip").write_bytes(zip_of(Entry(b"zeros.bin", b"", DEFLATE, packed=zeros_stream(512, raw=True), size=512 * MIB, crc=0),
                                              Entry(b"a.png", b"", DEFLATE, packed=zeros_stream(300, raw=True), size=300 * MIB, crc=0),
                                              Entry(b"huge.bin", b"", DEFLATE, packed=zeros_stream(1, raw=True), size=9 << 30, crc=0, zip64=True),
                                              Entry(b"little.bin", b"", DEFLATE, packed=zeros_stream(1, raw=True), size=1 << 31, crc=0)))
    (source / "long_name.zip").write_bytes(zip_of(*(Entry(bytes([65 + n]) * 65000, b"x") for n in range(20))))
    (source / "deep_names.zip").write_bytes(zip_of(*(Entry(b"%c/" % (97 + n) * 32000 + b"f", b"x") for n in range(8))))
    mount = mounted(source, f"cache_size={CACHE}M")
    meter = Meter(mount)
    index_mib = count * 160 // MIB  # what the issue states of an index, and room for the new names
    names = meter.measure("one_name.zip", lambda: len(os.listdir(mount.at("one_name.zip"))), seconds=count / 200_000, more_mib=index_mib)
    assert names == count, "each has a name of its own"
    assert errno_of(read_range, mount.at("one_name.zip", "a.txt"), 0, 1) == errno.EIO, "they overlap"
    codes = meter.measure("overlap.zip", lambda: {errno_of(read_range, mount.at("overlap.zip", name), 0, 1) for name in os.listdir(mount.at("overlap.zip"))}, more_mib=index_mib)
    assert codes == {errno.EIO}
    steps, words = meter.measure("nested.zip", lambda: descend(mount.at("nested.zip")), more_mib=index_mib)
    assert steps <= 9 and "nested" in words, (steps, words)
    meter.measure("zeros.zip", lambda: read_range(mount.at("zeros.zip", "zeros.bin"), 0, 4096), more_mib=index_mib)
    assert meter.measure("zeros.zip/a.png", lambda: errno_of(read_range, mount.at("zeros.zip", "a.png", "pixels.f32"), 0, 4096), more_mib=index_mib) == errno.EIO
    assert errno_of(read_range, mount.at("zeros.zip", "huge.bin"), 0, 4096) == errno.EFBIG
    assert errno_of(read_range, mount.at("zeros.zip", "little.bin"), 0, 4096) == errno.EIO, "more than deflate can hold"
    listed = meter.measure("long_name.zip", lambda: os.listdir(mount.at("long_name.zip")), more_mib=index_mib)
    assert len(set(listed)) == 20 and all(len(os.fsencode(name)) <= 255 for name in listed)
    meter.measure("deep_names.zip", lambda: os.listdir(mount.at("deep_names.zip")), more_mib=index_mib)
    meter.measure("deep_names.zip below", lambda: descend(mount.at("deep_names.zip")), more_mib=index_mib)
    summary(f"bombs zip: the slowest {meter.worst[1]} {meter.worst[0]:.2f} s, the largest {meter.worst_bytes[1]} {meter.worst_bytes[0] >> 20} MiB")
    assert not meter.wrong, "\n".join(meter.wrong)


# ---- names that want to be the same ----

def archive_of(names):
    """An entry for each name, with data of its own: the number of the entry."""
    out, central, at, count = [], [], 0, 0
    for number, name in enumerate(names):
        data, entry = b"%d" % number, Entry(name)
        crc = zlib.crc32(data)
        out += [local_header(entry, data, crc, len(data)), data]
        central.append(central_header(entry, data, crc, len(data), at))
        at, count = at + len(out[-2]) + len(data), count + 1
    central = b"".join(central)
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(central), at) + struct.pack("<IIQI", 0x07064B50, 0, at + len(central), 1)
    return b"".join(out) + central + end64 + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)


ALIKE = [b"a.txt", b"../a.txt", b"/a.txt", b"..\\a.txt", b"./a.txt", b".././/a.txt", b"A.txt", b"a (1).txt", b"A (1).txt", b"a.TXT", b"a (1) (1).txt"]


def cut_alike(count):
    """Names of 255 bytes, each twice, that differ only where a number cuts them; and the numbered names are taken already."""
    for number in range(count // 4):
        yield b"x" * 246 + b"%09d" % number
        yield b"x" * 246 + b"%09d" % number
    for number in range(1, count // 2 + 1):
        mark = b" (%d)" % number
        yield b"x" * (255 - len(mark)) + mark


MILLION = 1_000_000 if LONG else 200_000
# count, names; what must lie where: name shown -> number of the entry
COLLIDING = {
    "one name": (MILLION, lambda count: (b"a.txt" for _ in range(count)), lambda count: {"a.txt": count - 1, "a (1).txt": 0, f"a ({count - 1}).txt": count - 2}),
    "alike": (MILLION, lambda count: (ALIKE[n % len(ALIKE)] for n in range(count)), lambda count: {"a (2).txt": 0, "a (3).txt": 1, "A (2).txt": 6, "a (1).TXT": 9}),
    "numbers": (100_000, lambda count: (b"a (%d).txt" % n if n else b"a.txt" for n in range(count)), lambda count: {"a.txt": 0, f"a ({count - 1}).txt": count - 1}),
    "numbers twice": (200_000, lambda count: (b"a (%d).txt" % (n // 2) for n in range(count)), lambda count: {"a (5).txt": 11, "a (5) (1).txt": 10}),
    "one name, its numbers taken": (200_000, lambda count: (b"a (%d).txt" % (n - count // 2) if n > count // 2 else b"a.txt" for n in range(count)), lambda count: {"a.txt": count // 2, "a (1).txt": count // 2 + 1}),
    "cut alike": (200_000, cut_alike, lambda count: {"x" * 246 + "000000007": 15, "x" * 251 + " (1)": count // 2}),
    "files and directories": (200_000, lambda count: (b"%d/f" % (n % 10) if n % 2 else b"%d" % (n % 10 + 1) for n in range(count)), lambda count: {"1 (1)": 0, "1/f": count - 9}),
}


@pytest.mark.parametrize("kind", COLLIDING)
def test_names_that_collide(source, mounted, summary, kind):
    """Each entry is there under a name of its own, after a time in proportion to their number."""
    count, names, wanted = COLLIDING[kind]
    count //= 10 if SLOW > 1 else 1
    (source / "a.zip").write_bytes(archive_of(names(count)))
    mount = mounted(source, f"cache_size={CACHE}M")
    meter, top = Meter(mount), mount.at("a.zip")
    index_mib = count * 400 // MIB if kind == "cut alike" else count * 110 // MIB  # 80 bytes for an entry, and its new name
    listed = meter.measure("listing", lambda: os.listdir(top), seconds=1 + count / 500_000, more_mib=index_mib)
    held = sum(len(os.listdir(os.path.join(top, name))) - 1 for name in listed if len(name) == 1) if kind == "files and directories" else 0
    assert len(listed) + held == count == len(set(listed)) + held
    some = listed[:: len(listed) // 2000 + 1]
    meter.measure("stat", lambda: [os.stat(os.path.join(top, name)) for name in some], more_mib=index_mib + 1)
    meter.measure("absent names", lambda: [os.path.exists(os.path.join(top, f"b ({n}).txt")) for n in range(2000)], more_mib=index_mib + 1)
    files = [name for name in some if os.path.isfile(os.path.join(top, name))]
    read = meter.measure("reading", lambda: {int(read_all(os.path.join(top, name))) for name in files}, more_mib=index_mib + 1)
    assert len(read) == len(files) and max(read) < count, "each the data of another entry"
    for name, number in wanted(count).items():
        assert read_all(os.path.join(top, name)) == b"%d" % number, name
    assert len(mount.errors()) <= 110, "told, but not a line for each"
    summary(f"bombs names, {kind}: {count} entries, the slowest {meter.worst[1]} {meter.worst[0]:.2f} s, the largest {meter.worst_bytes[1]} {meter.worst_bytes[0] >> 20} MiB")
    assert not meter.wrong, "\n".join(meter.wrong)


def test_every_name_that_a_duplicate_could_get_is_taken(source, mounted):
    """By one who knows how numbers are chosen: the archive opens all the same, and nothing of it is missing."""
    taken = {*range(1, 40), *(2 << n for n in range(62)), *(2 + (n << 32) for n in range(300))}
    names = [b"a.txt", *(b"a (%d).txt" % number for number in sorted(taken)), b"a.txt"]
    (source / "a.zip").write_bytes(archive_of(names))
    mount = mounted(source)
    listed = os.listdir(mount.at("a.zip"))
    assert len(listed) == len(names)
    assert {int(mount.bytes("a.zip", name)) for name in listed} == set(range(len(names)))
    assert mount.bytes("a.zip", "a.txt") == b"%d" % (len(names) - 1)
