"""What is measured on a recording, and how far its signal can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a recording can be analysed."""

    ANALYSABLE = "analysable"
    LIMITED = "limited"
    NOT_ANALYSABLE = "not_analysable"


@dataclass(frozen=True, kw_only=True)
class LeadQuality:
    """Quality of one lead."""

    lead: str
    flags: tuple[str, ...] = ()
    """`missing`, `derived`, `flat`, `saturated`, `lead_off`, `gaps`, `baseline_wander`, `mains_noise`,
    `muscle_noise`; empty when nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How far the signal can be trusted."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """Why the verdict is not `analysable`, in words for people."""
    leads: tuple[LeadQuality, ...] = ()
    """One entry for each of the twelve leads, in tensor order."""
    flags: tuple[str, ...] = ()
    """What concerns several leads: `wrong_unit`, `duplicated_leads`, `limb_lead_residual`, `pacing_spikes`,
    `exchanged_RA_LA` and other exchanges of electrodes."""
    acceptable_probability: float | None = None
    """Probability (0 to 1) that people would accept the signal for diagnosis; below 0.5 they would record
    again. 0 for what is not analysable; None where it was not worked out."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Durations in ms on the median beat; None where a wave that bounds one is not there."""

    rr_ms: float
    """Median over the recording."""
    p_ms: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_bazett_ms: float | None = None
    qtc_fridericia_ms: float | None = None
    qtc_framingham_ms: float | None = None
    qtc_hodges_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Frontal axes, -180 to 180 degrees; None where a wave or a lead that it needs is not there."""

    p_deg: float | None = None
    qrs_deg: float | None = None
    t_deg: float | None = None


@dataclass(frozen=True, kw_only=True)
class LeadAmplitudes:
    """Heights of one lead's median beat in mV, against the level right before the QRS complex."""

    lead: str
    r_mv: float
    s_mv: float
    """0 or negative."""
    st_mv: float | None = None
    """60 ms after the end of the QRS complex."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What was measured; an absent value has its reason in `notes`."""

    heart_rate_bpm: float | None = None
    """60 / median RR interval."""
    r_peaks_s: tuple[float, ...] = ()
    """Seconds from the start of the recording."""
    leads: tuple[str, ...] = ()
    """The leads that everything was measured on; others were missing, derived or too noisy."""
    rr_irregularity: float | None = None
    """Root mean square of successive differences of RR over the mean RR."""
    regularity: str | None = None
    """`regular`, `irregular` or `irregularly_irregular`, from the RR intervals alone; names no rhythm."""
    intervals: Intervals | None = None
    axes: Axes | None = None
    amplitudes: tuple[LeadAmplitudes, ...] = ()
    beats_used: int = 0
    """Beats in the median beat: those of the prevailing shape."""
    notes: tuple[str, ...] = ()
