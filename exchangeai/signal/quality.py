"""A first check of how far a recording can be trusted, lead by lead and as a whole.

It looks at the samples as recorded, before resampling, because filters smear the constant values by which
a loose electrode or a full-scale amplifier is known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.recording import Lead, Recording
from exchangeai.signal.gaps import gap_share
from exchangeai.signal.windows import Windows

FLAT_RANGE_MV = 0.02
"""Less than 20 µV from the 0.5th to the 99.5th percentile is noise: even a lead at right angles to the
heart's axis shows a QRS of more, and "low voltage" begins at 500 µV."""
FLAT_RUN_S = 1.0
FLAT_RUN_SHARE = 0.2
"""Samples that stay the same for 1 s or more are no ECG but a loose electrode (the criterion of several
entries to the CinC 2011 quality challenge); a fifth of the recording makes the lead unusable."""
SATURATED_RUN_S = 0.02
SATURATED_SHARE = 0.01
"""An amplifier at its limit repeats its largest or smallest value; a true R peak stays there for one or two
samples. Runs of 20 ms (at least 3 samples) that fill 1 % of the lead (a beat's width in 10 s) flag it."""
GAP_SHARE = 0.01
UNUSABLE_GAP_SHARE = 0.2
"""From 1 % a gap is worth a flag; from a fifth on, two beats in ten are invented by interpolation."""
MIN_USABLE_LEADS = 6
"""Six leads are the whole frontal or the whole precordial plane. With fewer most rows of the tensor would be
zero, which no twelve-lead model has been trained on."""
MIN_DURATION_S = 2.0
"""Below it there may be no beat at all (30/min)."""
SHORT_DURATION_S = 5.0
"""Below it a rhythm cannot be told."""
MIN_RATE_HZ = 50.0
"""Below it less than 25 Hz of the signal is left and the QRS is gone."""
MAX_RANGE_MV = 30.0
"""No heart produces 30 mV at the skin: the unit is wrong (µV taken for mV) or it is no ECG."""

_UNUSABLE = frozenset({"missing", "flat", "saturated"})


def assess(recording: Recording, windows: Windows) -> Quality:
    """Judge a recording; `windows` says which leads are missing or derived.

    NOT_ANALYSABLE: fewer than 6 usable leads, shorter than 2 s, sampled below 50 Hz, or amplitudes that
    mean a wrong unit. LIMITED: a lead is missing or unusable, has gaps, or the recording is shorter than
    5 s. A derived lead has the flags of I and II, and `derived`, which alone is no objection.
    """
    flags = {name: _flags(recording.ecg_lead(name), recording.duration_s) for name in STANDARD_12}
    for name in windows.missing:
        flags[name] = ("missing",)
    for name in windows.derived:
        inherited = sorted({x for source in ("I", "II") for x in flags[source]})
        flags[name] = ("derived", *inherited)
    refusals = _refusals(recording, flags)
    cautions = _cautions(recording, flags)
    verdict = Verdict.NOT_ANALYSABLE if refusals else Verdict.LIMITED if cautions else Verdict.ANALYSABLE
    return Quality(
        verdict=verdict,
        reasons=(*refusals, *cautions),
        leads=tuple(LeadQuality(lead=name, flags=flags[name]) for name in STANDARD_12),
    )


def usable_leads(quality: Quality) -> tuple[str, ...]:
    """Leads that are neither missing nor flat nor saturated, in tensor order."""
    return tuple(x.lead for x in quality.leads if not _UNUSABLE.intersection(x.flags))


def _flags(lead: Lead | None, duration_s: float) -> tuple[str, ...]:
    if lead is None:
        return ("missing",)
    known = lead.samples[np.isfinite(lead.samples)]
    if known.size == 0:
        return ("missing",)
    found: list[str] = []
    if _is_flat(known, lead.sampling_rate_hz):
        found.append("flat")
    elif _is_saturated(known, lead.sampling_rate_hz):
        found.append("saturated")
    if _absent_share(lead, duration_s) > GAP_SHARE:
        found.append("gaps")
    return tuple(found)


