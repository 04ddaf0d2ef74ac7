"""Physical dimensions of GDF 2.x: codes of ISO/IEEE 11073-10101 (table A.6.3) with a decimal factor."""

from __future__ import annotations

_PREFIXES = {
    0: "", 1: "da", 2: "h", 3: "k", 4: "M", 5: "G", 6: "T", 7: "P",
    16: "d", 17: "c", 18: "m", 19: "u", 20: "n", 21: "p", 22: "f",
}  # fmt: skip
_BASES = {
    512: "", 544: "%", 608: "ppm", 736: "deg", 768: "rad", 992: "pH", 1280: "m", 1568: "m3", 1600: "l",
    1728: "g", 2176: "s", 2208: "min", 2464: "/s", 2496: "Hz", 2528: "/min", 2720: "bpm", 2816: "m/s",
    3040: "l/s", 3072: "l/min", 3776: "N", 3840: "Pa", 3872: "mmHg", 3904: "cmH2O", 3936: "bar", 3968: "J",
    4032: "W", 4160: "A", 4192: "C", 4256: "V", 4288: "Ohm", 4352: "F", 4384: "K", 4480: "cd", 4544: "mol",
    6048: "degC", 65504: "T",
}  # fmt: skip
_FACTOR_BITS = 0x1F


def unit_of(code: int, text: str) -> str:
    """The unit of a code, or the file's own text where the code says nothing or nothing known."""
    base, prefix = _BASES.get(code & ~_FACTOR_BITS), _PREFIXES.get(code & _FACTOR_BITS)
    if base is None or prefix is None:
        return text
    if base == "V" and prefix not in ("", "m", "u", "n"):
        # No voltage of a body; and case is ignored further on, where "MV" would be millivolts.
        return text
    return prefix + base
