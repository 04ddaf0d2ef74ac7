"""The gate by itself: every reason it has, and what it lets pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exchangeai.findings import RefusalCode
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.model_file import Scope
from services.inference.gate import Ecg, admit

ECG = Ecg(
    values_mv=np.ones((2, 12, 5000), np.float32),
    valid_samples=np.array([5000, 1000], np.int32),
    quality=Quality(verdict=Verdict.ANALYSABLE, leads=tuple(LeadQuality(lead=x) for x in STANDARD_12)),
    input_digest="0" * 64,
    preprocessing_version="1",
    age_years=50,
)


def _codes(scope: Scope | None, ecg: Ecg) -> list[RefusalCode]:
    return [x.code for x in admit(scope, ecg).refusals]


@pytest.mark.parametrize(
    ("low", "high", "age", "passes"),
    [
        (18, None, 17, False),
        (18, None, 18, True),
        (18, None, 104, True),
        (None, 60, 61, False),
        (None, 60, 0, True),
        (90, None, 95, True),  # the oldest are pooled
        (None, 90, 95, True),
        (None, None, 3, True),
    ],
)
def test_ages(low: int | None, high: int | None, age: int, passes: bool) -> None:
    scope = Scope(min_age_years=low, max_age_years=high)
    codes = _codes(scope, replace(ECG, age_years=age))
    assert codes == ([] if passes else [RefusalCode.AGE_OUTSIDE])


def test_an_unknown_age_passes_with_a_note_where_ages_matter() -> None:
    unknown = replace(ECG, age_years=None)
    assert admit(Scope(min_age_years=18), unknown).notes == (
        "the age is not known; the model was trained on people of 18 years and over",
    )
    assert admit(Scope(max_age_years=60), unknown).notes[0].endswith("people of at most 60 years")
    assert admit(Scope(), unknown).notes == admit(None, unknown).notes == ()


def test_leads() -> None:
    flagged = tuple(
        LeadQuality(lead=x, flags=("missing",) if x in ("V1", "V2") else ("mains_noise",))
        for x in STANDARD_12
    )
    without = replace(ECG, quality=replace(ECG.quality, leads=flagged))
    assert _codes(Scope(leads=("V1",)), without) == [RefusalCode.LEAD_MISSING]
    assert _codes(Scope(leads=("V3",), max_missing_leads=2), without) == []
    assert _codes(Scope(max_missing_leads=1), without) == [RefusalCode.LEAD_MISSING]
    values = ECG.values_mv.copy()
    values[0, 5] = 0  # in one window only
    assert _codes(Scope(leads=("aVF",)), replace(ECG, values_mv=values)) == []
    values[:, 5] = 0
    assert _codes(Scope(leads=("aVF",)), replace(ECG, values_mv=values)) == [RefusalCode.LEAD_MISSING]


def test_duration_counts_signal_and_not_padding() -> None:
    assert _codes(Scope(min_duration_s=12.0), ECG) == []
    assert _codes(Scope(min_duration_s=12.1), ECG) == [RefusalCode.TOO_SHORT]


def test_quality_refuses_with_or_without_a_contract_and_limited_passes() -> None:
    bad = Quality(verdict=Verdict.NOT_ANALYSABLE, reasons=("flat", "too short"))
    for scope in (None, Scope()):
        found = admit(scope, replace(ECG, quality=bad)).refusals
        assert [(x.code, x.text) for x in found] == [
            (RefusalCode.NOT_ANALYSABLE, "flat"),
            (RefusalCode.NOT_ANALYSABLE, "too short"),
        ]
        assert _codes(scope, replace(ECG, quality=replace(ECG.quality, verdict=Verdict.LIMITED))) == []
    assert _codes(None, replace(ECG, quality=Quality(verdict=Verdict.NOT_ANALYSABLE))) == [
        RefusalCode.NOT_ANALYSABLE
    ]
