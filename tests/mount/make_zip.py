"""make_zip.py - zip archives field by field, also such as no tool would write.

Reference: PKWARE APPNOTE 6.3 (section numbers in comments). Every entry holds different text that names it, so that a
test can find each of them wherever the tree shows it.
"""
import bz2
import functools
import io
import lzma
import struct
import subprocess
import tempfile
import zipfile
import zlib
from dataclasses import dataclass

STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTD, XZ = 0, 8, 9, 12, 14, 93, 95
METHODS = (STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTD, XZ)
ENCRYPTED, LZMA_MARK, UTF8 = 1, 2, 1 << 11  # 4.4.4
UNIX = 3 << 8                 # 4.4.2: made by


@dataclass
class Entry:
    name: bytes
    data: bytes = b""
    method: int = STORED
    flags: int = 0
    crc: int = None           # None: the true one
    size: int = None          # declared uncompressed size; None: the true one
    packed: bytes = None      # compressed bytes; None: made from data
    mode: int = None          # st_mode, in the external attributes of a Unix archive
    extra: bytes = b""        # in the central directory
    local_name: bytes = None  # None: the same
    zip64: bool = False       # sizes and offset in the extra field 0x0001 (4.5.3), with 0xFFFFFFFF in their old places
    shares: int = None        # the local header of that earlier entry is used: overlapping entries

    def __post_init__(self):
        if self.method == LZMA and self.packed is None:
            self.flags |= LZMA_MARK  # as 7-Zip packs it


def squeeze(data, method):
    if method == DEFLATE:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()
    if method == BZIP2:
        return bz2.compress(data)
    if method == ZSTD:
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    name = {DEFLATE64: "Deflate64", LZMA: "LZMA", XZ: "xz"}.get(method)
    number, packed = seven_zip(data, name) if name else (method, data)
    return packed if number == method else squeeze_dense(data, method)


