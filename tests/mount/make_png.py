"""make_png.py - PNG files field by field, of every kind the format knows, with the arrays they hold.

Reference: Portable Network Graphics, third edition (W3C). Section numbers in comments are that document's.
"""
import struct
import zlib

import numpy as np

from case import Case, normalized, pattern

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
PLANES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
NAMES = {GRAY: ["Y"], RGB: ["R", "G", "B"], GRAY_ALPHA: ["Y", "A"], RGBA: ["R", "G", "B", "A"]}
KINDS = {GRAY: "gray", RGB: "rgb", PALETTE: "palette", GRAY_ALPHA: "gray_alpha", RGBA: "rgba"}
# 8.1: the seven passes of Adam7 as (first column, first row, column step, row step)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, body=b""):
    """5.3: length, type, data, CRC-32 over type and data."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bad_chunk(kind, body=b""):
    """A chunk whose CRC is wrong by one bit."""
    whole = chunk(kind, body)
    return whole[:-1] + bytes([whole[-1] ^ 1])


def ihdr(width, height, depth, color_type, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlace))


def pack_rows(samples, depth):
    """7.2: samples of (h, w, planes) to rows of bytes, leftmost sample in the high bits, 16 bit big-endian."""
    height = samples.shape[0]
    flat = samples.reshape(height, -1)
    if depth == 16:
        return flat.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return flat.astype(np.uint8)
    bits = ((flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
    return np.packbits(bits.reshape(height, -1), axis=1)


def filter_rows(rows, step, filters):
    """9.2: each row behind its filter byte; the filter types come round in turn. step: bytes of a whole pixel, at least 1."""
    out = bytearray()
    above = np.zeros(rows.shape[1], np.int16)
    for number, row in enumerate(rows.astype(np.int16)):
        left = np.concatenate([np.zeros(step, np.int16), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, np.int16), above])[: len(row)]
        estimate = left + above - corner
        to_left, to_above, to_corner = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
        paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner))
        kind = filters[number % len(filters)]
        guess = (0, left, above, (left + above) >> 1, paeth)[kind]
        out.append(kind)
        out += ((row - guess) & 255).astype(np.uint8).tobytes()
        above = row
    return bytes(out)


def image_data(samples, depth, interlace=0, filters=(0, 1, 2, 3, 4)):
    """The filtered bytes of an image before compression, all passes behind each other."""
    step = max(1, samples.shape[2] * depth // 8)
    if not interlace:
        return filter_rows(pack_rows(samples, depth), step, filters)
    out = b""
    for x0, y0, dx, dy in ADAM7:
        part = samples[y0::dy, x0::dx]
        if part.size:  # 8.1: an empty pass has no filter bytes either
            out += filter_rows(pack_rows(part, depth), step, filters)
    return out


def idats(data, pieces=1, level=6):
    """The zlib stream split over IDAT chunks; their borders mean nothing (11.2.3)."""
    stream = zlib.compress(data, level)
    size = -(-len(stream) // pieces)
    return b"".join(chunk(b"IDAT", stream[at : at + size]) for at in range(0, len(stream), size))


def png(samples, color_type, depth, interlace=0, before=b"", pieces=1, after=b"", filters=(0, 1, 2, 3, 4), end=True):
    """A whole file. before: chunks between IHDR and IDAT; after: chunks between IDAT and IEND."""
    height, width = samples.shape[:2]
    body = idats(image_data(samples, depth, interlace, filters), pieces)
    return SIGNATURE + ihdr(width, height, depth, color_type, interlace) + before + body + after + (chunk(b"IEND") if end else b"")


def palette_of(count, seed=3):
    return pattern(count, 1, 3, 8, seed).reshape(count, 3)


def make_plain(height=9, width=13):
    """Every colour type, depth and interlace method (table 11.1)."""
    for color_type, depths in DEPTHS.items():
        for depth in depths:
            for interlace in (0, 1):
                stored = pattern(height, width, PLANES[color_type], depth, seed=depth)
                name = f"{KINDS[color_type]}{depth}{'_interlaced' if interlace else ''}.png"
                facts = {"bit_depth": 8 if color_type == PALETTE else depth, "width": width, "height": height, "format": "png", "is_float": False}
                if color_type == PALETTE:
                    colors = palette_of(1 << depth)
                    data = png(stored, color_type, depth, interlace, chunk(b"PLTE", colors.tobytes()))
                    yield Case(name, data, normalized(colors[stored[:, :, 0]], 8), NAMES[RGB], stored,
                               meta={**facts, "color_model": "RGB"})
                else:
                    model = {GRAY: "L", RGB: "RGB", GRAY_ALPHA: "LA", RGBA: "RGBA"}[color_type]
                    yield Case(name, png(stored, color_type, depth, interlace), normalized(stored, depth), NAMES[color_type], stored,
                               meta={**facts, "color_model": model, "normalization.divisor": 2 ** depth - 1})


def make_sizes():
    """Tiny interlaced images, where some of the seven passes are empty, and odd widths of packed samples."""
    for width, height in ((1, 1), (2, 1), (3, 2), (4, 4), (5, 5), (1, 9), (8, 1)):
        stored = pattern(height, width, 1, 1, seed=width)
        yield Case(f"size_{width}x{height}_interlaced.png", png(stored, GRAY, 1, 1), normalized(stored, 1), ["Y"], stored)
        stored = pattern(height, width, 3, 16, seed=width)
        yield Case(f"size_{width}x{height}_rgb16_interlaced.png", png(stored, RGB, 16, 1), normalized(stored, 16), NAMES[RGB], stored)


def make_transparency():
    """tRNS (11.3.1.1): one gray level or colour compared before scaling, or alpha for the first palette entries."""
    for depth in DEPTHS[GRAY]:
        stored = pattern(6, 7, 1, depth, seed=20 + depth)
        key = int(stored[2, 3, 0])
        alpha = (stored != key).astype(np.float32)
        data = png(stored, GRAY, depth, before=chunk(b"tRNS", struct.pack(">H", key)))
        yield Case(f"trns_gray{depth}.png", data, np.dstack([normalized(stored, depth), alpha]), ["Y", "A"], meta={"color_model": "LA", "alpha.mode": "straight"})
    for depth in DEPTHS[RGB]:
        stored = pattern(6, 7, 3, depth, seed=30 + depth)
        stored[4, 1] = stored[2, 3]
        stored[5, 5] = stored[2, 3]
        stored[5, 5, 2] ^= 1  # nearly the key: stays opaque
        key = stored[2, 3]
        alpha = (stored != key).any(axis=2, keepdims=True).astype(np.float32)
        data = png(stored, RGB, depth, before=chunk(b"tRNS", struct.pack(">HHH", *map(int, key))))
        yield Case(f"trns_rgb{depth}.png", data, np.dstack([normalized(stored, depth), alpha]), NAMES[RGBA], meta={"color_model": "RGBA"})
    for depth in DEPTHS[PALETTE]:
        for interlace in (0, 1):
            stored = pattern(6, 7, 1, depth, seed=40 + depth)
            colors = palette_of(1 << depth)
            opaque = np.full(1 << depth, 255, np.uint8)
            short = pattern(1, max(1, (1 << depth) // 2), 1, 8, seed=7).ravel()  # entries behind the last are opaque
            opaque[: len(short)] = short
            data = png(stored, PALETTE, depth, interlace, chunk(b"PLTE", colors.tobytes()) + chunk(b"tRNS", short.tobytes()))
            wanted = np.dstack([colors[stored[:, :, 0]], opaque[stored[:, :, 0]]])
            yield Case(f"trns_palette{depth}{'_interlaced' if interlace else ''}.png", data, normalized(wanted, 8), NAMES[RGBA], stored, meta={"color_model": "RGBA"})


def text_chunks():
    """tEXt, zTXt, iTXt (11.3.3) with Latin-1, UTF-8, and bytes that are neither."""
    yield chunk(b"tEXt", b"Title\0caf\xe9 \"quoted\" \\ back")
    yield chunk(b"tEXt", b"Comment\0line one\nline two\ttab\x01\x7f\x9f")
    yield chunk(b"zTXt", b"Description\0\0" + zlib.compress(b"packed " * 50))
    yield chunk(b"iTXt", "Author\0\0\0de\0Urheber\0Grüße 漢字 \U0001F600".encode())
    yield chunk(b"iTXt", b"Copyright\0\1\0\0\0" + zlib.compress("© packed".encode()))
    yield chunk(b"iTXt", b"Disclaimer\0\0\0\0\0\xff\xfe not UTF-8 \xc3")


def make_chunks():
    """What ancillary chunks say is told in meta.json and never applied to the pixels."""
    rgb = pattern(5, 6, 3, 8, seed=50)
    base = dict(pixels=normalized(rgb, 8), channel_names=NAMES[RGB], native=rgb)
    cases = {
        "chunk_sbit.png": (chunk(b"sBIT", bytes([5, 6, 5])), {"bit_depth": 8}),
        "chunk_gama.png": (chunk(b"gAMA", struct.pack(">I", 45455)), {"color.source": "gAMA"}),
        "chunk_chrm.png": (chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
                           {"color.chromaticities": {"red": [0.64, 0.33], "green": [0.3, 0.6], "blue": [0.15, 0.06], "white": [0.3127, 0.329]}}),
        "chunk_srgb.png": (chunk(b"sRGB", b"\0"), {"color.transfer": "srgb", "color.source": "sRGB", "color.interop_id": "srgb_rec709_scene"}),
        "chunk_cicp.png": (chunk(b"cICP", bytes([9, 16, 0, 1])), {"color.transfer": "pq", "color.source": "cICP"}),
        "chunk_iccp.png": (chunk(b"iCCP", b"some profile\0\0" + zlib.compress(icc_profile())), {"color.source": "iCCP"}),
        "chunk_phys.png": (chunk(b"pHYs", struct.pack(">IIB", 3780, 1890, 1)), {"resolution.x": 3780, "resolution.y": 1890, "resolution.unit": "1/m"}),
        "chunk_exif.png": (chunk(b"eXIf", exif(orientation=6)), {"orientation.exif": 6, "orientation.applied": False}),
        "chunk_text.png": (b"".join(text_chunks()), {}),
        "chunk_time_bkgd.png": (chunk(b"tIME", struct.pack(">HBBBBB", 2024, 2, 29, 12, 30, 59)) + chunk(b"bKGD", struct.pack(">HHH", 1, 2, 3)), {}),
        "chunk_private.png": (chunk(b"prVt", b"anything at all"), {}),
        "chunk_text_bad_crc.png": (bad_chunk(b"tEXt", b"Title\0ignored"), {}),
        "chunk_none.png": (b"", {"color.transfer": "unknown", "color.interop_id": "unknown", "color.source": "none", "alpha.mode": "none"}),
    }
    for name, (before, facts) in cases.items():
        yield Case(name, png(rgb, RGB, 8, before=before), meta=facts, **base)
    yield Case("idat_pieces.png", png(rgb, RGB, 8, pieces=40), **base)
    yield Case("idat_empty.png", png(rgb, RGB, 8, before=chunk(b"IDAT"), after=chunk(b"IDAT")), **base)
    yield Case("no_iend.png", png(rgb, RGB, 8, end=False), **base)
    yield Case("bytes_behind_iend.png", png(rgb, RGB, 8) + b"trailing bytes", **base)
    yield Case("upper.PNG", png(rgb, RGB, 8), **base)


def exif(orientation):
    """A TIFF header and one IFD with Orientation (0x0112, SHORT) and a camera's name (0x0110, ASCII)."""
    model = b"Probe 1\0"
    entries = [struct.pack("<HHII", 0x0110, 2, len(model), 8 + 2 + 2 * 12 + 4), struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", 0) + model


def icc_profile():
    """The 128 bytes of a header and one tag: enough to be carried; nobody here interprets it."""
    tag = b"desc" + bytes(4) + struct.pack(">I", 6) + b"probe\0" + bytes(67)
    body = struct.pack(">I", 1) + b"desc" + struct.pack(">II", 128 + 16, len(tag)) + tag
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + body


def make_animation():
    """APNG: the default image is what IDAT holds, whether or not the animation begins with it."""
    first, second = pattern(6, 5, 4, 8, seed=60), pattern(6, 5, 4, 8, seed=61)
    control = chunk(b"acTL", struct.pack(">II", 2, 0))

    def fctl(sequence):
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, 5, 6, 0, 0, 1, 10, 0, 0))

    def fdat(sequence, samples):
        return chunk(b"fdAT", struct.pack(">I", sequence) + zlib.compress(image_data(samples, 8)))

    data = png(first, RGBA, 8, before=control + fctl(0), after=fctl(1) + fdat(2, second))
    yield Case("apng_first_is_default.png", data, normalized(first, 8), NAMES[RGBA])
    data = png(first, RGBA, 8, before=control, after=fctl(0) + fdat(1, second) + fctl(2) + fdat(3, second))
    yield Case("apng_default_apart.png", data, normalized(first, 8), NAMES[RGBA])