def _is_flat(x: npt.NDArray[np.float32], rate_hz: float) -> bool:
    if _range_mv(x) < FLAT_RANGE_MV:
        return True
    return _share_in_runs(np.diff(x) == 0, round(FLAT_RUN_S * rate_hz)) >= FLAT_RUN_SHARE


def _is_saturated(x: npt.NDArray[np.float32], rate_hz: float) -> bool:
    shortest = max(3, round(SATURATED_RUN_S * rate_hz))
    return any(_share_in_runs(x == extreme, shortest) >= SATURATED_SHARE for extreme in (x.max(), x.min()))


def _share_in_runs(true: npt.NDArray[np.bool_], shortest: int) -> float:
    """Share of positions that lie in runs of at least `shortest` consecutive True."""
    if true.size == 0:
        return 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= shortest].sum() / true.size)


def _absent_share(lead: Lead, duration_s: float) -> float:
    """Samples without value, and the time after a lead's end that other leads still have."""
    own_s = lead.samples.size / lead.sampling_rate_hz
    covered = 0.0 if duration_s == 0 else min(own_s / duration_s, 1.0)
    return 1 - (1 - gap_share(lead.samples)) * covered


def _range_mv(x: npt.NDArray[np.float32]) -> float:
    low, high = np.percentile(x, [0.5, 99.5])
    return float(high - low)


def _present(recording: Recording) -> list[Lead]:
    leads = [recording.ecg_lead(name) for name in STANDARD_12]
    return [x for x in leads if x is not None and np.isfinite(x.samples).any()]


def _refusals(recording: Recording, flags: dict[str, tuple[str, ...]]) -> list[str]:
    present = _present(recording)
    absent = {x.name for x in present if _absent_share(x, recording.duration_s) > UNUSABLE_GAP_SHARE}
    from_absent = {n for n, f in flags.items() if "derived" in f} if absent & {"I", "II"} else set[str]()
    usable = [n for n, f in flags.items() if not _UNUSABLE.intersection(f) and n not in absent | from_absent]
    reasons: list[str] = []
    if len(usable) < MIN_USABLE_LEADS:
        reasons.append(f"only {len(usable)} of 12 leads are usable; at least {MIN_USABLE_LEADS} are needed")
    if recording.duration_s < MIN_DURATION_S:
        reasons.append(
            f"the recording lasts {recording.duration_s:.1f} s; at least {MIN_DURATION_S:g} s are needed"
        )
    rate_hz = min((x.sampling_rate_hz for x in present), default=0.0)
    if rate_hz < MIN_RATE_HZ:
        reasons.append(f"it was sampled at {rate_hz:g} Hz; at least {MIN_RATE_HZ:g} Hz are needed")
    # The whole range is cheap and never below the one that counts, so it decides in nearly all cases.
    known = [x.samples[np.isfinite(x.samples)] for x in present]
    if known and float(np.median([np.ptp(x) for x in known])) > MAX_RANGE_MV:
        range_mv = float(np.median([_range_mv(x) for x in known]))
        if range_mv > MAX_RANGE_MV:
            reasons.append(f"its amplitude is {range_mv:.0f} mV, which no heart produces: check the unit")
    return reasons


def _cautions(recording: Recording, flags: dict[str, tuple[str, ...]]) -> list[str]:
    reasons: list[str] = []
    for flag in ("missing", "flat", "saturated", "gaps"):
        names = [n for n, f in flags.items() if flag in f and "derived" not in f]
        if names:
            reasons.append(f"{flag}: {', '.join(names)}")
    if MIN_DURATION_S <= recording.duration_s < SHORT_DURATION_S:
        reasons.append(f"the recording lasts only {recording.duration_s:.1f} s")
    return reasons
