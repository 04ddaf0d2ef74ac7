"""What a person may choose to look at: leads filtered for the paper alone, and the words that say so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exchangeai.signal import mains
from exchangeai.signal.filters import zero_phase
from exchangeai.signal.gaps import bridge_gaps, has_value
from exchangeai.signal.profiles import HIGHEST_OF_NYQUIST, PROFILES, Profile
from services.ui.figures.geometry import PAGE_S, PaperLead

Samples = npt.NDArray[np.float32]

_OFFERED = "display "
UNFILTERED = "none"
DEFAULT = "display 0.05-150"
"""The band of a diagnostic ECG of an adult (AHA/ACCF/HRS 2007)."""
MARGIN_S = 20.0
"""Filtered beyond either end of the sheet, one period of the lowest limit: neighbouring sheets agree."""


@dataclass(frozen=True, kw_only=True)
class Displayed:
    """Leads as they come to the paper, and what was done to them."""

    leads: dict[str, PaperLead]
    words: str


def choices() -> dict[str, str]:
    """Labels of all filters that are offered, by value, the unfiltered signal first."""
    bands = {name: f"{_span(p)} Hz" for name, p in PROFILES.items() if name.startswith(_OFFERED)}
    return {UNFILTERED: "No filter", **bands}


def filter_leads(leads: Mapping[str, PaperLead], choice: str, start_s: float = 0.0) -> Displayed:
    """Filter what the sheet of ten seconds from `start_s` shows; an unknown choice means the default.

    Arrays that are given stay as they are. Mains is taken out where it is found in any lead. Gaps stay
    gaps. Samples far from the sheet are left unfiltered, for nobody sees them.
    """
    if choice == UNFILTERED:
        return Displayed(leads=dict(leads), words="Filter: none")
    profile = PROFILES[choice if choice in choices() else DEFAULT]
    lowest_hz = min((lead.sampling_rate_hz for lead in leads.values()), default=math.inf)
    if lowest_hz / 2 <= (profile.highpass_hz or 0):
        return Displayed(leads=dict(leads), words="Filter: none, the sampling rate is too low")
    parts = {name: _around(lead, start_s) for name, lead in leads.items()}
    mains_hz = _mains(leads, parts)
    own = profile.with_notch(mains_hz)
    shown: dict[str, PaperLead] = {}
    for name, lead in leads.items():
        part = parts[name]
        samples = lead.samples_mv[part]
        if not has_value(samples):
            shown[name] = lead
            continue
        clean = zero_phase(bridge_gaps(samples), lead.sampling_rate_hz, own)
        whole = lead.samples_mv.copy()
        whole[part] = np.where(np.isfinite(samples), clean, np.float32(np.nan))
        shown[name] = replace(lead, samples_mv=whole)
    return Displayed(leads=shown, words=_words(profile, mains_hz, lowest_hz))


def _around(lead: PaperLead, start_s: float) -> slice:
    rate = lead.sampling_rate_hz
    return slice(max(0, round((start_s - MARGIN_S) * rate)), round((start_s + PAGE_S + MARGIN_S) * rate))


def _mains(leads: Mapping[str, PaperLead], parts: Mapping[str, slice]) -> float | None:
    """One recorder has one mains: the first that any group of leads of equal length and rate shows."""
    groups: dict[tuple[float, int], list[Samples]] = {}
    for name, lead in leads.items():
        samples = lead.samples_mv[parts[name]]
        if has_value(samples) and not lead.derived:
            groups.setdefault((lead.sampling_rate_hz, samples.size), []).append(bridge_gaps(samples))
    found: Sequence[float | None] = [mains.detect(np.stack(x), rate) for (rate, _), x in groups.items()]
    return next((x for x in found if x is not None), None)


def _span(profile: Profile) -> str:
    return f"{profile.highpass_hz:g}–{profile.lowpass_hz:g}"


def _words(profile: Profile, mains_hz: float | None, rate_hz: float) -> str:
    """As it acted: a limit that the sampling rate makes void is not claimed."""
    most_hz = HIGHEST_OF_NYQUIST * rate_hz / 2
    acts = profile.lowpass_hz is not None and profile.lowpass_hz < most_hz
    band = f"{_span(profile)} Hz" if acts else f"from {profile.highpass_hz:g} Hz"
    notch = f", {mains_hz:g} Hz notch" if mains_hz is not None and mains_hz < most_hz else ""
    return f"Filter: {band}{notch}"
