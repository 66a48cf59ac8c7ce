"""make_exr_cases.py - the OpenEXR test files of make_exr.py, with what the mount must show of each."""
import struct

import numpy as np

from case import Case
from make_exr import (DECREASING, FLOAT, HALF, MIP, NONE, RANDOM, RIP, RLE, UINT, ZIP, ZIPS, Channel, Part, channel, exr, header, simple, stack,
                      string_vector, text)

RGBA = ["R", "G", "B", "A"]
METHODS = {"none": NONE, "rle": RLE, "zips": ZIPS, "zip": ZIP}


def case(name, part, names, *others, meta=None, **fields):
    facts = {"format": "openexr", "channel_names": names, **(meta or {})}
    return Case(name, exr(part, *others), stack(part.channels, names), names, meta=facts, **fields)


def make_types():
    for method, code in METHODS.items():
        for label, kind in (("half", HALF), ("float", FLOAT), ("uint", UINT)):
            part = simple(RGBA, kind, compression=code, seed=1)
            yield case(f"{method}_{label}.exr", part, RGBA, meta={"compression": method, "is_float": kind != UINT})
        mixed = simple(RGBA, (HALF, FLOAT, UINT, HALF), compression=code, seed=2)
        yield case(f"{method}_mixed.exr", mixed, RGBA, meta={"channel_datatype": ["F16", "F32", "U32", "F16"]})
        tiles = simple(RGBA, HALF, compression=code, tile=(8, 5), seed=3)
        yield case(f"{method}_tiled.exr", tiles, RGBA, meta={"random_access": "tile", "chunk": [5, 8]})
    exact = Part([Channel("Y", UINT, {(0, 0): np.arange(12, dtype=np.uint32).reshape(3, 4) << 20})], (0, 0, 3, 2))
    yield case("uint_fits_float.exr", exact, ["Y"], meta={"color_model": "L"})


def make_values():
    """Every half, and floats that only their bits tell apart."""
    halves = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    yield case("all_halves.exr", Part([Channel("Y", HALF, {(0, 0): halves})], (0, 0, 255, 255), compression=ZIP), ["Y"])
    odd = [0x7FC00000, 0x7FC12345, 0xFFC00001, 0x7F800001, 0xFF812345, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0x3F800000]
    bits = np.array(odd, np.uint32).reshape(3, 4)
    for method, code in METHODS.items():
        yield case(f"float_bits_{method}.exr", Part([Channel("Y", FLOAT, {(0, 0): bits})], (0, 0, 3, 2), compression=code), ["Y"])


def make_windows():
    for label, origin in (("negative", (-7, -30)), ("large", (1 << 20, -(1 << 20))), ("positive", (100, 3))):
        display = (0, 0, 1919, 1079)
        box = {"x": origin[0], "y": origin[1], "width": 19, "height": 21}
        for tiled in (None, (8, 8)):
            part = simple(RGBA, HALF, origin=origin, display=display, compression=ZIP, tile=tiled, seed=4)
            yield case(f"window_{label}{'_tiled' if tiled else ''}.exr", part, RGBA, meta={"width": 19, "height": 21, "data_window": box, "display_window": {"x": 0, "y": 0, "width": 1920, "height": 1080}})
    for method, code in METHODS.items():
        part = simple(RGBA, HALF, compression=code, line_order=DECREASING, origin=(-3, -5), seed=5)
        yield case(f"decreasing_{method}.exr", part, RGBA, meta={"row_order": "top_to_bottom", "attributes.openexr.lineOrder": "decreasing"})
    for label, order in (("decreasing", DECREASING), ("random", RANDOM)):
        part = simple(RGBA, HALF, compression=ZIP, line_order=order, tile=(8, 8), seed=6)
        yield case(f"{label}_tiled.exr", part, RGBA, meta={"row_order": "top_to_bottom", "attributes.openexr.lineOrder": label})


