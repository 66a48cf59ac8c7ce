"""make_exr.py - OpenEXR files field by field: what a small writer with complete control can make, and no other would.

Reference: "OpenEXR File Layout" and "Technical Introduction to OpenEXR". Compression: none, RLE, ZIPS and ZIP here; the
others come from OpenImageIO in make_exr_other.py. Channels of a case keep their stored bits, so the truth is the array.
"""
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from case import half_bits_to_float, pattern

MAGIC = 20000630
UINT, HALF, FLOAT = 0, 1, 2
DTYPES = {UINT: np.uint32, HALF: np.uint16, FLOAT: np.uint32}  # floats as bit patterns, so that NaNs keep theirs
NONE, RLE, ZIPS, ZIP = 0, 1, 2, 3
BLOCK_ROWS = {NONE: 1, RLE: 1, ZIPS: 1, ZIP: 16}
INCREASING, DECREASING, RANDOM = 0, 1, 2
ONE, MIP, RIP = 0, 1, 2
TILED_FLAG, LONG_NAMES, NON_IMAGE, MULTI_PART = 0x200, 0x400, 0x800, 0x1000


@dataclass
class Channel:
    name: str
    kind: int
    planes: dict        # level (lx, ly) -> stored bits, (rows, columns) of the channel's own samples
    sampling: tuple = (1, 1)

    def values(self, level=(0, 0)):
        """What pixels or channels/ show: half and float as they are, uint as the number."""
        bits = self.planes[level]
        if self.kind == HALF:
            return half_bits_to_float(bits)
        return bits.view(np.float32) if self.kind == FLOAT else bits.astype(np.float32)


@dataclass
class Part:
    channels: list
    window: tuple                  # data window: x min, y min, x max, y max, inclusive
    display: tuple = None
    compression: int = NONE
    line_order: int = INCREASING
    tile: tuple = None             # width, height
    mode: int = ONE
    round_up: bool = False
    name: str = None
    view: str = None
    attributes: list = field(default_factory=list)  # (name, type name, value bytes)
    missing: set = field(default_factory=set)       # numbers of chunks that the table lists as 0

    def size(self, level=(0, 0)):
        """Pixels of a level: halved, rounded down or up, never under 1."""
        full = self.window[2] - self.window[0] + 1, self.window[3] - self.window[1] + 1
        grow = [(1 << n) - 1 if self.round_up else 0 for n in level]
        return max(1, full[0] + grow[0] >> level[0]), max(1, full[1] + grow[1] >> level[1])

    def levels(self):
        """Levels in the order of the chunk table: mip (0,0), (1,1) ...; rip with lx running fastest."""
        if not self.tile or self.mode == ONE:
            return [(0, 0)]
        count = [self._count(n) for n in self.size()]
        if self.mode == MIP:
            return [(n, n) for n in range(max(count))]
        return [(lx, ly) for ly in range(count[1]) for lx in range(count[0])]

    def _count(self, pixels):
        return (pixels - 1).bit_length() + 1 if self.round_up else pixels.bit_length()


def attribute(name, kind, value):
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value


def text(name, value):
    return name, "string", value if isinstance(value, bytes) else value.encode()


def string_vector(name, values):
    return name, "stringvector", b"".join(struct.pack("<i", len(v)) + v.encode() for v in values)


def header(part, multi):
    """The attributes of one part, ended by a zero byte."""
    listed = b"".join(c.name.encode() + b"\0" + struct.pack("<iB3xii", c.kind, 0, *c.sampling) for c in sorted_channels(part)) + b"\0"
    out = [("channels", "chlist", listed), ("compression", "compression", bytes([part.compression])),
           ("dataWindow", "box2i", struct.pack("<4i", *part.window)), ("displayWindow", "box2i", struct.pack("<4i", *(part.display or part.window))),
           ("lineOrder", "lineOrder", bytes([part.line_order])), ("pixelAspectRatio", "float", struct.pack("<f", 1)),
           ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)), ("screenWindowWidth", "float", struct.pack("<f", 1))]
    if part.tile:
        out.append(("tiles", "tiledesc", struct.pack("<IIB", *part.tile, part.mode | part.round_up << 4)))
    if multi:
        out += [text("name", part.name), text("type", "tiledimage" if part.tile else "scanlineimage"), ("chunkCount", "int", struct.pack("<i", len(chunks(part))))]
    if part.view:
        out.append(text("view", part.view))
    return b"".join(attribute(*one) for one in out + part.attributes) + b"\0"


def sorted_channels(part):
    return sorted(part.channels, key=lambda channel: channel.name.encode())


