#!/usr/bin/python3
"""damage.py - damaged files out of good ones, by the structure of their formats: the same ones for the same seed.

A base is a good file with what is known of it; spans() cuts it at every border of its structure; the mutators below change
it there. Each mutation has words that say what was done, and perhaps what must follow: "error" (no reader may take it for
whole) or "same" (harmless: the pixels are the base's). Where nothing is said, an independent decoder of the damaged file
is the judge.

    damage.py FORMAT SEED NUMBER >FILE    repeats one of them; NUMBER as in a test's message
"""
import os
import random
import struct
import sys
import zlib
from dataclasses import dataclass, field

if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

import numpy as np

import make_exr
import make_exr_other
import make_jpeg
import make_png
from case import pattern
from make_exr import FLOAT, HALF, MIP, NONE, RLE, ZIP, ZIPS, Part, channel, exr, simple
from make_zip import DEFLATE, STORED, Entry, zip_of


@dataclass
class Base:
    name: str     # "rgb8.png": the extension is that of its damaged copies
    data: bytes
    spans: list   # (start, end, what) in order, without gaps: the file's structure
    more: list = field(default_factory=list)      # (words, bytes, expected): mutations of this format alone
    lengths: list = field(default_factory=list)   # (offset, struct format) of fields that tell a size or an offset
    checked: tuple = ()  # words in a span's name where any changed bit must be an error


@dataclass
class Mutation:
    number: int
    base: Base
    words: str
    data: bytes
    expected: str = None  # "error", "same" or None

    @property
    def name(self):
        return f"{self.number:05}{os.path.splitext(self.base.name)[1]}"


# ---- the structure of each format ----

def png_spans(data):
    """5.2 and 5.3: the signature, then length, type, body and CRC of each chunk."""
    out, at = [(0, 8, "signature")], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        name = kind.decode("latin-1")
        out += [(at, at + 4, f"{name} length"), (at + 4, at + 8, f"{name} type"), (at + 8, at + 8 + length, f"{name} body"),
                (at + 8 + length, at + 12 + length, f"{name} crc")]
        at += 12 + length
    return [span for span in out if span[0] < span[1]]


def jpeg_spans(data):
    """B.1: markers with their segments, and the entropy-coded data between them with its restart markers."""
    out, at = [(0, 2, "SOI")], 2
    while at + 2 <= len(data):
        code = data[at + 1]
        if data[at] != 0xFF or code == 0xD9:
            out.append((at, len(data), "EOI"))
            break
        length = struct.unpack_from(">H", data, at + 2)[0]
        name = f"{code:02X}"
        out += [(at, at + 2, f"{name} marker"), (at + 2, at + 4, f"{name} length"), (at + 4, at + 2 + length, f"{name} body")]
        at += 2 + length
        if code == 0xDA:
            start = at
            while at + 1 < len(data) and (data[at] != 0xFF or data[at + 1] == 0):
                at += 1
                while at + 1 < len(data) and data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7:
                    out += [(start, at, "entropy"), (at, at + 2, "RST")]
                    at += 2
                    start = at
            out.append((start, at, "entropy"))
    return [span for span in out if span[0] < span[1]]


def exr_layout(data):
    """(spans, offset of the tables, their entries, chunk spans): parsed here, so that files of other writers serve as well."""
    version = struct.unpack_from("<I", data, 4)[0]
    multi, tiled = bool(version & 0x1000), bool(version & 0x200)
    spans, at = [(0, 4, "magic"), (4, 8, "version")], 8
    while True:
        while data[at]:
            name_end = data.index(b"\0", at) + 1
            kind_end = data.index(b"\0", name_end) + 1
            size = struct.unpack_from("<i", data, kind_end)[0]
            name, kind = data[at : name_end - 1].decode("latin-1"), data[name_end : kind_end - 1].decode("latin-1")
            if name == "type":
                tiled = data[kind_end + 4 : kind_end + 4 + size] == b"tiledimage"
            spans += [(at, name_end, f"{name} name"), (name_end, kind_end, f"{name} type"), (kind_end, kind_end + 4, f"{name} size"),
                      (kind_end + 4, kind_end + 4 + size, f"{name} value")]
            at = kind_end + 4 + size
            del kind
        spans.append((at, at + 1, "end of header"))
        at += 1
        if not multi:
            break
        if data[at] == 0:
            spans.append((at, at + 1, "end of headers"))
            at += 1
            break
    table, first = at, len(data)
    entries = []
    while at + 8 <= first:
        value = struct.unpack_from("<Q", data, at)[0]
        first = min(first, value or first)
        entries.append(at)
        at += 8
    spans.append((table, at, "chunk table"))
    offsets = sorted(struct.unpack_from("<Q", data, entry)[0] for entry in entries)
    lead = (4 if multi else 0) + (16 if tiled else 4)
    bodies = []
    for start, end in zip(offsets, offsets[1:] + [len(data)]):
        if start:
            spans += [(start, start + lead, "chunk place"), (start + lead, start + lead + 4, "chunk size"), (start + lead + 4, end, "chunk data")]
            bodies.append((start, end))
    return [span for span in spans if span[0] < span[1]], entries, bodies


