"""Results as a flat table: a row for each finding, or one row with the reasons when there are none."""

from __future__ import annotations

from collections.abc import Iterator

from exchangeai.findings import Finding
from exchangeai.measurements import Quality
from exchangeai.results._result import Result, recorded

COLUMNS: dict[str, type] = {
    "recording_id": str,
    "recorded_at": str,
    "model_name": str,
    "model_version": int,
    "model_digest": str,
    "finding": str,
    "code": str,
    "probability": float,
    "threshold": float,
    "present": bool,
    "conformal": str,
    "value": float,
    "low": float,
    "high": float,
    "refusals": str,
    "notes": str,
    "quality": str,
    "quality_reasons": str,
    "quality_flags": str,
    "ood_score": float,
    "ood_percentile": float,
    "ood_outside": bool,
    "input_digest": str,
    "preprocessing_version": str,
    "code_version": str,
    "runtime_version": str,
    "request_id": str,
    "notice": str,
}
"""Columns in order, with the kind of their values; a value that there is none of is None."""
Row = dict[str, str | float | int | bool | None]


def rows(result: Result) -> Iterator[Row]:
    """The rows of one result."""
    answer, origin = result.prediction, result.provenance
    ood = answer.ood
    shared: Row = {
        "recording_id": result.recording_id,
        "recorded_at": recorded(result).isoformat(),
        "model_name": origin.model_name,
        "model_version": origin.model_version,
        "model_digest": origin.model_digest,
        "refusals": "; ".join(f"{x.code.value}: {x.text}" for x in answer.refusals),
        "notes": "; ".join(answer.notes),
        "quality": answer.quality.verdict.value,
        "quality_reasons": "; ".join(answer.quality.reasons),
        "quality_flags": "; ".join(_flags(answer.quality)),
        "ood_score": ood.ood_score if ood else None,
        "ood_percentile": ood.percentile if ood else None,
        "ood_outside": ood.outside if ood else None,
        "input_digest": origin.input_digest,
        "preprocessing_version": origin.preprocessing_version,
        "code_version": origin.code_version,
        "runtime_version": origin.runtime_version,
        "request_id": origin.request_id,
        "notice": origin.notice,
    }
    for found in answer.findings or (None,):
        own = _of_finding(found) if found is not None else {}
        yield {name: (own | shared).get(name) for name in COLUMNS}


def _flags(quality: Quality) -> list[str]:
    return [*quality.flags, *(f"{x.lead}: {' '.join(x.flags)}" for x in quality.leads if x.flags)]


def _of_finding(x: Finding) -> Row:
    number = x.value is not None
    return {
        "finding": x.name,
        "code": x.code,
        "probability": None if number else x.probability,
        "threshold": None if number else x.threshold,
        "present": None if number else x.present,
        "conformal": x.conformal.value if x.conformal is not None else None,
        "value": x.value,
        "low": x.low,
        "high": x.high,
    }
