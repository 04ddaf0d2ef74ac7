"""What a reader of the findings sees beside them."""

from __future__ import annotations

from dataclasses import replace

from exchangeai.findings import ConformalVerdict
from exchangeai.measurements import Quality, Verdict
from services.ui.pages.analyse_parts import findings
from services.ui.views import FindingView, PredictionView

ANSWER = PredictionView(
    findings=(
        FindingView(
            name="MI", probability=0.4, threshold=0.5, present=False, conformal=ConformalVerdict.UNDECIDED
        ),
        FindingView(
            name="NORM", probability=0.9, threshold=0.5, present=True, conformal=ConformalVerdict.HOLDS
        ),
    ),
    quality=Quality(verdict=Verdict.ANALYSABLE),
    model="m:1",
    model_digest="a" * 64,
    input_digest="b" * 64,
    request_id="r",
    code_version="c",
    notes=("the age is not known",),
    ood_percentile=99.8,
    ood_outside=True,
)


def _texts(node: object) -> str:
    children = getattr(node, "children", node)
    if isinstance(children, list | tuple):
        return " ".join(map(_texts, children))
    return "" if children is None else str(children) if isinstance(children, str) else _texts(children)


def test_undecided_notes_and_likeness_are_told() -> None:
    told = _texts(findings(ANSWER))
    assert told.count("undecided") == 1
    assert "the age is not known" in told
    assert "99.8\u00a0% of the validation ECGs are more like the training data: outside the limit" in told


def test_refusals_stand_where_findings_would() -> None:
    refused = replace(ANSWER, findings=(), refusals=("the person is 3 years old",), ood_percentile=None)
    told = _texts(findings(refused))
    assert "No findings: the model may not judge this recording. the person is 3 years old" in told
    assert "not assessed" in told
