"""What an SCP-ECG file says besides samples: sections 1, 7, 8 and 11 (EN 1064 5.4, 5.10, 5.11 and 5.14)."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from exchangeai.formats._people import age_between, identifier_of, model_of, pooled_age, year_of
from exchangeai.recording import Filters, Identifiers, Patient, Sex

_END = 255
_YEARS_PER_UNIT = {1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / 8766}
_SEXES: dict[int, Sex] = {1: "M", 2: "F"}
_MODEL = slice(8, 14)
_NOTCH_60_HZ, _NOTCH_50_HZ = 1, 2
_MISSING = frozenset({0xFFFF, 19999, 29998, 29999})
_NO_AXIS = 999
_QTC = {1: "qtc_bazett_ms", 2: "qtc_hodges_ms", 3: "qtc_fridericia_ms", 4: "qtc_framingham_ms"}
_BLOCK = struct.Struct("<5H3h")
_SPIKE_BYTES = 4 + 6
_TEXT, _CODED = 2, 1


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Section 1, as far as it may be kept, and apart from it the patient's identifier."""

    patient: Patient
    identifiers: Identifiers
    acquisition_year: int | None
    device_model: str | None
    filters: Filters


def facts_of(body: bytes) -> tuple[Facts, list[str]]:
    """Patient, device and filters of section 1, and warnings."""
    tags: dict[int, bytes] = {}
    at = 0
    warnings: list[str] = []
    while at + 3 <= len(body) and body[at] != _END:
        size = int.from_bytes(body[at + 1 : at + 3], "little")
        if at + 3 + size > len(body):
            warnings.append("the patient section is cut off; what lies behind is not read")
            break
        tags.setdefault(body[at], body[at + 3 : at + 3 + size])
        at += 3 + size
    acquired = _date(tags.get(25, b""))
    sex = tags.get(8, b"")
    facts = Facts(
        patient=Patient(
            sex=_SEXES.get(sex[0]) if sex else None,
            age_years=_age(tags.get(4, b""), _date(tags.get(5, b"")), acquired),
        ),
        identifiers=Identifiers(patient_id=identifier_of(_text(tags.get(2, b"")))),
        acquisition_year=year_of(acquired),
        device_model=model_of(_text(tags.get(14, b"")[_MODEL])),
        filters=_filters(tags),
    )
    return facts, warnings


def measurements_of(body: bytes) -> dict[str, float]:
    """Global measurements of section 7 in the names of `DEVICE_MEASUREMENTS`.

    Times of onsets and offsets count from the beginning of the reference beat; the intervals are their
    differences, as the standard defines them.
    """
    found: dict[str, float] = {}
    if len(body) < 6:
        return found
    blocks, spikes, rr, pp = struct.unpack_from("<BBHH", body)
    _keep(found, "rr_ms", rr)
    _keep(found, "pp_ms", pp)
    if blocks and len(body) >= 6 + _BLOCK.size:
        _waves(found, _BLOCK.unpack_from(body, 6))
    at = 6 + blocks * _BLOCK.size + spikes * _SPIKE_BYTES
    beats = int.from_bytes(body[at : at + 2], "little") if at + 2 <= len(body) else None
    if beats is not None and at + 2 + beats + 7 <= len(body):
        ventricular, atrial, qtc, formula = struct.unpack_from("<HHHB", body, at + 2 + beats)
        _keep(found, "ventricular_rate", ventricular)
        _keep(found, "atrial_rate", atrial)
        _keep(found, "qtc_ms", qtc)
        if formula in _QTC:
            _keep(found, _QTC[formula], qtc)
    return found


def statements_of(report: bytes, coded: bytes) -> tuple[str, ...]:
    """Texts of section 8, or where there are none those of section 11 (text, else its codes)."""
    texts = [_text(x) for x in _statements(report)]
    if not any(texts):
        universal = [(x[0], _text(x[1:])) for x in _statements(coded) if x]
        texts = [text for kind, text in universal if kind == _TEXT]
        texts = texts or [text for kind, text in universal if kind == _CODED]
    return tuple(x for x in texts if x)


def _statements(body: bytes) -> Iterator[bytes]:
    at = 9
    for _ in range(body[8] if len(body) > 8 else 0):
        size = int.from_bytes(body[at + 1 : at + 3], "little")
        if at + 3 + size > len(body):
            return
        yield body[at + 3 : at + 3 + size]
        at += 3 + size


def _waves(found: dict[str, float], block: tuple[int, ...]) -> None:
    names = ("p_onset_ms", "p_offset_ms", "qrs_onset_ms", "qrs_offset_ms", "t_offset_ms")
    for name, value in zip(names, block, strict=False):
        _keep(found, name, value)
    for name, first, last in (
        ("p_ms", "p_onset_ms", "p_offset_ms"),
        ("pr_ms", "p_onset_ms", "qrs_onset_ms"),
        ("qrs_ms", "qrs_onset_ms", "qrs_offset_ms"),
        ("qt_ms", "qrs_onset_ms", "t_offset_ms"),
    ):
        if first in found and found.get(last, 0.0) > found[first]:
            found[name] = found[last] - found[first]
    for name, value in zip(("p_axis_deg", "qrs_axis_deg", "t_axis_deg"), block[5:], strict=True):
        if abs(value) < _NO_AXIS:
            found[name] = float(value)


def _keep(found: dict[str, float], name: str, value: int) -> None:
    # 0 is what writers leave where there is nothing to say: no rate and no interval is 0.
    if value not in _MISSING and (value or name.endswith("set_ms")):
        found[name] = float(value)


def _age(stored: bytes, born: datetime.date | None, at: datetime.date | None) -> int | None:
    if len(stored) >= 3:
        value, unit = struct.unpack_from("<HB", stored)
        if value and unit in _YEARS_PER_UNIT:
            return pooled_age(value * _YEARS_PER_UNIT[unit])
    return age_between(born, at)


def _date(stored: bytes) -> datetime.date | None:
    if len(stored) < 4:
        return None
    year, month, day = struct.unpack_from("<HBB", stored)
    if not 1800 <= year <= 2100:
        # Devices exist that write the year high byte first.
        year = year >> 8 | (year & 0xFF) << 8
    try:
        return datetime.date(year, month, day) if 1800 <= year <= 2100 else None
    except ValueError:
        return None


def _filters(tags: dict[int, bytes]) -> Filters:
    highpass = int.from_bytes(tags.get(27, b"")[:2], "little")
    lowpass = int.from_bytes(tags.get(28, b"")[:2], "little")
    bits = int.from_bytes(tags.get(29, b"")[:1], "little")
    notch = 60.0 if bits & _NOTCH_60_HZ else 50.0 if bits & _NOTCH_50_HZ else None
    return Filters(highpass_hz=highpass / 100 or None, lowpass_hz=float(lowpass) or None, notch_hz=notch)


def _text(stored: bytes) -> str:
    """Text up to its zero; the standard's Latin-1 unless it is good UTF-8."""
    raw = stored.split(b"\0", 1)[0]
    try:
        return " ".join(raw.decode("utf-8").split())
    except UnicodeDecodeError:
        return " ".join(raw.decode("latin-1").split())
