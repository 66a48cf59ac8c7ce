"""case.py - one test file and what the mount must show of it.

A Case knows its truth from the way it was built: the stored samples went in as an array, so the expected pixels follow
from that array and the value rule alone, without any decoder. The decoders of judge.py confirm it (test_judge.py).
"""
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Case:
    name: str                      # file name, extension included
    data: bytes
    pixels: np.ndarray = None      # float32 (H, W, C) that pixels.* must hold; None: ask a judge
    channel_names: list = None
    native: np.ndarray = None      # stored samples (H, W, planes) where views/native.npy is compared
    channels: dict = field(default_factory=dict)  # channel name -> float32 (h, w), for channels/
    layers: dict = field(default_factory=dict)    # directory name -> float32 (H, W, C), for layers/
    levels: dict = field(default_factory=dict)    # directory name -> float32 (H, W, C), for mips/
    meta: dict = field(default_factory=dict)      # dotted key -> value that meta.json must have


def pattern(height, width, planes, bits, seed=0):
    """Integers below 2**bits in no regular order, corners and extremes included: (height, width, planes)."""
    n = height * width * planes
    state = np.arange(n, dtype=np.uint64) + np.uint64(1 + seed * 1000003)
    state = (state * np.uint64(0x9E3779B97F4A7C15)) ^ (state >> np.uint64(3))
    state = (state ^ (state >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (state >> np.uint64(64 - bits)).astype(np.uint32)
    values[0] = (1 << bits) - 1
    values[-1] = 0
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return values.astype(dtype).reshape(height, width, planes)


def normalized(stored, bits):
    """The value rule of integers: stored / (2^bits - 1) as one float32 division."""
    return stored.astype(np.float32) / np.float32(2 ** bits - 1)


def half_bits_to_float(bits):
    """uint16 patterns of half floats -> float32, bit by bit, so that NaN payloads survive (IEEE 754 binary16)."""
    bits = bits.astype(np.uint32)
    sign = (bits & 0x8000) << 16
    exponent = (bits >> 10) & 31
    mantissa = bits & 0x3FF
    normal = sign | ((exponent + 112) << 23) | (mantissa << 13)
    special = sign | 0x7F800000 | (mantissa << 13)
    subnormal = (mantissa.astype(np.float32) * np.float32(2 ** -24)).view(np.uint32) | sign
    out = np.where(exponent == 31, special, np.where(exponent == 0, subnormal, normal))
    return out.astype(np.uint32).view(np.float32)
