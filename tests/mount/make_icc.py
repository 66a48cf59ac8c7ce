"""make_icc.py - ICC profiles field by field, each with what it says in numpy's double precision.

Reference: ICC.1:2022 (version 4) and ICC.1:2001-04 (version 2); section numbers are the former's where not said.
"""
import struct
from dataclasses import dataclass

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
V2, V4 = 0x02400000, 0x04300000


def fixed(value):
    """4.6: s15Fixed16Number."""
    return struct.pack(">i", round(value * 65536))


def unfixed(value):
    """The number that is read back."""
    return round(value * 65536) / 65536


# ---- curves: bytes of the tag, and its function of values in 0..1 ----

@dataclass
class Curve:
    data: bytes
    decode: object


def identity():
    """10.6: a count of 0."""
    return Curve(b"curv" + bytes(4) + struct.pack(">I", 0), lambda v: v)


def gamma(power):
    """10.6: a count of 1: u8Fixed8Number."""
    stored = round(power * 256)
    return Curve(b"curv" + bytes(4) + struct.pack(">IH", 1, stored), lambda v: np.power(v, stored / 256))


def table(entries):
    """10.6: 16-bit entries over 0..1, straight lines between."""
    entries = np.asarray(entries, np.uint16)
    data = b"curv" + bytes(4) + struct.pack(">I", len(entries)) + entries.astype(">u2").tobytes()
    return Curve(data, lambda v: np.interp(np.asarray(v, np.float64), np.linspace(0, 1, len(entries)), entries.astype(np.float64)) / 65535)


def para(kind, *parameters):
    """10.18, table 70: parameters g a b c d e f, as many as the type has."""
    data = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(map(fixed, parameters))
    g, a, b, c, d, e, f = [unfixed(p) for p in parameters] + [None] * (7 - len(parameters))

    def power(v):
        return np.power(np.maximum(a * v + b, 0), g)

    decode = (lambda v: np.power(v, g), lambda v: np.where(v >= -b / a, power(v), 0), lambda v: np.where(v >= -b / a, power(v) + c, c),
              lambda v: np.where(v >= d, power(v), c * v), lambda v: np.where(v >= d, power(v) + e, c * v + f))[kind]
    return Curve(data, decode)


SRGB_PARAMETERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def srgb_decode(v):
    """IEC 61966-2-1."""
    v = np.asarray(v, np.float64)
    return np.where(v <= 0.04045, v / 12.92, np.power((np.maximum(v, 0) + 0.055) / 1.055, 2.4))


def srgb_encode(v):
    v = np.asarray(v, np.float64)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.power(np.maximum(v, 0.0031308), 1 / 2.4) - 0.055)


