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
class Measurements:
    """What was measured; an absent value has its reason in `notes`."""

    heart_rate_bpm: float | None = None
    """60 / median RR interval."""
    r_peaks_s: tuple[float, ...] = ()
    """Seconds from the start of the recording."""
    leads: tuple[str, ...] = ()
    """The leads on which the R peaks were found."""
    notes: tuple[str, ...] = ()
