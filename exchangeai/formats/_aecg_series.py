"""Series of an aECG file: sequence sets with their time axis and leads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, MissingMetadata
from exchangeai.formats._aecg_values import (
    Instant,
    attribute,
    child,
    exact,
    instant,
    mv_per_ucum,
    named_children,
    seconds_per,
)
from exchangeai.formats._number_text import numbers_in, scaled
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._stated import rate_of, scale_of
from exchangeai.formats._xml_fields import number
from exchangeai.leads import canonical_lead
from exchangeai.recording import MILLIVOLT, Lead

_LEAD = "MDC_ECG_LEAD_"
_TIMES = ("TIME_ABSOLUTE", "TIME_RELATIVE")
_BY_NUMBER = {
    "1": "I", "2": "II", "3": "V1", "4": "V2", "5": "V3", "6": "V4", "7": "V5", "8": "V6",
    "61": "III", "62": "aVR", "63": "aVL", "64": "aVF",
}  # fmt: skip
"""ISO/IEEE 11073-10102 lead numbers, for files that write the numbers instead of the names."""
_MAX_SEQUENCES = 1024
_MAX_SETS = 10_000
_MAX_FILL = 8
"""Missing samples that are written out, per sample that the file holds."""


@dataclass(frozen=True, kw_only=True)
class SequenceSet:
    """Leads that were recorded together."""

    leads: tuple[Lead, ...]
    start: Instant | None
    """When the first sample was taken, where the time axis is absolute."""
    offset_s: float
    """What a relative time axis calls the first sample."""


class _Parts:
    """What a `sequence` holds, each looked for once: most of the time beside the digits goes there."""

    def __init__(self, sequence: Any) -> None:
        children = named_children(sequence)
        self.code_node, self.value = children.get("code"), children.get("value")
        self.code = attribute(self.code_node, "code")
        self.of_value = {} if self.value is None else named_children(self.value)
        digits = self.of_value.get("digits")
        self.digits: str | None = None if digits is None else digits.text


def sequence_sets(series: Any, options: ReadOptions, warnings: list[str]) -> list[SequenceSet]:
    """The sequence sets of a `series` or `derivedSeries` that hold leads, joined where they belong together.

    Raises MissingMetadata where a time axis or a unit is missing and the caller states none, InvalidHeader
    for numbers that make no sense.
    """
    found: list[SequenceSet] = []
    for component in series.iterchildren("{*}component"):
        for node in component.iterchildren("{*}sequenceSet"):
            if len(found) >= _MAX_SETS:
                raise InvalidHeader(f"a series holds more than {_MAX_SETS} sequence sets; export it in parts")
            one = _sequence_set(node, options, warnings)
            if one is None:
                continue
            joined = _joined(found[0], one) if found else None
            if joined is None:
                found.append(one)
            else:
                found[0] = joined
    return found


def lead_name(node: Any) -> str:
    """The lead that a `code` element names."""
    code = attribute(node, "code")
    if code.isdigit():
        return _BY_NUMBER.get(code) or canonical_lead(attribute(node, "displayName") or code)
    bare = code[len(_LEAD) :] if code.upper().startswith(_LEAD) else code
    return canonical_lead((bare or attribute(node, "displayName"))[:64])


def _sequence_set(node: Any, options: ReadOptions, warnings: list[str]) -> SequenceSet | None:
    sequences = [
        x for component in node.iterchildren("{*}component") for x in component.iterchildren("{*}sequence")
    ]
    if len(sequences) > _MAX_SEQUENCES:
        raise InvalidHeader(
            f"a sequence set holds {len(sequences)} sequences; at most {_MAX_SEQUENCES} are read"
        )
    parts = [_Parts(x) for x in sequences]
    stored = [x for x in parts if x.code not in _TIMES]
    values = [numbers_in(x.digits) for x in stored]
    if not any(x.size for x in values):
        return None
    axis = next((x.value for x in parts if x.code in _TIMES), None)
    step = _step_s(axis)
    rate_hz = rate_of(options, float(1 / step) if step else None)
    leads = [
        _lead(x, numbers, f"channel {i + 1}", rate_hz, options)
        for i, (x, numbers) in enumerate(zip(stored, values, strict=True))
    ]
    head = child(axis, "head")
    per = seconds_per(attribute(head, "unit"))
    begin = number(attribute(head, "value")) if per else None
    return SequenceSet(
        leads=_filled(leads, warnings),
        start=instant(attribute(head, "value")) if attribute(head, "unit") == "" else None,
        offset_s=begin * float(per) if per and begin is not None else 0.0,
    )


def _step_s(axis: Any) -> Fraction | None:
    """Seconds between two samples, from a generated list's increment or an evenly spaced list of times."""
    increment = child(axis, "increment")
    if increment is not None:
        per, step = seconds_per(attribute(increment, "unit")), exact(attribute(increment, "value"))
        if step is None:
            raise InvalidHeader("the time axis has an increment that is no positive number; export it again")
        return None if per is None else step * per
    times = numbers_in(child(axis, "digits").text) if child(axis, "digits") is not None else np.empty(0)
    scale = child(axis, "scale")
    per, one = seconds_per(attribute(scale, "unit")), exact(attribute(scale, "value"))
    if times.size < 2 or per is None or one is None:
        return None
    steps = np.diff(times.astype(np.float64))
    step = exact(f"{float(np.mean(steps)):.12g}")
    if step is None or np.ptp(steps) > 1e-6 * float(step):
        raise InvalidHeader("the time axis lists unevenly spaced times, which is not read; resample it first")
    return step * one * per