def read_tags(profile):
    """7.3: name -> the tag's bytes."""
    count = struct.unpack_from(">I", profile, 128)[0]
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, (len(profile) - 132) // 12))]
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def read_curve(data):
    """The function of a curve's tag; sRGB's own where the parameters are sRGB's."""
    if data[:4] == b"para":
        kind = struct.unpack_from(">H", data, 8)[0]
        parameters = [p / 65536 for p in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", data, 12)]
        is_srgb = kind == 3 and max(abs(p - q) for p, q in zip(parameters, SRGB_PARAMETERS)) <= 2 ** -16
        return srgb_decode if is_srgb else para(kind, *parameters).decode
    count = struct.unpack_from(">I", data, 8)[0]
    entries = np.frombuffer(data, ">u2", count, 12)
    return (identity() if count == 0 else gamma(entries[0] / 256) if count == 1 else table(entries)).decode


# ---- tables from device to connection space ----

def corners(channels, grid):
    """All grid points, the first channel varying least rapidly (10.10): (grid ** channels, channels) of 0..1."""
    axes = np.meshgrid(*[np.linspace(0, 1, grid)] * channels, indexing="ij")
    return np.stack([a.ravel() for a in axes], axis=1)


def lut16(channels, grid, stored):
    """10.10: lut16Type: an identity matrix, curves of two points that change nothing, and stored: uint16 (grid ** channels, 3)."""
    head = b"mft2" + bytes(4) + struct.pack(">BBBB", channels, 3, grid, 0)
    head += b"".join(fixed(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)) + struct.pack(">HH", 2, 2)
    line = struct.pack(">HH", 0, 65535)
    return head + line * channels + stored.astype(">u2").tobytes() + line * 3


def lut_a_to_b(channels, grid, stored):
    """10.12: lutAToBType with A curves, a CLUT of 2 bytes and B curves; all curves the identity."""
    curves = identity().data
    offset_b = 32
    offset_clut = offset_b + 3 * len(curves)
    clut = bytes([grid] * channels).ljust(16, b"\0") + b"\2\0\0\0" + stored.astype(">u2").tobytes()
    clut += bytes(-len(clut) % 4)
    return (b"mAB " + bytes(4) + struct.pack(">BBHIIIII", channels, 3, 0, offset_b, 0, 0, offset_clut, offset_clut + len(clut))
            + curves * 3 + clut + curves * channels)


def lab_to_xyz(lab):
    """CIE 15: relative to D50."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    return np.where(f > 24 / 116, f ** 3, (f - 16 / 116) * 108 / 841) * np.array(D50)


def xyz_of_xy(x, y):
    return np.array([x / y, 1, (1 - x - y) / y])


def rec709_of_xyz():
    """The matrix from XYZ relative to D50 to linear BT.709: its primaries and D65 (BT.709-6, 1.3 and 1.4) adapted by Bradford
    (annex E)."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    primaries = np.stack([xyz_of_xy(0.64, 0.33), xyz_of_xy(0.30, 0.60), xyz_of_xy(0.15, 0.06)], axis=1)
    white = xyz_of_xy(0.3127, 0.3290)
    matrix = primaries * np.linalg.solve(primaries, white)
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ np.array(D50)) / (bradford @ white)) @ bradford
    return np.linalg.inv(adapt @ matrix)


# ---- profiles ----

def xyz(x, y, z):
    return b"XYZ " + bytes(4) + fixed(x) + fixed(y) + fixed(z)


def profile(space, tags, version=V4, device_class=b"mntr", connection=b"XYZ "):
    """7.2, 7.3: header, tag table, and the tags' data, each at a multiple of 4."""
    described = {b"wtpt": xyz(*D50), **tags}
    offset, entries, body = 128 + 4 + 12 * len(described), b"", b""
    for name, data in described.items():
        entries += name + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), version, device_class, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(fixed, D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(described)) + entries + body


COLORANTS = {b"rXYZ": xyz(0.4361, 0.2225, 0.0139), b"gXYZ": xyz(0.3851, 0.7169, 0.0971), b"bXYZ": xyz(0.1431, 0.0606, 0.7141)}


def rgb(red, green=None, blue=None, **more):
    return profile(b"RGB ", {**COLORANTS, b"rTRC": red.data, b"gTRC": (green or red).data, b"bTRC": (blue or red).data}, **more)


def gray(curve, **more):
    return profile(b"GRAY", {b"kTRC": curve.data}, **more)


CURVES = {
    "identity": identity(),
    "gamma18": gamma(1.8),
    "gamma22": gamma(2.2),
    "table2": table([1000, 60000]),
    "table256": table(np.round(65535 * np.linspace(0, 1, 256) ** 2.2)),
    "table1024": table(np.round(65535 * srgb_decode(np.linspace(0, 1, 1024)))),
    "table_falls": table([0, 40000, 30000, 65535]),
    "para0": para(0, 2.2),
    "para1": para(1, 2.0, 0.9, 0.1),
    "para1_cut": para(1, 2.4, 1.1, -0.1),
    "para2": para(2, 1.8, 0.95, 0.02, 0.01),
    "para3": para(3, 2.2, 0.909, 0.0909, 0.2222, 0.081),
    "para4": para(4, 2.4, 0.9479, 0.0521, 0.0774, 0.0404, 0.001, 0.002),
}
CURVES["para3_srgb"] = Curve(para(3, *SRGB_PARAMETERS).data, srgb_decode)