def squeeze_dense(data, method):
    """What 7-Zip would store, as it doesn't get shorter."""
    if method == XZ:
        return lzma.compress(data, preset=0)
    if method == LZMA:  # 5.8.8: version, length of the properties, lc + 9 * (lp + 5 * pb), dictionary; raw data with a mark
        filters = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}]
        return struct.pack("<BBHBI", 9, 4, 5, 3 + 9 * 5 * 2, 1 << 16) + lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters)
    blocks = [data[at : at + 65535] for at in range(0, len(data), 65535)] or [b""]  # stored blocks, as of deflate
    return b"".join(struct.pack("<BHH", n == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block for n, block in enumerate(blocks))


@functools.cache
def seven_zip(data, method):
    """(number of the method, packed bytes) as 7-Zip makes them."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/x", "wb") as file:
            file.write(data)
        subprocess.run(["7zz", "a", "-tzip", f"-mm={method}", "-mx=5", "-mmt=1", f"{folder}/a.zip", f"{folder}/x"], check=True, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(f"{folder}/a.zip") as archive, open(f"{folder}/a.zip", "rb") as file:
            entry = archive.getinfo("x")
            file.seek(entry.header_offset + 26)
            file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
            return entry.compress_type, file.read(entry.compress_size)


def local_header(entry, packed, crc, size):
    """4.3.7"""
    name = entry.name if entry.local_name is None else entry.local_name
    extra, shown, shown_packed = b"", size, len(packed)
    if entry.zip64:
        extra, shown, shown_packed = struct.pack("<HHQQ", 1, 16, size, len(packed)), 0xFFFFFFFF, 0xFFFFFFFF
    return struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, entry.flags, entry.method, 0x6000, 0x5821, crc, shown_packed, shown, len(name), len(extra)) + name + extra


def central_header(entry, packed, crc, size, offset):
    """4.3.12"""
    extra, shown, shown_packed, shown_offset = entry.extra, size, len(packed), offset
    if entry.zip64:
        extra = struct.pack("<HHQQQ", 1, 24, size, len(packed), offset) + extra
        shown = shown_packed = shown_offset = 0xFFFFFFFF
    made_by, attributes = (UNIX | 30, entry.mode << 16) if entry.mode is not None else (20, 0)
    return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, made_by, 20, entry.flags, entry.method, 0x6000, 0x5821, crc, shown_packed, shown,
                       len(entry.name), len(extra), 0, 0, 0, attributes, shown_offset) + entry.name + extra


def zip_of(*entries, prefix=b"", comment=b"", zip64_end=False, shift_offsets=True):
    """A whole archive. shift_offsets: whether offsets count from the start of the prefix, or of the archive proper."""
    out, offsets = bytearray(prefix), []
    central, base = b"", 0 if shift_offsets else len(prefix)
    for entry in entries:
        packed = squeeze(entry.data, entry.method) if entry.packed is None else entry.packed
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        offset = len(out) - base if entry.shares is None else offsets[entry.shares]
        offsets.append(offset)
        if entry.shares is None:
            out += local_header(entry, packed, crc, size) + packed
        central += central_header(entry, packed, crc, size, offset)
    start, count = len(out) - base, len(entries)
    out += central
    if zip64_end:  # 4.3.14 and 4.3.15
        place = len(out) - base
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(central), start) + struct.pack("<IIQI", 0x07064B50, 0, place, 1)
        count, start_shown, length = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    else:
        start_shown, length = start, len(central)
    return bytes(out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, length, start_shown, len(comment)) + comment)


def words(label):
    return f"this is {label}\n".encode()


def unicode_path(name, shown):
    """4.6.9: the Info-ZIP Unicode path extra field, valid while the CRC of the old name fits."""
    body = struct.pack("<BI", 1, zlib.crc32(name)) + shown.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


def make_names():
    """archive name -> (bytes, {path shown: content}); only where the contract says the name exactly."""
    japanese, german = "日本/写真.txt", "grüße.txt"
    return {
        "utf8_flag.zip": (zip_of(Entry(japanese.encode(), words("flagged"), flags=UTF8)), {japanese: words("flagged")}),
        "utf8_no_flag.zip": (zip_of(Entry(japanese.encode(), words("valid"))), {japanese: words("valid")}),
        "cp437.zip": (zip_of(Entry("Ünïcödé.txt".replace("ï", "î").encode("cp437"), words("437"))), {"Ünîcödé.txt": words("437")}),
        "unicode_path.zip": (zip_of(Entry(b"gr?e.txt", words("extra"), extra=unicode_path(b"gr?e.txt", german))), {german: words("extra")}),
        "absolute.zip": (zip_of(Entry(b"/etc/name.txt", words("absolute"))), {"etc/name.txt": words("absolute")}),
        "no_directories.zip": (zip_of(Entry(b"a/b/c/d.txt", words("deep"))), {"a/b/c/d.txt": words("deep")}),
        "directories_late.zip": (zip_of(Entry(b"a/b.txt", words("b")), Entry(b"a/"), Entry(b"c/")), {"a/b.txt": words("b")}),
        "duplicates.zip": (zip_of(Entry(b"n.txt", words("first")), Entry(b"n.txt", words("second")), Entry(b"n.txt", words("last"))),
                           {"n.txt": words("last"), "n (1).txt": words("first"), "n (2).txt": words("second")}),
        "comment.zip": (zip_of(Entry(b"n.txt", words("n")), comment=b"a comment PK\5\6 that looks like an end" * 3), {"n.txt": words("n")}),
        "prefix.zip": (zip_of(Entry(b"n.txt", words("n")), prefix=b"#!/bin/sh\necho a self-extractor\n" * 9), {"n.txt": words("n")}),
        "prefix_not_counted.zip": (zip_of(Entry(b"n.txt", words("n")), prefix=b"MZ" + bytes(500), shift_offsets=False), {"n.txt": words("n")}),
        "zip64.zip": (zip_of(Entry(b"n.txt", words("n") * 9, DEFLATE, zip64=True), Entry(b"m.txt", words("m")), zip64_end=True), {"n.txt": words("n") * 9, "m.txt": words("m")}),
        "methods.zip": (zip_of(*(Entry(b"%d" % m, words("m") * 500, m) for m in METHODS)), {f"{m}": words("m") * 500 for m in METHODS}),
        "descriptor.zip": (streamed("n.txt", words("n") * 50), {"n.txt": words("n") * 50}),
        "central_counts.zip": (zip_of(Entry(b"right.txt", words("n"), local_name=b"wrong.txt")), {"right.txt": words("n")}),
        "empty.zip": (zip_of(), {}),
        "empty_file.zip": (zip_of(Entry(b"nothing", b""), Entry(b"packed", b"", DEFLATE)), {"nothing": b"", "packed": b""}),
    }


def make_awkward():
    """archive name -> (bytes, contents): each content must be found under some name of the tree, exactly once."""
    long_name = b"long" * 80
    several = {
        "dotdot.zip": [b"../../up.txt", b"a/../../b.txt", b"..", b"a/./c.txt", b"./d.txt"],
        "backslash.zip": [b"dir\\sub\\a.txt", b"C:\\windows\\b.txt", b"..\\c.txt"],
        "control.zip": [b"a\x01b.txt", b"new\nline.txt", b"tab\t.txt", b"esc\x1b[31m.txt", b"del\x7f.txt"],
        "long.zip": [long_name + b".png.txt", long_name + b"2.txt", b"dir" * 100 + b"/x.txt"],
        "file_and_directory.zip": [b"x", b"x/y.txt", b"x/z.txt"],
        "directory_and_file.zip": [b"x/y.txt", b"x"],
        "slashes.zip": [b"a//b.txt", b"//c.txt", b"d///e/f.txt"],
        "empty_name.zip": [b"", b"other.txt"],
        "not_any_encoding.zip": [b"\xff\xfe\x81.txt", b"\x81\x8d.txt"],
        "same_when_neutral.zip": [b"n.txt", b"/n.txt", b"../n.txt", b"./n.txt"],
        "dot_pixfs.zip": [b".pixfs/stats.json", b".hidden"],
    }
    return {name: (zip_of(*(Entry(raw, words(f"{name} {number}")) for number, raw in enumerate(names))),
                   [words(f"{name} {number}") for number in range(len(names))]) for name, names in several.items()}


def streamed(name, data):
    """Sizes behind the data (4.3.9), as written to a pipe."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.out = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.out += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 12, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return bytes(pipe.out)


def shift_jis():
    """Names that only -o encoding=SHIFT_JIS reads: (bytes, {path: content})."""
    name = "日本語/表示ソ.txt"  # the second byte of the last two kanji is a backslash
    return zip_of(Entry(name.encode("shift_jis"), words("shift jis"))), {name: words("shift jis")}


def nested(levels, inner=b"bottom\n"):
    """An archive in an archive in an archive ..."""
    data = zip_of(Entry(b"bottom.txt", inner))
    for number in range(levels - 1, 0, -1):
        data = zip_of(Entry(f"level{number + 1}.zip".encode(), data, number % 2 * DEFLATE))
    return data


def make_refused():
    """archive name -> (bytes, [names whose opening fails], {names that work: content})."""
    good = Entry(b"good.txt", words("good"))
    big = words("x") * 3000
    packed = bytearray(squeeze(big, DEFLATE))
    packed[len(packed) // 2] ^= 0xFF
    return {
        "encrypted.zip": (zip_of(good, Entry(b"secret.txt", words("secret"), flags=ENCRYPTED, packed=bytes(12) + words("secret"))), ["secret.txt"], {"good.txt": words("good")}),
        "bad_crc.zip": (zip_of(good, Entry(b"bad.txt", words("bad"), crc=1), Entry(b"packed.txt", big, DEFLATE, crc=2)), ["bad.txt", "packed.txt"], {"good.txt": words("good")}),
        "bad_deflate.zip": (zip_of(good, Entry(b"bad.txt", big, DEFLATE, packed=bytes(packed))), ["bad.txt"], {"good.txt": words("good")}),
        "unknown_method.zip": (zip_of(good, Entry(b"odd.txt", words("odd"), method=97)), ["odd.txt"], {"good.txt": words("good")}),
        "too_little.zip": (zip_of(good, Entry(b"short.txt", big, DEFLATE, size=len(big) + 9)), ["short.txt"], {"good.txt": words("good")}),
        "too_much.zip": (zip_of(good, Entry(b"more.txt", big, DEFLATE, size=len(big) - 9, crc=zlib.crc32(big[:-9]))), ["more.txt"], {"good.txt": words("good")}),
        "overlap.zip": (zip_of(good, Entry(b"one.txt", words("one")), Entry(b"two.txt", words("one"), shares=1)), ["one.txt", "two.txt"], {"good.txt": words("good")}),
    }


def make_broken():
    """name -> bytes that are no archive at all, or not one that can be listed."""
    whole = zip_of(*(Entry(f"{n}.txt".encode(), words(str(n))) for n in range(9)))
    return {"truncated.zip": whole[: len(whole) // 2], "no_end.zip": whole[:-22], "empty_file.zip": b"", "text.zip": b"this is no archive\n" * 20,
            "directory_outside.zip": whole[:-10] + struct.pack("<IIH", 1 << 30, 1 << 30, 0)}