def zip_spans(data):
    """4.3: local headers and data, the central directory, its end; by the directory of a good archive without zip64."""
    end = data.rindex(b"PK\5\6")
    count, length, start = struct.unpack_from("<HII", data, end + 10)
    spans, at = [], start
    for _ in range(count):
        packed, _, names, extra, comment = struct.unpack_from("<IIHHH", data, at + 20)
        local = struct.unpack_from("<I", data, at + 42)[0]
        local_names, local_extra = struct.unpack_from("<HH", data, local + 26)
        body = local + 30 + local_names + local_extra
        spans += [(local, local + 30, "local header"), (local + 30, body, "local name"), (body, body + packed, "entry data"),
                  (at, at + 46, "central header"), (at + 46, at + 46 + names + extra + comment, "central name")]
        at += 46 + names + extra + comment
    spans += [(end, end + 22, "end record"), (end + 22, len(data), "comment")]
    del length
    return sorted(span for span in spans if span[0] < span[1])


# ---- bases ----

def png_base(name, data, checked=("IHDR", "PLTE", "IDAT", "IEND body")):
    spans = png_spans(data)
    base = Base(name, data, spans, checked=checked)
    base.lengths = [(start, ">I") for start, _, what in spans if what.endswith(" length")]
    body = {what: (start, end) for start, end, what in spans}["IHDR body"]
    base.lengths += [(body[0], ">I"), (body[0] + 4, ">I")]
    base.more = list(png_chunk_orders(data)) + list(png_true_crcs(data))
    return base


def png_chunks(data):
    """[(type, body)]"""
    out, at = [], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        out.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return out


def png_of(chunks):
    return make_png.SIGNATURE + b"".join(make_png.chunk(kind, body) for kind, body in chunks)


def png_chunk_orders(data):
    """Chunks missing, repeated, out of order, split and of no bytes; every CRC is right."""
    chunks = png_chunks(data)
    for at, (kind, body) in enumerate(chunks):
        name = f"chunk {at} ({kind.decode()})"
        one_idat = sum(k == b"IDAT" for k, _ in chunks) == 1
        essential = kind in (b"IHDR", b"PLTE") or (kind == b"IDAT" and body)
        yield f"without {name}", png_of(chunks[:at] + chunks[at + 1 :]), "error" if essential else "same" if kind == b"IEND" else None
        yield f"{name} twice", png_of(chunks[: at + 1] + chunks[at:]), "error" if kind == b"IHDR" else None
        if at + 1 < len(chunks):
            swapped = chunks[:at] + [chunks[at + 1], chunks[at]] + chunks[at + 2 :]
            yield f"{name} behind its follower", png_of(swapped), None
        if body:
            yield f"{name} empty", png_of(chunks[:at] + [(kind, b"")] + chunks[at + 1 :]), "error" if kind in (b"IHDR", b"PLTE") or (kind == b"IDAT" and one_idat) else None
            yield f"{name} without its last byte", png_of(chunks[:at] + [(kind, body[:-1])] + chunks[at + 1 :]), "error" if kind == b"IHDR" else None
        if kind == b"IDAT" and len(body) > 3:
            yield f"{name} in two", png_of(chunks[:at] + [(kind, body[:2]), (kind, body[2:])] + chunks[at + 1 :]), "same"
            yield f"a chunk between two halves of {name}", png_of(chunks[:at] + [(kind, body[:2]), (b"tEXt", b"a\0b"), (kind, body[2:])] + chunks[at + 1 :]), None
        yield f"an unknown critical chunk before {name}", png_of(chunks[:at] + [(b"ABCD", b"?")] + chunks[at:]), "error" if kind != b"IEND" else None
        if at:
            yield f"an unknown chunk before {name}", png_of(chunks[:at] + [(b"abCd", b"?")] + chunks[at:]), None if kind == b"IDAT" else "same"


