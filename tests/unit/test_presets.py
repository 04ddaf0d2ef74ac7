"""Presets, the estimate of a run from its steps, and what the range test suggests."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exchangeai.facts import Method, Precision, RatePoint, Task, TrainingOptions
from services.trainer import network, objective
from services.trainer.estimate import Measured, Question, estimate, measure
from services.trainer.find_rate import HIGHEST, LOWEST, STEPS, find_rate, suggested
from services.trainer.presets import presets


@pytest.mark.parametrize("windows", [20, 700, 17_000, 1_000_000])
@pytest.mark.parametrize("from_base", [False, True])
def test_presets_rise_in_work_and_small_sets_are_seen_more_often(windows: int, from_base: bool) -> None:
    offered = presets(windows, 2e-3, from_base=from_base)
    assert [x.name for x in offered] == ["quick", "balanced", "thorough"]
    epochs = [x.options.max_epochs for x in offered]
    assert epochs == sorted(epochs)
    assert all(x.options.patience <= max(3, x.options.max_epochs) for x in offered)
    fewer = [x.options.max_epochs for x in presets(100 * windows, 2e-3, from_base=from_base)]
    assert all(a >= b for a, b in zip(epochs, fewer, strict=True))
    assert offered[0].options.method is (Method.LINEAR_PROBE if from_base else Method.FULL)
    assert offered[1].options.learning_rate == pytest.approx(6e-4 if from_base else 2e-3)


def test_a_run_takes_its_steps_and_its_judging() -> None:
    measured = Measured(step_s=0.5, predict_s=0.01, peak_bytes=10**9)
    options = TrainingOptions(max_epochs=10, patience=4, batch_size=50)
    told = estimate(measured, options, windows=1000, judged=100)
    assert told.low_s == pytest.approx(8 + 5 * (20 * 0.5 + 1))
    assert told.high_s == pytest.approx(1.3 * (8 + 10 * (20 * 0.5 + 1)))
    tenth = estimate(measured, TrainingOptions(max_epochs=10, batch_size=50, label_share=0.1), 1000, 100)
    assert tenth.high_s == pytest.approx(1.3 * (8 + 10 * (2 * 0.5 + 1)))
    halves = TrainingOptions(max_epochs=10, patience=4, batch_size=50, accumulate=2)
    assert estimate(measured, halves, 1000, 100).step_s == 1.0


def test_steps_are_really_measured() -> None:
    def asked(batch: int) -> Measured:
        return measure(
            Question(
                architecture="tiny_cnn",
                batch=batch,
                threads=1,
                method=Method.FULL,
                precision=Precision.FLOAT32,
                augmentations=("gain", "noise"),
            )
        )

    small, large = asked(2), asked(64)
    assert 0 < small.step_s < large.step_s
    assert large.predict_s > 0
    assert large.peak_bytes > 10**8


def test_the_suggestion_is_a_tenth_of_where_the_loss_was_least() -> None:
    rates = np.geomspace(1e-5, 1, 50)
    curve = [RatePoint(rate=float(r), loss=float((np.log10(r) + 1.5) ** 2)) for r in rates]
    assert suggested(curve, 1.0) == pytest.approx(10**-2.5, rel=0.2)
    rising = [RatePoint(rate=float(r), loss=float(r)) for r in rates]
    assert suggested(rising, 0.123) == 0.123
    assert suggested(curve[:2], 0.123) == 0.123


def test_the_range_test_rises_ends_when_it_diverges_and_repeats() -> None:
    random = np.random.default_rng(3)
    labels = random.random((64, 2)) < 0.5
    x_NLT = torch.zeros(64, 12, 5000)
    x_NLT += torch.from_numpy(labels[:, :1, None].astype(np.float32))  # one class is plain to see
    learned = objective.fit(labels, Task.MULTI_LABEL, weigh=False, label_smoothing=0.0)
    batch = [(x_NLT[i : i + 16], learned.targets(labels[i : i + 16])) for i in range(0, 64, 16)]
    beats: list[int] = []

    def found():
        return find_rate(
            lambda: network.build("tiny_cnn", 2),
            learned,
            TrainingOptions(seed=5),
            lambda epoch: batch,
            torch.device("cpu"),
            from_base=False,
            beat=lambda: beats.append(1),
        )

    first = found()
    assert first == found()
    rates = [x.rate for x in first.curve]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(LOWEST)
    assert rates[-1] <= HIGHEST
    assert 10 < len(rates) <= STEPS
    assert LOWEST < first.rate < 0.1
    assert len(beats) == 2 * len(rates)
