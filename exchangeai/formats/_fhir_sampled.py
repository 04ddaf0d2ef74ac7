"""FHIR SampledData (R4 `period`, R5 `interval` or `offsets`): samples in mV, or in their own unit or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, MissingMetadata
from exchangeai.formats._fhir_json import Json, decimal, mapping, text
from exchangeai.formats._number_text import numbers_in
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._stated import quantity_of, rate_of, states_unit
from exchangeai.formats._times import PER_S, rate_of_times
from exchangeai.leads import canonical_lead
from exchangeai.recording import Lead

_MAX_DIMENSIONS = 1024
_PLAIN = b"0123456789+-. \t\r\n"
_MEANING = {
    "E": "an error of measurement",
    "U": "a value above the limit of detection",
    "L": "a value below the limit of detection",
}


def leads_of_sampled(data: Json, name: str, options: ReadOptions, warnings: list[str]) -> list[Lead]:
    """The leads of one SampledData: one, or as many as it has dimensions, interleaved.

    value = data * factor + origin (FHIR R4 2.24.0.8); E, U and L are missing. Where neither file nor caller
    states a unit, that value is kept with the unit "". Raises MissingMetadata and InvalidHeader.
    """
    stored = _numbers(data, warnings)
    count = decimal(data.get("dimensions"))
    dimensions = 1 if count is None else int(count)
    if not 1 <= dimensions <= _MAX_DIMENSIONS or dimensions > max(stored.size, 1):
        raise InvalidHeader("SampledData has more dimensions than samples, or none; export it again")
    over = stored.size % dimensions
    if over:
        if options.strict:
            raise InvalidHeader("the samples are not a multiple of the dimensions; export the file again")
        warnings.append("the file is truncated: the last sample of some dimensions is absent, and left out")
        stored = stored[: stored.size - over]
    factor, origin = decimal(data.get("factor")), decimal(mapping(data.get("origin")).get("value"))
    scale, unit = _quantity(data, options, warnings)
    rate_hz = _rate(data, dimensions, options, warnings)
    # Absurd factors give infinity, which counts as missing.
    with np.errstate(over="ignore", invalid="ignore"):
        values = (stored * (1.0 if factor is None else factor) + (origin or 0.0)) * scale
        table = values.astype(np.float32).reshape(-1, dimensions)
    return [
        Lead(name=x, samples=table[:, i], sampling_rate_hz=rate_hz, unit=unit)
        for i, x in enumerate(_names(name, dimensions, options))
    ]


def _names(name: str, dimensions: int, options: ReadOptions) -> Sequence[str]:
    if dimensions == 1 and name:
        return (name,)
    if len(options.leads) == dimensions:
        return tuple(canonical_lead(x) for x in options.leads)
    raise MissingMetadata(
        f"the file does not name the {dimensions} lead{'s' if dimensions > 1 else ''} of a SampledData; "
        "state `leads` in their order with the upload"
    )


def _numbers(data: Json, warnings: list[str]) -> npt.NDArray[np.float64]:
    written = text(data.get("data"))
    if not written.encode("ascii", "replace").translate(None, _PLAIN):
        return numbers_in(written).astype(np.float64)
    words = written.split()
    missing = set(_MEANING)
    if text(data.get("codeMap")):
        # R5: other codes may stand for values, by a map that is not in the file.
        missing |= {x for x in set(words) if not _is_number(x)}
        if missing - set(_MEANING):
            warnings.append("codes stand for some samples; they count as missing")
    try:
        numbers = np.array([np.nan if x in missing else float(x) for x in words], np.float64)
    except ValueError as e:
        raise InvalidHeader(
            "among the samples are words that are no numbers; export the file again from its source"
        ) from e
    for word, meaning in _MEANING.items():
        if word in words:
            warnings.append(f"samples marked {word} ({meaning}) count as missing")
    return numbers


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _quantity(data: Json, options: ReadOptions, warnings: list[str]) -> tuple[float, str]:
    origin = mapping(data.get("origin"))
    code, shown = text(origin.get("code")), text(origin.get("unit"))
    unit = code if states_unit(code) else shown
    if options.unit is None and not states_unit(unit):
        warnings.append(
            "the file states no unit: the samples are data * factor + origin, as FHIR defines, and no "
            "voltage; state `unit` to read them as one"
        )
        return 1.0, ""
    return quantity_of(options, unit)


def _rate(data: Json, dimensions: int, options: ReadOptions, warnings: list[str]) -> float:
    """Hz; R4 counts milliseconds, R5 any unit of time. Raises MissingMetadata and InvalidHeader."""
    step, per_s = decimal(data.get("period")), 1000.0
    unit = text(data.get("intervalUnit"))
    offsets = text(data.get("offsets"))
    if step is None and (data.get("interval") is not None or offsets):
        step = decimal(data.get("interval"))
        known = PER_S.get(unit.casefold() if unit != "Ms" else unit)
        if known is None:
            raise InvalidHeader("the interval of the samples is in no unit of time; export the file again")
        per_s = known
    if step is None and offsets:
        times = numbers_in(offsets).astype(np.float64)
        rate_hz, more = rate_of_times(times, per_s)
        warnings += more
        return rate_of(options, rate_hz)
    if step is None:
        return rate_of(options, None)
    if step <= 0:
        raise InvalidHeader("the interval between samples is 0 or less; export the file again")
    return rate_of(options, per_s / step)
