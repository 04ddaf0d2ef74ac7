"""Measure a standardised recording: R peaks and heart rate."""

from __future__ import annotations

import numpy as np

from exchangeai.measurements import Measurements, Quality
from exchangeai.signal.quality import usable_leads
from exchangeai.signal.rpeaks import find_r_peaks
from exchangeai.signal.windows import SAMPLING_RATE_HZ, Windows

MIN_BEATS = 3
"""Two RR intervals are the least of which a median says something."""


def measure(windows: Windows, quality: Quality) -> Measurements:
    """R peaks on all usable leads and the heart rate (60 / median RR); what is absent has its note."""
    usable = usable_leads(quality)
    # Derived leads say nothing that I and II do not.
    leads = tuple(x for x in usable if x not in windows.derived)
    if not leads:
        return Measurements(notes=("no lead is usable, so no beats were looked for",))
    found = find_r_peaks(windows.continuous_mv(*leads), SAMPLING_RATE_HZ)
    used = tuple(leads[i] for i in found.leads)
    times_s = tuple(round(float(x), 3) for x in found.samples / SAMPLING_RATE_HZ)
    if len(times_s) < MIN_BEATS:
        note = f"no heart rate: {len(times_s)} beats were found, at least {MIN_BEATS} are needed"
        return Measurements(r_peaks_s=times_s, leads=used, notes=(note,))
    median_rr_s = float(np.median(np.diff(found.samples))) / SAMPLING_RATE_HZ
    return Measurements(heart_rate_bpm=60 / median_rr_s, r_peaks_s=times_s, leads=used)
