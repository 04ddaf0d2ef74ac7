"""Measure a standardised recording: beats, heart rate, rhythm, intervals, axes and amplitudes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from exchangeai.measurements import Axes, Intervals, Measurements, Quality
from exchangeai.signal.amplitudes import axis_deg, lead_amplitudes
from exchangeai.signal.delineation import Landmarks, delineate
from exchangeai.signal.filters import zero_phase
from exchangeai.signal.intervals import intervals
from exchangeai.signal.median_beat import MedianBeat, laid_over, median_beat
from exchangeai.signal.pacing import without_spikes
from exchangeai.signal.profiles import PROFILES, Profile
from exchangeai.signal.quality import usable_leads
from exchangeai.signal.rhythm import regularity, rr_irregularity
from exchangeai.signal.rpeaks import RPeaks, find_r_peaks
from exchangeai.signal.windows import SAMPLING_RATE_HZ, Windows

Float32 = npt.NDArray[np.float32]

MIN_BEATS = 3
"""Two RR intervals are the least of which a median says something."""
BAND = Profile(name="delineate", highpass_hz=0.5, lowpass_hz=40.0)
"""For the landmarks: P and T waves have nothing above, and their flanks are not those of mains."""


def measure(windows: Windows, quality: Quality) -> Measurements:
    """What can be measured on the usable leads together; what is absent has its reason in the notes.

    Derived leads say nothing that I and II do not and are left out.
    """
    usable = usable_leads(quality)
    leads = tuple(x for x in usable if x not in windows.derived)
    if not leads:
        return Measurements(notes=("no lead is usable, so no beats were looked for",))
    stored_mv = windows.continuous_mv(*leads)
    x_mv = without_spikes(stored_mv, SAMPLING_RATE_HZ)
    found = find_r_peaks(stored_mv, SAMPLING_RATE_HZ)
    if _on_pulses(found, stored_mv, x_mv):
        found = find_r_peaks(x_mv, SAMPLING_RATE_HZ)
    used = tuple(leads[i] for i in found.leads)
    times_s = tuple(round(float(x), 3) for x in found.samples / SAMPLING_RATE_HZ)
    if len(times_s) < MIN_BEATS:
        note = f"no heart rate: {len(times_s)} beats were found, at least {MIN_BEATS} are needed"
        return Measurements(r_peaks_s=times_s, leads=used, notes=(note,))
    rr = np.diff(found.samples)
    counted = Measurements(
        heart_rate_bpm=60 * SAMPLING_RATE_HZ / float(np.median(rr)),
        r_peaks_s=times_s,
        leads=used,
        rr_irregularity=rr_irregularity(rr),
        regularity=regularity(rr),
    )
    delineated = landmarks(x_mv, found)
    if delineated is None:
        return replace(counted, notes=("no intervals: there are not two whole beats of one shape",))
    beat, marks = delineated
    timed = intervals(beat, marks)
    # Heights need the whole band that is measured: 40 Hz would cut the tips of R waves.
    full = laid_over(beat, zero_phase(x_mv, SAMPLING_RATE_HZ, PROFILES["measure"]))
    axes = Axes(
        p_deg=axis_deg(full, leads, (marks.p_on, marks.p_off), marks.p_on),
        qrs_deg=axis_deg(full, leads, (marks.qrs_on, marks.qrs_off), marks.qrs_on),
        t_deg=axis_deg(full, leads, (_t_on(marks), marks.t_off), marks.qrs_on),
    )
    return replace(
        counted,
        intervals=timed,
        axes=axes,
        amplitudes=lead_amplitudes(full, leads, marks),
        beats_used=int(beat.beats.size),
        notes=(*_absent_intervals(timed), *_absent_axes(axes, leads)),
    )


def _on_pulses(found: RPeaks, stored_mv: Float32, without_mv: Float32) -> bool:
    """Whether most beats are a pacemaker's pulses, not the complexes after them.

    Where they are not, the pulses help: without them an atrial one, which is often too smooth to be taken
    out, may stand as high as the complexes.
    """
    if stored_mv is without_mv or not found.samples.size:
        return False
    changed = (stored_mv[:, found.samples] != without_mv[:, found.samples]).any(axis=0)
    return float(changed.mean()) > 0.5


def landmarks(x_mv: Float32, found: RPeaks) -> tuple[MedianBeat, Landmarks] | None:
    """The median beat of finite float32 [leads, samples] at 500 Hz, mV, and where its waves begin and end.

    None with fewer than two whole beats of one shape.
    """
    rows = zero_phase(x_mv[list(found.leads)], SAMPLING_RATE_HZ, BAND)
    beat = median_beat(rows, SAMPLING_RATE_HZ, found.samples)
    return None if beat is None else (beat, delineate(beat))


def _t_on(marks: Landmarks) -> float | None:
    """As long before its peak as its end is after it: where a T wave begins cannot be seen."""
    if marks.t_peak is None or marks.t_off is None:
        return None
    return max(2 * marks.t_peak - marks.t_off, marks.qrs_off)


def _absent_intervals(timed: Intervals) -> list[str]:
    notes: list[str] = []
    if timed.pr_ms is None:
        notes.append("no P duration and PR: there is no P wave that is alike from beat to beat")
    if timed.qt_ms is None:
        notes.append("no QT and QTc: no lead has a T wave that can be told from its surroundings")
    return notes


def _absent_axes(axes: Axes, leads: Sequence[str]) -> list[str]:
    if not {"I", "II"} <= set(leads):
        return ["no axes: they need the leads I and II"]
    return ["no QRS axis: the complex points out of the frontal plane"] if axes.qrs_deg is None else []