def _lead(
    parts: _Parts, numbers: npt.NDArray[Any], unnamed: str, rate_hz: float, options: ReadOptions
) -> Lead:
    name = lead_name(parts.code_node) or unnamed
    if not numbers.size:
        return Lead(name=name, samples=np.empty(0, np.float32), sampling_rate_hz=rate_hz)
    origin, scale = parts.of_value.get("origin"), parts.of_value.get("scale")
    written = attribute(scale, "value")
    factor = number(written)
    if factor == 0 or (factor is None and written):
        raise InvalidHeader("a lead has a scale that is zero or no number; export the file again")
    offset = number(attribute(origin, "value")) or 0.0
    unit = attribute(scale, "unit") or attribute(origin, "unit")
    if factor is None or unit in ("", "1"):
        if factor is None and options.unit is None:
            raise MissingMetadata(
                "a lead has no scale; state `unit` (V, mV or uV) and `unit_multiple` with the upload"
            )
        # SLIST_INT and lists without a unit: counts, of which only the caller can know what they are.
        each = scale_of(options) * options.unit_multiple
        return _made(name, numbers, (factor or 1.0) * each, offset * each, MILLIVOLT, rate_hz)
    per, origin_per = mv_per_ucum(unit), mv_per_ucum(attribute(origin, "unit") or unit)
    if per is None:
        return _made(name, numbers, factor, offset, unit, rate_hz)
    if origin_per is None:
        raise InvalidHeader("a lead has an origin that is no voltage but a scale that is; export it again")
    return _made(name, numbers, factor * per, offset * origin_per, MILLIVOLT, rate_hz)


def _made(
    name: str, numbers: npt.NDArray[Any], scale: float, offset: float, unit: str, rate_hz: float
) -> Lead:
    return Lead(name=name, samples=scaled(numbers, scale, offset), sampling_rate_hz=rate_hz, unit=unit)


def _filled(leads: Sequence[Lead], warnings: list[str]) -> tuple[Lead, ...]:
    """Leads without any value (nullFlavor) become as long as the others, and missing."""
    sizes = [x.samples.size for x in leads]
    longest, empty = max(sizes), sizes.count(0)
    if len({x for x in sizes if x}) > 1:
        warnings.append("leads that were recorded together differ in length")
    if not empty:
        return tuple(leads)
    if empty * longest > _MAX_FILL * sum(sizes):
        raise InvalidHeader(f"{empty} leads hold no samples, far more than those that do; export it again")
    warnings.append(f"{empty} leads hold no samples; they count as missing")
    missing = np.full(longest, np.nan, np.float32)
    return tuple(x if x.samples.size else dataclasses.replace(x, samples=missing) for x in leads)


def _joined(first: SequenceSet, later: SequenceSet) -> SequenceSet | None:
    """One set of both, later leads shifted by missing samples; None where they do not fit together.

    Leads recorded in turns (three at a time, 2.5 s each) come as several sets of one series.
    """
    names = {x.name for x in first.leads}
    if len(names) > _MAX_SEQUENCES or not names.isdisjoint(x.name for x in later.leads):
        return None
    delay_s = later.offset_s - first.offset_s
    if first.start and later.start:
        delay_s = later.start.seconds_since(first.start)
    rate_hz = later.leads[0].sampling_rate_hz
    shift = delay_s * rate_hz
    # The first lead of all is never filled up, and leads without values share one array.
    stored = first.leads[0].samples.size + sum({id(x.samples): x.samples.size for x in later.leads}.values())
    if not 0 <= shift * len(later.leads) <= _MAX_FILL * stored or abs(shift - round(shift)) > 1e-3:
        return None
    missing = np.full(round(shift), np.nan, np.float32)
    shifted = (
        dataclasses.replace(x, samples=np.concatenate([missing, x.samples]) if missing.size else x.samples)
        for x in later.leads
    )
    return dataclasses.replace(first, leads=(*first.leads, *shifted))
