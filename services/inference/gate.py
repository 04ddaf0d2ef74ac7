"""The gate: which ECGs a model may judge, by the signal's quality and by the model's contract of use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.findings import Refusal, RefusalCode
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import Quality, Verdict
from exchangeai.model_file import SAMPLING_RATE_HZ, Scope
from exchangeai.recording import MAX_AGE_YEARS


@dataclass(frozen=True, kw_only=True)
class Ecg:
    """What is predicted on."""

    values_mv: npt.NDArray[np.float32]
    """float32 [n, 12, 5000], millivolts at 500 Hz."""
    valid_samples: npt.NDArray[np.int32]
    """int32 [n]: how many samples of each window are signal."""
    quality: Quality
    input_digest: str
    """SHA-256, hex: of the source bytes, or of the tensor's bytes."""
    preprocessing_version: str
    age_years: int | None = None
    """None where neither the recording nor the caller says it."""
    age_stated: bool = False
    """The age is the caller's word, in place of what the recording says."""
    recording_id: str = ""
    """Of a stored recording; empty for others."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What the gate says: with refusals there are no findings."""

    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


def admit(scope: Scope | None, ecg: Ecg) -> Admission:
    """Judge an ECG against a model's contract of use; None for a model that states none.

    LIMITED quality passes, with its reasons in the quality. An unknown age passes with a note, and one that
    the caller stated is noted, because the digest of the input does not cover it.
    """
    refusals = list(_of_quality(ecg.quality))
    notes: list[str] = []
    if scope is None:
        return Admission(refusals=tuple(refusals))
    if scope.min_age_years is not None or scope.max_age_years is not None:
        if ecg.age_stated:
            notes.append(f"the age of {ecg.age_years} years was stated by the caller")
        if ecg.age_years is None:
            notes.append(f"the age is not known; the model was trained on {_ages(scope)}")
        elif not _age_within(scope, ecg.age_years):
            text = f"the person is {ecg.age_years} years old; the model was trained on {_ages(scope)}"
            refusals.append(Refusal(code=RefusalCode.AGE_OUTSIDE, text=text))
    if (text := _leads_missing(scope, ecg)) is not None:
        refusals.append(Refusal(code=RefusalCode.LEAD_MISSING, text=text))
    # Of padded windows only the signal counts.
    duration_s = float(ecg.valid_samples.sum()) / SAMPLING_RATE_HZ
    if duration_s < scope.min_duration_s:
        text = f"the recording lasts {duration_s:.1f} s; the model needs {scope.min_duration_s:g} s"
        refusals.append(Refusal(code=RefusalCode.TOO_SHORT, text=text))
    return Admission(refusals=tuple(refusals), notes=tuple(notes))


def _of_quality(quality: Quality) -> tuple[Refusal, ...]:
    if quality.verdict is not Verdict.NOT_ANALYSABLE:
        return ()
    reasons = quality.reasons or ("the signal cannot be analysed",)
    return tuple(Refusal(code=RefusalCode.NOT_ANALYSABLE, text=x) for x in reasons)


def _age_within(scope: Scope, age_years: int) -> bool:
    age = min(age_years, MAX_AGE_YEARS)  # the oldest are pooled, at training as well
    return (scope.min_age_years is None or age >= scope.min_age_years) and (
        scope.max_age_years is None or age <= scope.max_age_years
    )


def _ages(scope: Scope) -> str:
    low, high = scope.min_age_years, scope.max_age_years
    if high is None:
        return f"people of {low} years and over"
    return f"people of at most {high} years" if low is None else f"people of {low} to {high} years"


def _leads_missing(scope: Scope, ecg: Ecg) -> str | None:
    if not scope.leads and scope.max_missing_leads is None:
        return None
    flagged = {x.lead for x in ecg.quality.leads if "missing" in x.flags}
    # In a tensor a missing lead is zero throughout.
    missing = [name for i, name in enumerate(STANDARD_12) if name in flagged or not ecg.values_mv[:, i].any()]
    needed = [x for x in missing if x in scope.leads]
    if needed:
        return f"missing: {', '.join(needed)}; the model was trained on recordings that have them"
    if scope.max_missing_leads is not None and len(missing) > scope.max_missing_leads:
        return (
            f"missing: {', '.join(missing)}; the model was trained with at most "
            f"{scope.max_missing_leads} leads missing"
        )
    return None
