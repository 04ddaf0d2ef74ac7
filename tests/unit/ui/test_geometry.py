"""Strokes, labels and rows of the ECG paper, in millimetres."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from exchangeai.leads import STANDARD_12
from services.ui.figures.ecg_paper import draw
from services.ui.figures.geometry import LEFT_MM, PaperLead, lay_out


def twelve(amplitude_mv: float = 1.0) -> dict[str, PaperLead]:
    wave = amplitude_mv * np.sin(np.arange(5000) / 500 * 2 * np.pi)
    return {
        name: PaperLead(samples_mv=(wave + 3).astype(np.float32), sampling_rate_hz=500.0)
        for name in reversed(STANDARD_12)
    }


@pytest.mark.parametrize("layout", ["3x4+1", "12x1"])
@pytest.mark.parametrize("amplitude_mv", [0.1, 1.0, 5.0])
def test_nothing_is_clipped_and_rows_do_not_touch(layout, amplitude_mv):
    sheet = lay_out(twelve(amplitude_mv), layout)
    for trace in sheet.traces:
        assert 0 <= trace.y_mm.min() <= trace.y_mm.max() <= sheet.height_mm
    steps = -np.diff(sheet.baselines_mm)
    assert (steps >= max(20, 20 * amplitude_mv)).all()
    assert all(base % 5 == 0 for base in sheet.baselines_mm)


def test_time_runs_on_across_the_columns_in_standard_order():
    sheet = lay_out(twelve(), "3x4+1")
    starts = {t.lead: t.x0_mm for t in sheet.traces[:-1]}
    for column in range(4):
        for name in STANDARD_12[3 * column : 3 * column + 3]:
            assert starts[name] == pytest.approx(LEFT_MM + 62.5 * column)
    assert len(sheet.separators) == 9
    assert sheet.traces[-1].lead == "II"
    assert sheet.traces[-1].y_mm.size == 5000


def test_pulse_is_square_ten_by_five():
    for pulse in lay_out(twelve(), "12x1").pulses:
        points = list(zip(pulse.x_mm, pulse.y_mm, strict=True))
        moves = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
        assert moves == [(2, 0), (0, 10), (5, 0), (0, -10), (2, 0)]


def test_absent_and_derived_leads_say_so_and_gaps_stay_gaps():
    leads = twelve()
    del leads["V3"]
    leads["aVR"] = PaperLead(samples_mv=leads["aVR"].samples_mv, sampling_rate_hz=500.0, derived=True)
    leads["I"].samples_mv[10:20] = np.nan
    sheet = lay_out(leads, "12x1")
    texts = [label.text for label in sheet.labels]
    assert "V3 (absent)" in texts
    assert "aVR (derived)" in texts
    assert np.isnan(sheet.traces[0].y_mm[10:20]).all()


def test_figure_is_to_scale():
    sheet = lay_out(twelve(), "12x1")
    size = draw(sheet)["layout"]
    assert size["width"] / size["xaxis"]["range"][1] == pytest.approx(100)
    assert size["height"] / size["yaxis"]["range"][1] == pytest.approx(40)
