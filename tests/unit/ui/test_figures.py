"""Figures of the user interface: what they hold and how they wear the theme."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from exchangeai.facts import Epoch
from services.ui.figures.curves import learning_curve
from services.ui.figures.ecg_paper import DARK, LIGHT, draw, footer
from services.ui.figures.geometry import PaperLead, lay_out
from services.ui.pages.analyse_paper import chosen_id, pages


def lead(seconds: float = 10.0) -> PaperLead:
    samples = np.linspace(-1, 1, int(500 * seconds), dtype=np.float32)
    return PaperLead(samples_mv=samples, sampling_rate_hz=500.0)


@pytest.mark.parametrize(("dark", "ink"), [(False, LIGHT), (True, DARK)])
def test_grid_is_one_and_five_millimetres_in_the_ink_of_the_scheme(dark, ink):
    layout = draw(lay_out({"I": lead()}, "12x1"), dark=dark)["layout"]
    assert layout["paper_bgcolor"] == ink.paper
    for axis, unit_mm in (("xaxis", 25), ("yaxis", 10)):
        grid = layout[axis]
        assert grid["dtick"] * unit_mm == pytest.approx(5)
        assert grid["minor"]["dtick"] * unit_mm == pytest.approx(1)
        assert (grid["gridcolor"], grid["minor"]["gridcolor"]) == (ink.major, ink.minor)


def test_samples_are_sent_as_they_are():
    leads = {"I": lead()}
    sheet = lay_out(leads, "12x1")
    trace = next(t for t in draw(sheet)["data"] if t["name"] == "I")
    sent = np.frombuffer(base64.b64decode(trace["y"]["bdata"]), "<f4")
    baseline_mv = sheet.baselines_mm[0] / 10
    assert np.allclose(sent - baseline_mv, leads["I"].samples_mv, atol=1e-5)
    assert trace["dx"] == pytest.approx(1 / 500)


def test_no_wave_runs_through_a_label():
    tall = np.zeros(5000, np.float32)
    tall[20:40] = 2.5
    sheet = lay_out({"I": PaperLead(samples_mv=tall, sampling_rate_hz=500.0), "II": lead()}, "12x1")
    label = next(x for x in sheet.labels if x.text == "I")
    trace = next(t for t in sheet.traces if t.lead == "I")
    assert label.y_mm > trace.y_mm[:100].max()
    assert label.y_mm + 4 <= sheet.height_mm


def test_footer_says_scale_filter_rate_and_part():
    assert footer([500.0, 500.0], "Filter: none").startswith("25 mm/s  ·  10 mm/mV  ·  Filter: none")
    assert "recorded at 500 / 250 Hz" in footer([500.0, 250.0], "")
    assert "20–27.5 s of 27.5 s" in footer([500.0], "", start_s=20, duration_s=27.5)


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [(2.5, [0]), (10, [0]), (10.4, [0]), (10.6, [0, 10]), (27.5, [0, 10, 20]), (60, [0, 10, 20, 30, 40, 50])],
)
def test_long_records_are_paged_by_ten_seconds(duration_s, expected):
    assert list(pages(duration_s)) == expected


def test_the_last_page_names_the_end_of_the_record():
    assert list(pages(27.5).values()) == ["0–10 s", "10–20 s", "20–27.5 s"]


def test_only_an_id_in_the_address_chooses_a_recording():
    assert chosen_id("/analyse/" + "a" * 64) == "a" * 64
    assert chosen_id("/analyse/nonsense") == chosen_id("/") == chosen_id(None) == ""


def test_curve_marks_the_best_epoch_and_leaves_gaps_where_there_is_no_score():
    epochs = [
        Epoch(
            epoch=i,
            train_loss=1.0 / i,
            validation_loss=1.0,
            validation_macro_auroc=None if i == 1 else 0.8,
            seconds=1,
        )
        for i in (1, 2, 3)
    ]
    figure = learning_curve(epochs, 2)
    assert figure["data"][2]["y"] == [None, 0.8, 0.8]
    assert figure["layout"]["shapes"][0]["x0"] == 2
    assert learning_curve(epochs, 0)["layout"]["shapes"] == []
