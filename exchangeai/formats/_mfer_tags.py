"""Tags and codes of MFER (ISO 22077-1 and its ECG parts)."""

from __future__ import annotations

BYTE_ORDER, CHARACTERS, BLOCK, CHANNELS, SEQUENCES, POINTER = 0x01, 0x03, 0x04, 0x05, 0x06, 0x07
WAVEFORM, LEAD, DATA_TYPE, INTERVAL, RESOLUTION, OFFSET = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D
COMPRESSION, FILTER, NULL, MAKER, DATA, CHANNEL = 0x0E, 0x11, 0x12, 0x17, 0x1E, 0x3F
PREAMBLE, EVENT, GROUP, END, PATIENT, AGE, SEX, TIME = 0x40, 0x41, 0x67, 0x80, 0x82, 0x83, 0x84, 0x85

KNOWN = frozenset(
    {*range(0x01, 0x10), 0x11, 0x12, 0x15, 0x16, 0x17, 0x1E, 0x3F, *range(0x40, 0x47), 0x67}
    | set(range(0x80, 0x89))
)
OF_A_CHANNEL = frozenset({BLOCK, SEQUENCES, WAVEFORM, LEAD, DATA_TYPE, INTERVAL, RESOLUTION, OFFSET, NULL})
"""What a channel may define anew; otherwise the definition of the whole file holds."""

TYPES = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 4: "u2", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}
STATUS_TYPE, STATUS_LEAD, DOMINANT_BEAT = 4, 4160, 9
HERTZ, SECONDS, VOLT = 0, 1, 0
UNITS = {
    1: "mmHg", 2: "Pa", 3: "cmH2O", 4: "mmHg/s", 5: "dyn", 6: "N", 7: "%", 8: "degC", 9: "/min", 10: "/s",
    11: "Ohm", 12: "A", 13: "rpm", 14: "W", 15: "dB", 16: "kg", 17: "J", 19: "l", 20: "l/s", 21: "l/min",
    22: "cd",
}  # fmt: skip
"""Of resolutions that are no voltage."""
LEADS = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 9: "V7", 11: "V3R", 12: "V4R",
    13: "V5R", 14: "V6R", 15: "V7R", 16: "X", 17: "Y", 18: "Z", 19: "CC5", 20: "CM5", 31: "NASA",
    32: "CB4", 33: "CB5", 34: "CB6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR", 66: "V8",
    67: "V9", 68: "V8R", 69: "V9R", 70: "D", 71: "A", 72: "J", 143: "blood pressure",
    160: "impedance respiration", 175: "SpO2", 4163: "respiration", 4166: "ECG1", 4167: "ECG2",
    4168: "ECG3", 4169: "ECG4",
}  # fmt: skip
