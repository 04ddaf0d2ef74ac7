"""ISHNE Holter recordings (`ISHNE1.0`, 16 bits, one rate) and their beats (`ANN  1.0`), Badilini 1998."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats._calibrated import calibrated
from exchangeai.formats._ishne_beats import beats_of
from exchangeai.formats._ishne_header import BEATS, SIGNAL, IshneHeader, parse_ishne_header
from exchangeai.formats._options import MIN_LENGTH_SHARE, ReadOptions, ReadResult
from exchangeai.formats._people import age_between, year_of
from exchangeai.formats._stated import rate_of
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.leads import STANDARD_12
from exchangeai.recording import MILLIVOLT, Identifiers, Lead, Patient, Recording

RANK = 5
_MV_PER_NV = 1e-6
_NAMES = {
    1: "bipolar", 2: "X", 3: "Y", 4: "Z", 17: "ES", 18: "AS", 19: "AI",
    **{5 + i: name for i, name in enumerate(STANDARD_12)},
}  # fmt: skip
_QUALITIES = {
    2: "intermittent noise", 3: "frequent noise",
    4: "intermittent disconnection", 5: "frequent disconnection",
}  # fmt: skip


def sniff(files: Mapping[str, bytes]) -> bool:
    """A file of signals, one of beats, or one of each."""
    kinds = [x[:8] for x in files.values()]
    return 0 < len(kinds) <= 2 and set(kinds) <= {SIGNAL, BEATS} and len(set(kinds)) == len(kinds)


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the leads in mV and the beats; beats alone are a recording without leads."""
    by_kind = {x[:8]: x for x in files.values()}
    headers = {kind: parse_ishne_header(x, strict=options.strict) for kind, x in by_kind.items()}
    header = headers.get(SIGNAL) or headers[BEATS]
    recording = Recording(
        format="ishne",
        leads=(),
        patient=Patient(sex=header.sex, age_years=age_between(header.born, header.recorded)),
        acquisition_year=year_of(header.recorded),
        device_model=header.device_model,
        warnings=header.warnings,
    )
    if SIGNAL in by_kind:
        leads, odd = _leads(by_kind[SIGNAL], header, options)
        recording = dataclasses.replace(recording, leads=leads, warnings=(*recording.warnings, *odd))
    if BEATS in by_kind:
        rate_hz = rate_of(options, headers[BEATS].rate_hz)
        beats, odd = beats_of(by_kind[BEATS], headers[BEATS].data_at, rate_hz)
        warnings = (*recording.warnings, *odd)
        recording = dataclasses.replace(recording, annotations=tuple(beats), warnings=warnings)
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=header.patient_id))]


def _leads(data: bytes, header: IshneHeader, options: ReadOptions) -> tuple[tuple[Lead, ...], list[str]]:
    count = len(header.lead_codes)
    size, warnings = _size(header.stated_samples, (len(data) - header.data_at) // 2, count, options.strict)
    stored = np.frombuffer(data, "<i2", size * count, header.data_at).reshape(size, count)
    rate_hz = rate_of(options, header.rate_hz)
    scales = [_scale(x, options) for x in header.resolutions_nv]
    if not any(scales):
        raise MissingMetadata(
            "the ISHNE header states no amplitude resolution; state `unit` (V, mV or uV), "
            "and `unit_multiple` where a count is not one of it"
        )
    leads = tuple(
        Lead(
            name=_NAMES.get(code, f"channel {i + 1}"),
            samples=_samples(stored[:, i], scale),
            sampling_rate_hz=rate_hz,
            unit=MILLIVOLT,
        )
        for i, (code, scale) in enumerate(zip(header.lead_codes, scales, strict=True))
    )
    numbered = list(enumerate(zip(header.lead_codes, header.qualities, scales, strict=True), 1))
    warnings += in_words([i for i, (code, _, _) in numbered if code not in _NAMES], "the lead is not named")
    warnings += in_words(
        [i for i, (_, _, scale) in numbered if not scale],
        "no amplitude resolution, so the values are unknown and count as missing",
    )
    for quality, words in _QUALITIES.items():
        warnings += in_words([i for i, (_, x, _) in numbered if x == quality], f"the recorder notes {words}")
    return leads, warnings


def _size(stated: int, available: int, leads: int, strict: bool) -> tuple[int, list[str]]:
    """Samples of each lead that are there, and warnings. Raises Truncated, InvalidHeader, EmptyFile."""
    whole = available // leads
    if whole == 0:
        raise (Truncated if stated > 0 else EmptyFile)("the ISHNE file holds no samples")
    if stated <= 0:
        if strict:
            raise InvalidHeader("the ISHNE header counts no samples")
        return whole, ["the header does not say how many samples there are; the file's size does"]
    if stated in (available, whole):
        # The first: writers that count the samples of all leads.
        return whole, []
    if stated > whole:
        if strict or whole < MIN_LENGTH_SHARE * stated:
            raise Truncated(
                f"the ISHNE header declares {stated} samples of {leads} leads; "
                f"the file holds {whole}. Send the whole file"
            )
        return whole, [f"truncated: {whole} of {stated} samples are there"]
    if strict:
        raise InvalidHeader("there are bytes after the samples that the ISHNE header declares")
    return stated, ["there are bytes after the last sample; they were left out"]


def _scale(resolution_nv: int, options: ReadOptions) -> float | None:
    """Millivolts of a count: as the file says, else as stated; None where neither does."""
    if resolution_nv > 0:
        return resolution_nv * _MV_PER_NV
    stated = mv_per(options.unit) if options.unit else None
    return None if stated is None else stated * options.unit_multiple


def _samples(stored: npt.NDArray[np.int16], scale: float | None) -> npt.NDArray[np.float32]:
    return calibrated(stored, scale, 0.0) if scale else np.full(stored.size, np.nan, np.float32)
