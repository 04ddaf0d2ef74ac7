"""Waveforms of GE MUSE XML: base64 samples, their scale and checksum, and the limb leads that follow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, MissingMetadata
from exchangeai.formats._base64_samples import base64_bytes
from exchangeai.formats._number_text import scaled
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._stated import rate_of, scale_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.formats._xml_fields import fields_of, number, number_of, text_of
from exchangeai.leads import DERIVABLE, STANDARD_12, canonical_lead, derive_limb_leads
from exchangeai.recording import Lead

_Fields = dict[str, str]
"""Children of a `LeadData` element."""
_TYPES = {1: np.dtype("i1"), 2: np.dtype("<i2"), 4: np.dtype("<i4")}
_ODD_FLAGS = {
    "LeadOff": "the device says that the electrode was off",
    "BaselineSway": "the device says that the baseline sways",
}
_MAX_LEADS = 1024


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """One `Waveform` element."""

    is_median: bool
    leads: tuple[Lead, ...]
    node: Any


def rate_in(node: Any, base: str, exponent: str) -> float | None:
    """Samples per second, written as a base and a power of ten; None where there is no base."""
    value, power = number_of(node, base), number_of(node, exponent) or 0.0
    if value is None or not -9 <= power <= 9:
        return None
    return checked_rate(value * 10.0**power if power >= 0 else value / 10.0**-power)


def waveforms(root: Any, options: ReadOptions, warnings: list[str], *, cut: bool) -> list[Waveform]:
    """All waveforms in the order of the file; of a file that is cut, those with all their leads.

    Raises MissingMetadata, Truncated and InvalidHeader.
    """
    found: list[Waveform] = []
    for node in root.iter("Waveform"):
        kind = text_of(node, "WaveformType").casefold()
        if not kind:
            warnings.append("a waveform does not say whether it is rhythm or median; it counts as rhythm")
        nodes = node.findall("LeadData")
        if cut and number_of(node, "NumberofLeads") != len(nodes):
            continue
        if nodes:
            leads = _leads(node, nodes, options, warnings)
            found.append(Waveform(is_median=kind == "median", leads=with_limb_leads(leads), node=node))
    return found


def with_limb_leads(leads: Sequence[Lead]) -> tuple[Lead, ...]:
    """Stored leads and those of III, aVR, aVL, aVF that follow from I and II, in the field's usual order.

    The device stores eight leads by design. Where not all twelve come together, stored leads come first.
    """
    limb = {x.name: x for x in leads if x.name in ("I", "II")}
    if len(limb) < 2 or limb["I"].sampling_rate_hz != limb["II"].sampling_rate_hz:
        return tuple(leads)
    stored = {x.name: x.samples for x in leads if x.name in DERIVABLE or x.name in limb}
    derived = [
        Lead(name=name, samples=samples, sampling_rate_hz=limb["I"].sampling_rate_hz, derived=True)
        for name, samples in derive_limb_leads(stored).items()
    ]
    together = [*leads, *derived]
    places = {name: i for i, name in enumerate(STANDARD_12)}
    if set(places) <= {x.name for x in together}:
        together.sort(key=lambda x: places.get(x.name, len(places)))
    return tuple(together)


def _leads(node: Any, nodes: Sequence[Any], options: ReadOptions, warnings: list[str]) -> list[Lead]:
    if len(nodes) > _MAX_LEADS:
        raise InvalidHeader(f"a waveform holds {len(nodes)} leads; at most {_MAX_LEADS} are read")
    rate_hz = rate_of(options, rate_in(node, "SampleBase", "SampleExponent"))
    fields = [fields_of(x) for x in nodes]
    leads: list[Lead] = []
    counts: list[tuple[int, int]] = []
    wrong: list[int] = []
    for i, lead in enumerate(fields):
        data = base64_bytes(lead.get("WaveFormData", ""), strict=options.strict)
        numbers, declared = _numbers(lead, data)
        if not _intact(lead, data):
            wrong.append(i + 1)
        if numbers.size > declared:
            warnings.append("a lead holds more samples than it declares; what is over is left out")
            numbers = numbers[:declared]
        counts.append((numbers.size, declared))
        samples = scaled(numbers, _scale(lead, options))
        name = canonical_lead(lead.get("LeadID", "")[:64]) or f"channel {i + 1}"
        leads.append(Lead(name=name, samples=samples, sampling_rate_hz=rate_hz))
    warnings += shortfall(counts, strict=options.strict)
    if wrong and options.strict:
        raise InvalidHeader(
            "the checksums (CRC-32) of leads are wrong, so the samples were altered; export the file again"
        )
    warnings += in_words(wrong, "the checksum (CRC-32) is wrong, the samples were altered")
    for flag, meaning in _ODD_FLAGS.items():
        warnings += in_words([i + 1 for i, x in enumerate(fields) if x.get(flag) == "TRUE"], meaning)
    if any(number(x.get("LeadTimeOffset", "")) for x in fields):
        warnings.append("leads begin at different times, which is not applied")
    return leads


def _numbers(lead: _Fields, data: bytes) -> tuple[npt.NDArray[Any], int]:
    """Samples as stored, and how many the file declares."""
    kind = _TYPES.get(int(number(lead.get("LeadSampleSize", "")) or 2))
    if kind is None:
        raise InvalidHeader("a lead declares samples that are not of 1, 2 or 4 bytes; export the file again")
    numbers = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind)
    declared = number(lead.get("LeadSampleCountTotal", ""))
    return numbers, numbers.size if declared is None or declared < 0 else int(declared)


def _intact(lead: _Fields, data: bytes) -> bool:
    """Whether the CRC-32 (ISO 3309, of the decoded bytes) is right; 0 and nothing stand for no checksum."""
    stated = number(lead.get("LeadDataCRC32", ""))
    return not stated or int(stated) & 0xFFFFFFFF == zlib.crc32(data)


def _scale(lead: _Fields, options: ReadOptions) -> float:
    """Millivolts per count."""
    per_bit, unit = number(lead.get("LeadAmplitudeUnitsPerBit", "")), lead.get("LeadAmplitudeUnits", "")
    if per_bit is None:
        if options.unit is None:
            raise MissingMetadata(
                "a lead does not say how much one count is; state `unit` and `unit_multiple` with the upload "
                "(a guess, not applied: 4.88 uV)"
            )
        return scale_of(options) * options.unit_multiple
    if per_bit == 0:
        raise InvalidHeader("a lead says that one count is 0; export the file again")
    if not unit:
        return per_bit * scale_of(options)
    each = mv_per(unit)
    if each is None:
        raise InvalidHeader("the amplitude of a lead is in a unit that is no voltage; export the file again")
    return per_bit * each