def png_true_crcs(data):
    """Bits flipped in bodies under CRCs that are made right again: what only decoding finds."""
    chunks = png_chunks(data)
    source = random.Random(len(data))
    for at, (kind, body) in enumerate(chunks):
        for _ in range(min(12, len(body))):
            byte, bit = source.randrange(len(body)), source.randrange(8)
            changed = bytearray(body)
            changed[byte] ^= 1 << bit
            yield f"bit {bit} of byte {byte} of chunk {at} ({kind.decode()}) flipped, its CRC made right", png_of(chunks[:at] + [(kind, bytes(changed))] + chunks[at + 1 :]), None
    joined = b"".join(body for kind, body in chunks if kind == b"IDAT")
    raw = zlib.decompress(joined)
    head, tail = [c for c in chunks if c[0] not in (b"IDAT", b"IEND")], [(b"IEND", b"")]
    for words, changed, expected in (("image data one byte short", raw[:-1], "error"), ("half of the image data", raw[: len(raw) // 2], "error"), ("no image data", b"", "error"),
                                     ("image data a byte too long", raw + b"\0", None), ("an unknown filter", raw[: len(raw) // 2] + bytes([255]) + raw[len(raw) // 2 + 1 :], None)):
        yield words, png_of(head + [(b"IDAT", zlib.compress(changed))] + tail), expected
    yield "the zlib stream's checksum is wrong", png_of(head + [(b"IDAT", joined[:-1] + bytes([joined[-1] ^ 1]))] + tail), None
    yield "the zlib stream lacks its checksum", png_of(head + [(b"IDAT", joined[:-4])] + tail), None


def png_bases():
    yield png_base("gray8.png", make_png.png(pattern(33, 29, 1, 8, 1), make_png.GRAY, 8, pieces=3))
    rgb = pattern(40, 40, 3, 8, 2)
    extra = make_png.chunk(b"gAMA", struct.pack(">I", 45455)) + make_png.chunk(b"iCCP", b"p\0\0" + zlib.compress(make_png.icc_profile())) + b"".join(make_png.text_chunks())
    yield png_base("chunks.png", make_png.png(rgb, make_png.RGB, 8, before=extra, after=make_png.chunk(b"eXIf", make_png.exif(6))))
    yield png_base("rgba16.png", make_png.png(pattern(120, 100, 4, 16, 3), make_png.RGBA, 16, pieces=9))
    colors = make_png.chunk(b"PLTE", make_png.palette_of(16).tobytes()) + make_png.chunk(b"tRNS", bytes(range(0, 160, 20)))
    yield png_base("palette4.png", make_png.png(pattern(31, 37, 1, 4, 4), make_png.PALETTE, 4, before=colors, pieces=2))
    yield png_base("rgb16_interlaced.png", make_png.png(pattern(61, 53, 3, 16, 5), make_png.RGB, 16, 1, pieces=4))
    yield png_base("gray1_interlaced.png", make_png.png(pattern(30, 45, 1, 1, 6), make_png.GRAY, 1, 1))
    trns = make_png.chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    # more than open decodes of an intact file: its damage may be found by a read only
    y, x = np.mgrid[0:400, 0:420]
    slopes = np.dstack([(x * 97 + y * 31 * c) % 65536 for c in (1, 2, 3)]).astype(np.uint16)
    yield png_base("large_rgb16.png", make_png.png(slopes, make_png.RGB, 16, pieces=30, filters=(1, 2)))
    yield png_base("rgb8_key.png", make_png.png(pattern(20, 30, 3, 8, 7), make_png.RGB, 8, before=trns))


def jpeg_base(name, data):
    spans = jpeg_spans(data)
    lengths = [(start, ">H") for start, _, what in spans if what.endswith(" length")]
    lengths += [(start + at, ">H") for start, _, what in spans if what in ("C0 body", "C1 body", "C2 body") for at in (1, 3)]
    return Base(name, data, spans, list(jpeg_segment_orders(data, spans)), lengths)


def jpeg_segment_orders(data, spans):
    """Segments missing, repeated, swapped; scans missing (progressive)."""
    starts = [start for start, _, what in spans if what.endswith(" marker")]
    ends = starts[1:] + [next((start for start, _, what in spans if what == "EOI"), len(data))]
    segments = [data[a:b] for a, b in zip(starts, ends)]
    tail = data[ends[-1] :]
    for at, segment in enumerate(segments):
        name = f"segment {at} ({segment[1]:02X})"
        # progressive: whatever scans are there make a picture, so nothing is said of a missing one
        essential = segment[1] in (0xC0, 0xC2) or (segment[1] == 0xDA and sum(s[1] == 0xDA for s in segments) == 1)
        yield f"without {name}", make_jpeg.SOI + b"".join(segments[:at] + segments[at + 1 :]) + tail, "error" if essential else None
        yield f"{name} twice", make_jpeg.SOI + b"".join(segments[: at + 1] + segments[at:]) + tail, None
        if at + 1 < len(segments):
            yield f"{name} behind its follower", make_jpeg.SOI + b"".join(segments[:at] + [segments[at + 1], segment] + segments[at + 2 :]) + tail, None
    restarts = [start for start, _, what in spans if what == "RST"]
    for number, start in enumerate(restarts[:6]):
        yield f"without restart marker {number}", data[:start] + data[start + 2 :], "error"
        yield f"restart marker {number} has another number", data[: start + 1] + bytes([0xD0 + (data[start + 1] + 3) % 8]) + data[start + 2 :], "error"
    for first, second in zip(restarts[:5], restarts[1:6]):
        third = next((s for s in restarts if s > second), None)
        if third:
            yield f"restart intervals at {first} and {second} swapped", data[:first] + data[second:third] + data[first:second] + data[third:], "error"
    yield "bytes behind EOI", data + b"behind", "same"
    yield "no EOI", data[:-2], None
    yield "a second picture behind it", data + data, "same"


def jpeg_bases():
    photo = make_jpeg.photograph(96, 120)
    yield jpeg_base("baseline_420.jpg", make_jpeg.encode(photo, subsampling="4:2:0"))
    yield jpeg_base("progressive.jpg", make_jpeg.encode(photo, progressive=True, subsampling="4:2:2"))
    yield jpeg_base("gray.jpg", make_jpeg.encode(make_jpeg.photograph(64, 50, 1)))
    yield jpeg_base("cmyk.jpg", make_jpeg.with_adobe_transform(make_jpeg.encode(make_jpeg.photograph(40, 40, 4)), 0))
    restarts = make_jpeg.make_restarts()
    if restarts:
        yield jpeg_base("restarts.jpg", restarts.data)
    tagged = make_jpeg.encode(make_jpeg.photograph(30, 41), icc_profile=make_png.icc_profile(), optimize=True)
    yield jpeg_base("tagged.jpg", make_jpeg.insert(tagged, make_jpeg.exif_segment(3), make_jpeg.marker(0xFE, b"a comment")))


def exr_base(name, data):
    spans, entries, bodies = exr_layout(data)
    lengths = [(start, "<i") for start, _, what in spans if what.endswith(" size")]
    lengths += [(start + 4 * n, "<i") for start, end, what in spans if what in ("dataWindow value", "tiles value", "chunk place", "chunkCount value") for n in range((end - start) // 4)]
    return Base(name, data, spans, list(exr_chunk_orders(data, entries, bodies)), lengths)


def exr_chunk_orders(data, entries, bodies):
    """The chunk table and the chunks: zero as a crashed renderer leaves it, lying, swapped; chunks gone or twice."""
    def table(changes, tail=None):
        out = bytearray(data)
        for entry, value in changes:
            out[entry : entry + 8] = struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)
        return bytes(out if tail is None else out[:tail])

    value = {entry: struct.unpack_from("<Q", data, entry)[0] for entry in entries}
    middle, last = entries[len(entries) // 2], entries[-1]
    yield "every chunk offset zero", table([(e, 0) for e in entries]), None
    yield "every chunk offset zero, no chunks", table([(e, 0) for e in entries], bodies[0][0]), "error"
    if len(entries) > 1:
        later = entries[len(entries) // 2 :]
        first_gone = min(value[e] for e in later)
        yield "later chunk offsets zero, their chunks not written", table([(e, 0) for e in later if value[e] >= first_gone], first_gone), "error"
        yield "later chunk offsets zero, their chunks there", table([(e, 0) for e in later]), None
        yield "two chunk offsets swapped", table([(entries[0], value[entries[1]]), (entries[1], value[entries[0]])]), None
        yield "one chunk offset twice", table([(entries[1], value[entries[0]])]), None
        yield "offsets in reverse", table(list(zip(entries, [value[e] for e in reversed(entries)]))), None
        a, b = bodies[0], bodies[1]
        yield "the first two chunks swapped, offsets as they were", data[: a[0]] + data[b[0] : b[1]] + data[a[0] : a[1]] + data[b[1] :], None
        yield "the first chunk twice, instead of the second", data[: a[1]] + data[a[0] : a[1]] + data[b[1] :], "error"
    for entry in (entries[0], middle, last):
        which = (entry - entries[0]) // 8
        for words, number in (("zero", 0), ("one byte less", value[entry] - 1), ("one byte more", value[entry] + 1), ("the end of the file", len(data)), ("far outside", 1 << 40),
                              ("all ones", -1), ("in the header", 16), ("itself", entry), ("half", value[entry] // 2)):
            yield f"chunk offset {which} is {words}", table([(entry, number)]), None
    start, end = bodies[-1]
    yield "the last chunk is gone, its offset stands", data[:start], "error"
    yield "the last chunk lacks a byte", data[: end - 1], "error"
    start, end = bodies[len(bodies) // 2]
    yield "a middle chunk is cut out", data[:start] + data[end:], "error" if end != len(data) else None
    yield "a middle chunk is twice in the file", data[:end] + data[start:end] + data[end:], None
    yield "bytes behind the last chunk", data + b"behind" * 20, "same"


def exr_bases():
    rgba = ["R", "G", "B", "A"]
    for method, code in (("none", NONE), ("rle", RLE), ("zips", ZIPS), ("zip", ZIP)):
        part = simple(rgba, HALF, width=64, height=80, compression=code, seed=5)
        for c in part.channels:  # smooth, so that the methods have something to do
            c.planes[(0, 0)] = ((np.arange(64)[None, :] // 3 + np.arange(80)[:, None]) % 90 + 0x3800 + ord(c.name[0])).astype(np.uint16)
        yield exr_base(f"{method}.exr", exr(part))
    yield exr_base("zip_tiled.exr", exr(simple(["R", "G", "B"], FLOAT, width=40, height=30, compression=ZIP, tile=(16, 16), seed=6)))
    yield exr_base("none_decreasing.exr", exr(simple(["Y"], HALF, width=30, height=20, line_order=make_exr.DECREASING, seed=7)))
    mip = Part([], (0, 0, 36, 24), tile=(16, 16), mode=MIP, compression=ZIPS)
    mip.channels = [channel(n, HALF, mip.size, 31, levels=mip.levels()) for n in "RGB"]
    yield exr_base("mip.exr", exr(mip))
    one = simple(rgba, HALF, width=24, height=40, display=(0, 0, 23, 39), compression=ZIP, seed=8, name="beauty")
    two = simple(["Z"], FLOAT, width=12, height=20, display=(0, 0, 23, 39), compression=RLE, seed=9, name="depth")
    yield exr_base("parts.exr", exr(one, two))
    for method, code, tile in (("rle", RLE, None), ("zip", ZIP, None), ("zip", ZIP, (64, 64))):  # more than open decodes
        part = simple(rgba, HALF, width=300, height=256, compression=code, tile=tile, seed=5)
        for c in part.channels:
            c.planes[(0, 0)] = ((np.arange(300)[None, :] // 5 + np.arange(256)[:, None]) % 90 + 0x3800 + ord(c.name[0])).astype(np.uint16)
        yield exr_base(f"large_{method}{'_tiled' if tile else ''}.exr", exr(part))
    oiio = make_exr_other.oiio
    if oiio:
        for method in ("piz", "pxr24", "b44", "b44a", "dwaa", "dwab"):
            pixels = make_exr_other.picture(70, 90, 4, seed=len(method))
            tile = (32, 32) if method in ("piz", "dwaa") else None
            yield exr_base(f"{method}.exr", make_exr_other.written("a.exr", make_exr_other.spec_of(70, 90, oiio.HALF, method, tile=None), pixels))
            if method != "b44a":
                large = make_exr_other.picture(256, 300, 4, seed=len(method))
                yield exr_base(f"large_{method}.exr", make_exr_other.written("a.exr", make_exr_other.spec_of(256, 300, oiio.HALF, method), large))
            if tile:
                yield exr_base(f"{method}_tiled.exr", make_exr_other.written("a.exr", make_exr_other.spec_of(70, 90, oiio.FLOAT, method, tile=tile), pixels))


def zip_base(name, entries, **fields):
    data = zip_of(*entries, **fields)
    spans = zip_spans(data)
    lengths = []
    for start, _, what in spans:
        places = {"local header": ((14, "<I"), (18, "<I"), (22, "<I"), (26, "<H"), (28, "<H")),
                  "central header": ((16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (30, "<H"), (32, "<H"), (42, "<I")),
                  "end record": ((8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"), (20, "<H"))}.get(what, ())
        lengths += [(start + at, kind) for at, kind in places]
    return Base(name, data, spans, list(zip_orders(data, spans, entries)), lengths)


def zip_orders(data, spans, entries):
    """Headers of the directory gone, twice or swapped; local headers that say something else; the end record moved."""
    central = [(a, spans[n + 1][1]) for n, (a, _, what) in enumerate(spans) if what == "central header"]
    locals_ = [(a, b) for a, b, what in spans if what == "local header"]
    end = next(a for a, _, what in spans if what == "end record")
    for number, (a, b) in enumerate(central):
        yield f"central header {number} gone, count and size as they were", data[:a] + data[b:], None
        yield f"central header {number} twice, count and size as they were", data[:b] + data[a:b] + data[b:], None
    (a, b), (c, d) = central[0], central[1]
    yield "the first two central headers swapped", data[:a] + data[c:d] + data[a:b] + data[d:], "same"
    for number, (a, _) in enumerate(locals_[:3]):
        for words, at, kind, value in (("method", 8, "<H", 8 - entries[number].method), ("CRC", 14, "<I", 0x12345678), ("packed size", 18, "<I", 1), ("size", 22, "<I", 7), ("flags", 6, "<H", 1)):
            changed = bytearray(data)
            struct.pack_into(kind, changed, a + at, value)
            yield f"local header {number}: another {words}", bytes(changed), None
        changed = bytearray(data)
        changed[a + 30] ^= 1
        yield f"local header {number}: another name", bytes(changed), "same"
    yield "bytes behind the end", data + b"behind", "same"
    yield "a second end record behind it", data + data[end:], None
    yield EMPTY_BEHIND, data + b"PK\5\6" + bytes(18), None
    yield "bytes before the archive", b"#!/bin/sh\n" * 50 + data, "same"
    yield "without the end record", data[:end], "error"
    yield "a comment that lies about its length", data[: end + 20] + struct.pack("<H", 400) + data[end + 22 :], None
    yield "the archive twice", data + data, "same"


EMPTY_BEHIND = "an end record of an empty archive behind it"  # an empty archive behind a prefix: nothing is missing
ZIP_TEXT = b"words that anyone may read\n" * 900


def zip_images():
    small = make_png.png(pattern(12, 9, 3, 8, 50), make_png.RGB, 8)
    rows = np.repeat(pattern(20, 40, 3, 8, 51), 6, axis=0)
    return {b"a/small.png": small, b"a/rows.png": make_png.png(rows, make_png.RGB, 8), b"photo.jpg": make_jpeg.encode(make_jpeg.photograph(48, 56)),
            b"render.exr": exr(simple(["R", "G", "B"], HALF, width=20, height=40, compression=NONE, seed=3))}


def zip_bases():
    files = {**zip_images(), b"words.txt": ZIP_TEXT}
    for label, method in (("stored", STORED), ("deflated", DEFLATE)):
        yield zip_base(f"{label}.zip", [Entry(name, data, method) for name, data in files.items()])
    yield zip_base("comment.zip", [Entry(name, data, DEFLATE if n % 2 else STORED) for n, (name, data) in enumerate(files.items())], comment=b"what was packed here" * 9)


FORMATS = {"png": png_bases, "jpeg": jpeg_bases, "exr": exr_bases, "zip": zip_bases}


# ---- mutators that know only spans ----

def truncations(base, source, count):
    for start, end, what in base.spans:
        yield f"cut at byte {start}, before {what}", base.data[:start], None
        if end - start > 1:
            yield f"cut at byte {end - 1}, in {what}", base.data[: end - 1], None
    for _ in range(count):
        length = source.randrange(len(base.data))
        yield f"cut at byte {length}", base.data[:length], None


def flipped(base, byte, bit):
    changed = bytearray(base.data)
    changed[byte] ^= 1 << bit
    return bytes(changed)


def flips(base, source, count):
    """In every span a few, so that small headers get as many as large data."""
    for start, end, what in base.spans:
        sure = any(word in what for word in base.checked)
        for _ in range(count):
            byte, bit = source.randrange(start, end), source.randrange(8)
            yield f"bit {bit} of byte {byte} flipped ({what})", flipped(base, byte, bit), "error" if sure else None


def lying_lengths(base, source):
    for offset, kind in base.lengths:
        size = struct.calcsize(kind)
        was = struct.unpack_from(kind, base.data, offset)[0]
        top = 1 << (8 * size)
        for value in {0, 1, was + 1, was - 1, was * 2, top // 2 - 1, top // 2, top - 1, source.randrange(top)} - {was}:
            changed = bytearray(base.data)
            changed[offset : offset + size] = (value % top).to_bytes(size, "big" if kind[0] == ">" else "little")
            yield f"the {size} bytes at {offset}, {was}, say {value % top}", bytes(changed), None


def smears(base, source, count):
    """Runs of bytes zeroed, lost, doubled or of noise, as disks and networks leave them."""
    for _ in range(count):
        start = source.randrange(len(base.data))
        length = min(len(base.data) - start, source.choice((1, 2, 3, 4, 8, 16, 64, 512)))
        kind = source.choice(("zeroed", "lost", "doubled", "noise", "ones"))
        middle = {"zeroed": bytes(length), "lost": b"", "doubled": base.data[start : start + length] * 2, "noise": bytes(source.randrange(256) for _ in range(length)), "ones": b"\xff" * length}[kind]
        data = base.data[:start] + middle + base.data[start + length :]
        if data != base.data:
            yield f"{length} bytes at {start} {kind}", data, None


def several_flips(base, source, count):
    for _ in range(count):
        changed, places = bytearray(base.data), []
        for _ in range(source.randrange(2, 9)):
            byte, bit = source.randrange(len(base.data)), source.randrange(8)
            changed[byte] ^= 1 << bit
            places.append(f"{byte}.{bit}")
        yield f"bits flipped at {' '.join(places)}", bytes(changed), None


def mutations(kind, seed, count=None):
    """All Mutations of a format, or count of them, every base and mutator having its share; numbered alike in both cases."""
    found, number = [], 0
    for base in FORMATS[kind]():
        source = random.Random(f"{seed} {base.name}")
        groups = (truncations(base, source, 20), flips(base, source, 4), lying_lengths(base, source), smears(base, source, 40), several_flips(base, source, 20), base.more)
        for group, made in enumerate(groups):
            for words, data, expected in made:
                if data != base.data:
                    found.append((base.name, group, Mutation(number, base, words, data, expected)))
                    number += 1
    if count is None or count >= len(found):
        return [mutation for _, _, mutation in found]
    shares = {}
    for name, group, mutation in found:
        shares.setdefault((name, group), []).append(mutation)
    source, out = random.Random(seed), []
    for share in shares.values():
        source.shuffle(share)
    while len(out) < count:
        for share in shares.values():
            if share and len(out) < count:
                out.append(share.pop())
    return sorted(out, key=lambda mutation: mutation.number)


def main():
    kind, seed, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    mutation = next(m for m in mutations(kind, seed) if m.number == number)
    print(f"{mutation.base.name}: {mutation.words}", file=sys.stderr)
    sys.stdout.buffer.write(mutation.data)


if __name__ == "__main__":
    main()
