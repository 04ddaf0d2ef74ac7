"""Measure a standardised recording: R peaks and heart rate."""

from __future__ import annotations

import numpy as np

from exchangeai.measurements import Measurements, Quality
from exchangeai.signal.rpeaks import best_lead, find_r_peaks
from exchangeai.signal.windows import SAMPLING_RATE_HZ, Windows

MIN_BEATS = 3
"""Two RR intervals are the least of which a median says something."""


def measure(windows: Windows, quality: Quality) -> Measurements:
    """R peaks on the best lead and the heart rate (60 / median RR); what is absent has its note."""
    lead = best_lead(quality)
    if lead is None:
        return Measurements(notes=("no lead is usable, so no beats were looked for",))
    peaks = find_r_peaks(windows.continuous_mv(lead), SAMPLING_RATE_HZ)
    times_s = tuple(round(float(x), 3) for x in peaks / SAMPLING_RATE_HZ)
    if len(times_s) < MIN_BEATS:
        note = (
            f"no heart rate: {len(times_s)} beats were found in lead {lead}, at least {MIN_BEATS} are needed"
        )
        return Measurements(r_peaks_s=times_s, lead=lead, notes=(note,))
    median_rr_s = float(np.median(np.diff(peaks))) / SAMPLING_RATE_HZ
    return Measurements(heart_rate_bpm=60 / median_rr_s, r_peaks_s=times_s, lead=lead)
