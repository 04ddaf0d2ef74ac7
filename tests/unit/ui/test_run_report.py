"""What the page of a run says of the form in eight bits, as it comes over the wire."""

from __future__ import annotations

from dataclasses import replace

from exchangeai.facts import RunFact, RunState, TrainingOptions
from exchangeai.int8 import Int8Form
from exchangeai.metrics import Estimate
from exchangeai.rpc.runs import run_from_proto, run_to_proto
from services.ui.pages.run_report import int8_words

RUN = RunFact(
    run_id="r",
    model_name="m",
    dataset_id="d",
    architecture="tiny_cnn",
    state=RunState.SUCCEEDED,
    options=TrainingOptions(int8=True),
)


def told(form: Int8Form) -> str:
    come = run_from_proto(run_to_proto(replace(RUN, int8_form=form)))
    assert come.int8_form == form
    return int8_words(form)


def test_a_published_form_is_told_with_its_loss_and_speed() -> None:
    form = Int8Form(
        digest="ab",
        model_name="m-int8",
        model_version=2,
        loss=Estimate(value=0.0004, low=-0.001, high=0.0019),
        inference_ms=5.44,
        float32_ms=12.06,
    )
    said = told(form)
    assert "m-int8:2: loses 0.0004 of macro-AUROC (95 % interval -0.0010 to 0.0019)" in said
    assert "5.4 ms, the float32 form 12.1 ms" in said


def test_why_there_is_none_is_told() -> None:
    assert told(Int8Form(reason="it would lose 0.1")) == "No int8 form was published: it would lose 0.1."
    assert run_from_proto(run_to_proto(RUN)).int8_form is None