def make_names():
    """Which channels are pixels, and how names become directories."""
    for names, model in ((["Y"], "L"), (["Y", "A"], "LA"), (["R", "G", "B"], "RGB")):
        yield case(f"names_{''.join(names).lower()}.exr", simple(names, HALF, seed=7), names, meta={"color_model": model})
    passes = ["R", "G", "B", "A", "Z", "id", "diffuse.R", "diffuse.G", "diffuse.B", "spec.albedo.R", "spec.albedo.G", "spec.albedo.B", "motion.X", "motion.Y"]
    kinds = [HALF] * 4 + [FLOAT, UINT] + [HALF] * 6 + [FLOAT, FLOAT]
    part = simple(passes, kinds, compression=ZIP, seed=8)
    others = {c.name: c.values() for c in part.channels if c.name not in RGBA}
    layers = {"diffuse": stack(part.channels, ["diffuse.R", "diffuse.G", "diffuse.B"]), "motion": stack(part.channels, ["motion.X", "motion.Y"]),
              "spec.albedo": stack(part.channels, ["spec.albedo.R", "spec.albedo.G", "spec.albedo.B"])}
    yield case("passes.exr", part, RGBA, channels=others, layers=layers)
    only = ["ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B", "ViewLayer.Depth.Z"]
    part = simple(only, HALF, compression=ZIP, seed=9)
    layers = {"ViewLayer.Combined": stack(part.channels, only[:3]), "ViewLayer.Depth": stack(part.channels, only[3:])}
    yield Case("no_root.exr", exr(part), stack(part.channels, only[:3]), only[:3], layers=layers,
               channels={c.name: c.values() for c in part.channels})
    hostile = ["R", "G", "B", "a/b.X", "50%.X", ".hidden.X", "with space.X", "schön.X", "long" * 40 + ".X"]
    part = simple(hostile, FLOAT, seed=10)
    shown = {"a%2Fb": "a/b.X", "50%25": "50%.X", "%2Ehidden": ".hidden.X", "with space": "with space.X", "schön": "schön.X", "long" * 40: "long" * 40 + ".X"}
    yield case("hostile_names.exr", part, ["R", "G", "B"], layers={d: stack(part.channels, [n]) for d, n in shown.items()},
               channels={d + ".X": stack(part.channels, [n])[:, :, 0] for d, n in shown.items()})


REC709 = tuple(map(np.float32, (0.2126390059, 0.7151686788, 0.0721923154)))  # Y of the primaries of Rec. 709, white being 1


def luma_chroma(stored):
    """R, G, B of Y and half-size RY and BY: "Luminance/Chroma Images" of the Technical Introduction, in float32."""
    y, (ry, by) = stored["Y"], (stored[n].repeat(2, 0).repeat(2, 1) for n in ("RY", "BY"))
    with np.errstate(all="ignore"):
        r, b = (ry + np.float32(1)) * y, (by + np.float32(1)) * y
        g = np.where((ry == 0) & (by == 0), y, (y - r * REC709[0] - b * REC709[2]) / REC709[1])
    pixels = np.dstack([r, g, b])
    pixels[np.isnan(pixels)] = np.nan
    return pixels


def make_subsampled():
    """Luminance and chroma at half resolution: as colours in pixels, themselves in channels/."""
    window, size = (-4, -8, 15, 11), (20, 20)
    for method, code in METHODS.items():
        for order in ((0, 1) if code else (0,)):
            part = Part([channel("Y", HALF, size, 11), channel("RY", HALF, size, 12, (2, 2)), channel("BY", HALF, size, 13, (2, 2))], window,
                        compression=code, line_order=order)
            name = f"luminance_chroma_{method}{'_decreasing' if order else ''}.exr"
            stored = {c.name: c.values() for c in part.channels}
            yield Case(name, exr(part), luma_chroma(stored), ["R", "G", "B"], channels=stored)
    part = Part([channel("R", FLOAT, size, 14), channel("G", HALF, size, 15, (2, 1)), channel("B", UINT, size, 16, (4, 5))], (0, 0, 19, 19))
    by_name = {c.name: c for c in part.channels}
    repeated = [by_name["R"].values(), by_name["G"].values().repeat(2, 1), by_name["B"].values().repeat(5, 0).repeat(4, 1)]
    yield Case("subsampled_rgb.exr", exr(part), np.dstack(repeated), ["R", "G", "B"], channels={n: by_name[n].values() for n in ("G", "B")})


def make_parts():
    """Several parts, of one display window as the format demands."""
    def part_of(names, kind, name, **fields):
        return simple(names, kind, display=(0, 0, 18, 20), name=name, **fields)

    one = part_of(RGBA, HALF, "beauty", compression=ZIP, seed=20)
    two = part_of(["Z"], FLOAT, "depth", width=7, height=5, origin=(2, -2), seed=21)
    three = part_of(["spec.R", "spec.G", "spec.B"], HALF, "light", compression=ZIPS, tile=(8, 8), seed=22)
    layers = {"depth": stack(two.channels, ["Z"]), "light.spec": stack(three.channels, ["spec.R", "spec.G", "spec.B"])}
    yield case("parts.exr", one, RGBA, two, three, layers=layers)
    left, right = (part_of(RGBA, HALF, f"rgba.{view}", view=view, compression=ZIP, seed=23 + n) for n, view in enumerate(("left", "right")))
    yield case("parts_stereo.exr", left, RGBA, right, layers={"rgba.right": stack(right.channels, RGBA)})
    first, second = part_of(["Z"], FLOAT, "depth", seed=25), part_of(["R", "G", "B"], HALF, "beauty", width=6, height=4, seed=26)
    yield Case("parts_rgb_second.exr", exr(first, second), stack(second.channels, ["R", "G", "B"]), ["R", "G", "B"],
               layers={"depth": stack(first.channels, ["Z"])}, meta={"width": 6, "height": 4})
    single = part_of(["R", "G", "B"], HALF, "alone", compression=ZIP, seed=27)
    yield Case("parts_only_one.exr", exr(single, multi=True), stack(single.channels, ["R", "G", "B"]), ["R", "G", "B"])


