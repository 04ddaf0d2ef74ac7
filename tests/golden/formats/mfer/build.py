"""Writes the MFER golden file by the rules of ISO 22077-1, from the first 2 s of another golden ECG.

No real MFER file could be had under a licence that permits copying it. The eight leads that such files store
by design, 5 uV of resolution, big endian, a preamble, channel definitions, an event.
"""

from __future__ import annotations

import struct
from pathlib import Path

import edfio
import numpy as np

FOLDER = Path(__file__).parent
SOURCE = FOLDER.parent / "edf" / "E07500_12lead_edfplus.edf"
TARGET = "E07500_8lead.mwf"
CODES = {"I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8}
RATE_HZ, SAMPLES, STEP_MV = 500, 1000, 0.005


def tlv(tag: int, value: bytes) -> bytes:
    """A definition: tag, length (long form from 128 bytes on), value."""
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + value


def channel(number: int, value: bytes) -> bytes:
    """Definitions of one channel, counted from 0."""
    return bytes([0x3F, number, len(value)]) + value


def golden() -> bytes:
    """The whole file."""
    signals = {x.label: x.data for x in edfio.read_edf(SOURCE).signals}
    stored = np.array([np.rint(signals[name][:SAMPLES] / STEP_MV) for name in CODES])
    out = tlv(0x40, b"MFR Standard 12 leads ECG       ")
    out += tlv(0x01, b"\0") + tlv(0x17, b"Acme^CardioOne^1.0^SN1234567") + tlv(0x84, b"\x01")
    out += tlv(0x85, struct.pack(">H5BHH", 2026, 11, 22, 20, 40, 36, 0, 0))
    out += tlv(0x08, struct.pack(">H", 1)) + tlv(0x0B, struct.pack(">BbH", 1, -3, 2))
    out += tlv(0x0C, struct.pack(">BbH", 0, -6, 5)) + tlv(0x0A, b"\0")
    out += tlv(0x04, struct.pack(">I", SAMPLES)) + tlv(0x05, bytes([len(CODES)])) + tlv(0x06, b"\x01")
    for i, code in enumerate(CODES.values()):
        out += channel(i, tlv(0x09, struct.pack(">H", code)))
    out += tlv(0x41, struct.pack(">HII", 0x8000, 750, 0) + b"marker")
    return out + tlv(0x1E, stored.astype(">i2").tobytes()) + tlv(0x80, b"")


if __name__ == "__main__":
    (FOLDER / TARGET).write_bytes(golden())