def make_damaged():
    """name -> bytes that no decoder may take for whole: an error at open or read."""
    stored = pattern(40, 40, 3, 8, seed=70)
    whole = png(stored, RGB, 8, pieces=3)
    raw = image_data(stored, 8)
    head = SIGNATURE + ihdr(40, 40, 8, RGB)
    end = chunk(b"IEND")
    indices = pattern(8, 8, 1, 8, seed=71)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x10
    return {
        "truncated.png": whole[: len(whole) * 2 // 3],
        "cut_in_header.png": whole[:20],
        "flipped_bit.png": bytes(flipped),
        "bad_ihdr_crc.png": SIGNATURE + bad_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, RGB, 0, 0, 0)) + idats(raw) + end,
        "bad_idat_crc.png": head + bad_chunk(b"IDAT", zlib.compress(raw)) + end,
        "rows_missing.png": head + idats(raw[: len(raw) // 2]) + end,
        "bad_filter.png": head + idats(b"\x09" + raw[1:]) + end,
        "bad_zlib.png": head + chunk(b"IDAT", b"\x78\x9c" + b"\xff" * 200) + end,
        "no_idat.png": head + end,
        "index_out_of_range.png": png(indices, PALETTE, 8, before=chunk(b"PLTE", palette_of(16).tobytes())),
        "no_palette.png": png(indices, PALETTE, 8),
        "zero_width.png": SIGNATURE + ihdr(0, 40, 8, RGB) + idats(raw) + end,
        "bad_depth.png": SIGNATURE + ihdr(40, 40, 3, RGB) + idats(raw) + end,
        "empty.png": b"",
        "not_an_image.png": b"\1\2 no format at all\0" * 5,
    }


def make_all():
    for maker in (make_plain, make_sizes, make_transparency, make_chunks, make_animation):
        yield from maker()


def slow_png(side=8192):
    """An interlaced 16-bit RGB image of zeros: small as a file, slow to decode, and only as a whole.
    One compressed piece, flushed to a byte border, is repeated; Adler-32 of n zeros is (n mod 65521) << 16 | 1."""
    total = sum(-(-(side - y0) // dy) * (1 + 6 * -(-(side - x0) // dx)) for x0, y0, dx, dy in ADAM7)
    size = 1 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail = last.compress(bytes(total % size)) + last.flush()
    stream = b"\x78\xda" + piece * (total // size) + tail + struct.pack(">I", (total % 65521) << 16 | 1)
    return SIGNATURE + ihdr(side, side, 16, RGB, 1) + chunk(b"IDAT", stream) + chunk(b"IEND")