def samples(part, level, x0, y0, columns, rows):
    """The bytes of one chunk before compression: row by row, in it channel by channel, in it sample by sample."""
    out = []
    for y in range(y0, y0 + rows):
        for channel in sorted_channels(part):
            xs, ys = channel.sampling
            if (part.window[1] + y) % ys == 0:
                row = channel.planes[level][y // ys, x0 // xs : (x0 + columns + xs - 1) // xs]
                out.append(row.astype(DTYPES[channel.kind]).astype("<u2" if channel.kind == HALF else "<u4").tobytes())
    return b"".join(out)


def compress(raw, method):
    """RLE and ZIP first split even from odd bytes and store differences; what would grow is stored as it is."""
    if method == NONE or not raw:
        return raw
    data = np.frombuffer(raw, np.uint8)
    split = np.concatenate([data[0::2], data[1::2]]).astype(np.int16)
    split[1:] = (split[1:] - split[:-1] + 128 + 256) & 255
    packed = run_lengths(split.astype(np.uint8).tobytes()) if method == RLE else zlib.compress(split.astype(np.uint8).tobytes(), 6)
    return packed if len(packed) < len(raw) else raw


def run_lengths(data):
    """Runs of three and more as (count - 1, byte); other bytes behind the negative of their count."""
    out, at = bytearray(), 0
    while at < len(data):
        end = at + 1
        while end < len(data) and data[end] == data[at] and end - at < 128:
            end += 1
        if end - at >= 3:
            out += bytes([end - at - 1, data[at]])
        else:
            end = at + 1
            while end < len(data) and end - at < 127 and data[end : end + 3] != data[end : end + 1] * 3:
                end += 1
            out += struct.pack("b", at - end) + data[at:end]
        at = end
    return bytes(out)


def chunks(part):
    """The chunks of a part in the order of its table: (coordinates, uncompressed bytes)."""
    out = []
    for level in part.levels():
        width, height = part.size(level)
        if part.tile:
            for ty in range(-(-height // part.tile[1])):
                for tx in range(-(-width // part.tile[0])):
                    x, y = tx * part.tile[0], ty * part.tile[1]
                    place = struct.pack("<4i", tx, ty, *level)
                    out.append((place, samples(part, level, x, y, min(part.tile[0], width - x), min(part.tile[1], height - y))))
        else:
            step = BLOCK_ROWS[part.compression]
            for y in range(0, height, step):
                out.append((struct.pack("<i", part.window[1] + y), samples(part, level, 0, y, width, min(step, height - y))))
    return out


def file_order(part, count):
    """The order in which the chunks lie in the file."""
    if part.line_order == RANDOM:
        return sorted(range(count), key=lambda n: (n * 7919 + 13) % 10007)
    return list(range(count))[:: -1 if part.line_order == DECREASING else 1]


def exr(*parts, multi=None):
    """A whole file: magic, version, headers, chunk tables, chunks."""
    multi = len(parts) > 1 if multi is None else multi
    long_names = any(len(c.name.encode()) > 31 for p in parts for c in p.channels)
    version = 2 | (MULTI_PART if multi else TILED_FLAG if parts[0].tile else 0) | (LONG_NAMES if long_names else 0)
    out = struct.pack("<II", MAGIC, version) + b"".join(header(p, multi) for p in parts) + (b"\0" if multi else b"")
    bodies = [chunks(p) for p in parts]
    at = len(out) + 8 * sum(map(len, bodies))
    tables, blob = [], bytearray()
    for number, (part, body) in enumerate(zip(parts, bodies)):
        table = [0] * len(body)
        for index in file_order(part, len(body)):
            if index in part.missing:
                continue
            place, raw = body[index]
            packed = compress(raw, part.compression)
            table[index] = at + len(blob)
            blob += (struct.pack("<i", number) if multi else b"") + place + struct.pack("<i", len(packed)) + packed
        tables.append(struct.pack(f"<{len(table)}Q", *table))
    return out + b"".join(tables) + bytes(blob)


def random_bits(kind, height, width, seed):
    """Stored bits: finite halves and floats of every size and sign, uints over the whole range."""
    bits = pattern(height, width, 1, 16 if kind == HALF else 32, seed)[:, :, 0]
    if kind == HALF:
        bits = np.where(bits & 0x7C00 == 0x7C00, bits & 0x83FF, bits).astype(np.uint16)
    elif kind == FLOAT:
        bits = np.where(bits & 0x7F800000 == 0x7F800000, bits & 0x807FFFFF, bits).astype(np.uint32)
    return bits


def channel(name, kind, part_size, seed=0, sampling=(1, 1), levels=((0, 0),)):
    """part_size: level -> (width, height), or one pair for the only level."""
    sizes = part_size if callable(part_size) else lambda level: part_size
    planes = {}
    for number, level in enumerate(levels):
        width, height = sizes(level)
        planes[level] = random_bits(kind, height // sampling[1], width // sampling[0], seed * 131 + number + sum(map(ord, name)))
    return Channel(name, kind, planes, sampling)


def stack(channels, names, level=(0, 0)):
    """The float32 array (H, W, C) of channels in the order named."""
    by_name = {c.name: c for c in channels}
    return np.dstack([by_name[name].values(level) for name in names])


def simple(names, kind=HALF, width=19, height=21, origin=(0, 0), seed=0, **fields):
    """A part with full-size channels; kind is one type or one for each name."""
    kinds = kind if isinstance(kind, (list, tuple)) else [kind] * len(names)
    window = (origin[0], origin[1], origin[0] + width - 1, origin[1] + height - 1)
    return Part([channel(n, k, (width, height), seed) for n, k in zip(names, kinds)], window, **fields)