def make_stereo():
    """One part, multiView: the default view's channels have no prefix."""
    names = ["R", "G", "B", "right.R", "right.G", "right.B"]
    part = simple(names, HALF, compression=ZIP, seed=30, attributes=[string_vector("multiView", ["left", "right"])])
    yield case("multiview.exr", part, ["R", "G", "B"], layers={"right": stack(part.channels, names[3:])})


def make_levels():
    for label, mode in (("mip", MIP), ("rip", RIP)):
        for round_up in (False, True):
            width, height = 21, 13
            part = Part([], (-2, 3, -2 + width - 1, 3 + height - 1), tile=(8, 6), mode=mode, round_up=round_up, compression=ZIP)
            part.channels = [channel(n, k, part.size, 31, levels=part.levels()) for n, k in (("R", HALF), ("G", FLOAT), ("B", HALF))]
            levels = {str(lx) if mode == MIP else f"{lx},{ly}": stack(part.channels, ["R", "G", "B"], (lx, ly)) for lx, ly in part.levels()}
            yield case(f"{label}_{'up' if round_up else 'down'}.exr", part, ["R", "G", "B"], levels=levels)


def make_attributes():
    extra = [text("owner", b"caf\xe9 \"quoted\" \\ \x01"), text("comments", "Grüße 漢字"), ("chromaticities", "chromaticities", struct.pack("<8f", .64, .33, .3, .6, .15, .06, .3127, .329)),
             ("whiteLuminance", "float", struct.pack("<f", float("nan"))), ("expTime", "float", struct.pack("<f", float("inf"))), ("aperture", "float", struct.pack("<f", 0.1)),
             ("worldToCamera", "m44f", struct.pack("<16f", *range(16))), ("someVector", "v3f", struct.pack("<3f", 1.5, -2.5, float("-inf"))),
             ("frames", "rational", struct.pack("<iI", 24000, 1001)), ("nothingKnown", "someType", b"\0\1\2\3"), string_vector("list", ["one", "two"]),
             ("preview", "preview", struct.pack("<II", 2, 1) + bytes(range(8)))]
    part = simple(["R", "G", "B"], HALF, seed=40, attributes=extra)
    yield case("attributes.exr", part, ["R", "G", "B"], meta={"attributes.openexr.comments": "Grüße 漢字", "attributes.openexr.whiteLuminance": "NaN",
                                                              "attributes.openexr.expTime": "Infinity", "attributes.openexr.worldToCamera": [float(n) for n in range(16)]})


def make_all():
    for maker in (make_types, make_values, make_windows, make_names, make_subsampled, make_parts, make_stereo, make_levels, make_attributes):
        yield from maker()


def make_incomplete():
    """An image with chunks that were never written: rows 32..47 of 64 are missing, the others are there."""
    part = simple(["R", "G", "B"], HALF, width=600, height=64, compression=ZIP, seed=50, missing={2})
    return Case("missing_chunk.exr", exr(part), stack(part.channels, ["R", "G", "B"]))


def ramp_part():
    """RGBA of 40 x 64 that compresses: four blocks of 16 rows."""
    ramp = (np.arange(40 * 64, dtype=np.uint16).reshape(64, 40) % 97) + 0x3800
    return Part([Channel(n, HALF, {(0, 0): ramp + i}) for i, n in enumerate(RGBA)], (0, 0, 39, 63), compression=ZIP)


def make_bad_table():
    """The table's first entry leads out of the file, but the chunk is there: readers find it by walking the chunks."""
    part = ramp_part()
    data = bytearray(exr(part))
    table = 8 + len(header(part, False))
    data[table : table + 8] = struct.pack("<Q", 1 << 40)
    return Case("bad_table.exr", bytes(data), stack(part.channels, RGBA), RGBA)


def make_damaged():
    """name -> bytes that must give an error at open or read."""
    part = ramp_part()
    whole = exr(part)
    table = 8 + len(header(part, False))
    size, body, place = bytearray(whole), bytearray(whole), bytearray(whole)
    first = struct.unpack_from("<Q", whole, table)[0]
    size[first + 4 : first + 8] = struct.pack("<i", -5)
    body[first + 8 : first + 60] = bytes(52)
    place[first : first + 4] = struct.pack("<i", 1000)
    return {"truncated.exr": whole[: len(whole) * 2 // 3], "cut_in_header.exr": whole[:100], "cut_in_table.exr": whole[: table + 12], "negative_size.exr": bytes(size),
            "bad_zlib.exr": bytes(body), "wrong_row.exr": bytes(place), "empty.exr": b"", "not_an_image.exr": b"\1\2 no format at all\0" * 5, "only_magic.exr": whole[:8]}
