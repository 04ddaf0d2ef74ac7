"""How far a recording can be trusted: flags lead by lead and as a whole, and a verdict with reasons for
people.

docs/quality.md says what each flag means, where its limit comes from and how well it does.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np

from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.recording import Recording
from exchangeai.signal.acceptability import acceptable_probability
from exchangeai.signal.lead_faults import UNUSABLE, faults, unit_problem
from exchangeai.signal.lead_pairs import LIMB_RESIDUAL_MV
from exchangeai.signal.reversal import Exchange, exchanged_electrodes
from exchangeai.signal.survey import INDEPENDENT, Survey, survey
from exchangeai.signal.windows import Windows

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
ACCEPTABLE = 0.5
"""Below this probability people would rather record again."""
SPIKES_PER_S = 0.35
"""One spike in three seconds: fewer are artefacts as often as pacing."""
MIN_SPIKES = 4


def assess(recording: Recording, windows: Windows) -> Quality:
    """Judge a recording; `windows` says which leads are missing or derived.

    NOT_ANALYSABLE: fewer than 6 usable leads, shorter than 2 s, sampled below 50 Hz, amplitudes that
    mean a wrong unit, or limb electrodes very probably exchanged so that the frontal plane is wrong.
    LIMITED: a lead is missing or unusable, has gaps or repeats another, another exchange of electrodes is
    suspected, the recording is shorter than 5 s, or people would probably not accept its signal. Noise of
    single leads and the other flags alone are no objection. A derived lead has the flags of I and II, and
    `derived`.
    """
    seen = survey(recording)
    if seen is None:
        return Quality(
            verdict=Verdict.NOT_ANALYSABLE,
            reasons=("none of the twelve leads has a signal",),
            leads=tuple(LeadQuality(lead=name, flags=("missing",)) for name in STANDARD_12),
            acceptable_probability=0.0,
        )
    unit = unit_problem(seen)
    leads = _lead_flags(windows, seen, unit is not None)
    refusals = _refusals(recording, leads, unit, seen)
    probability = 0.0 if refusals else acceptable_probability(seen.seconds.of(INDEPENDENT))
    # In what people would record again artefacts look like exchanged electrodes.
    checked = seen.beat_mv if probability >= ACCEPTABLE else None
    exchange = None if checked is None else exchanged_electrodes(checked, seen.block_rate_hz)
    cautions = _cautions(recording, leads, seen, None if refusals else probability)
    if exchange:
        refused = exchange.misleads and exchange.probable
        (refusals if refused else cautions).append(_in_words(exchange))
    verdict = Verdict.NOT_ANALYSABLE if refusals else Verdict.LIMITED if cautions else Verdict.ANALYSABLE
    return Quality(
        verdict=verdict,
        reasons=(*refusals, *cautions),
        leads=tuple(_lead_quality(name, leads[name]) for name in STANDARD_12),
        flags=(*_record_flags(recording, seen, unit is not None), *([exchange.flag] if exchange else [])),
        acceptable_probability=round(probability, 3),
    )


@lru_cache(maxsize=256)
def _lead_quality(lead: str, flags: tuple[str, ...]) -> LeadQuality:
    """One object for all recordings: most leads have no flags."""
    return LeadQuality(lead=lead, flags=flags)


def usable_leads(quality: Quality) -> tuple[str, ...]:
    """Leads that are neither missing nor flat nor saturated nor loose, in tensor order."""
    return tuple(x.lead for x in quality.leads if not UNUSABLE.intersection(x.flags))


def _in_words(exchange: Exchange) -> str:
    which = "limb electrodes" if exchange.of_limbs else "chest electrodes"
    seem = "seem to be" if exchange.probable else "may be"
    return f"{which} {seem} exchanged, most likely {' and '.join(exchange.electrodes)}"


def _lead_flags(windows: Windows, seen: Survey, wrong_unit: bool) -> dict[str, tuple[str, ...]]:
    flags: dict[str, tuple[str, ...]] = {}
    for name, absent, found in zip(STANDARD_12, seen.absent, faults(seen, wrong_unit), strict=True):
        gaps = ("gaps",) if absent > GAP_SHARE else ()
        flags[name] = (*found, *gaps) if absent < 1 else ("missing",)
    flags |= dict.fromkeys(windows.missing, ("missing",))
    for name in windows.derived:
        inherited = sorted({x for source in ("I", "II") for x in flags[source]})
        flags[name] = ("derived", *inherited)
    return flags


def _record_flags(recording: Recording, seen: Survey, wrong_unit: bool) -> tuple[str, ...]:
    spikes = seen.spikes >= max(MIN_SPIKES, SPIKES_PER_S * recording.duration_s)
    found = {
        "wrong_unit": wrong_unit,
        "duplicated_leads": bool(seen.same),
        "limb_lead_residual": seen.limb_residual_mv > LIMB_RESIDUAL_MV,
        "pacing_spikes": spikes and not wrong_unit,
    }
    return tuple(name for name, there in found.items() if there)


def _refusals(
    recording: Recording, flags: dict[str, tuple[str, ...]], unit: str | None, seen: Survey
) -> list[str]:
    gone = {STANDARD_12[i] for i in np.flatnonzero(seen.absent > UNUSABLE_GAP_SHARE)}
    if not gone.intersection({"I", "II"}):
        gone -= {n for n, f in flags.items() if "derived" in f}
    usable = [n for n, f in flags.items() if not UNUSABLE.intersection(f) and n not in gone]
    reasons = [] if unit is None else [unit]
    if len(usable) < MIN_USABLE_LEADS:
        reasons.append(f"only {len(usable)} of 12 leads are usable; at least {MIN_USABLE_LEADS} are needed")
    if recording.duration_s < MIN_DURATION_S:
        reasons.append(
            f"the recording lasts {recording.duration_s:.1f} s; at least {MIN_DURATION_S:g} s are needed"
        )
    stored = {n for n, f in flags.items() if not {"missing", "derived"}.intersection(f)}
    rate_hz = min((x.sampling_rate_hz for x in recording.ecg_leads if x.name in stored), default=MIN_RATE_HZ)
    if rate_hz < MIN_RATE_HZ:
        reasons.append(f"it was sampled at {rate_hz:g} Hz; at least {MIN_RATE_HZ:g} Hz are needed")
    return reasons


def _cautions(
    recording: Recording, flags: dict[str, tuple[str, ...]], seen: Survey, probability: float | None
) -> list[str]:
    having: defaultdict[str, list[str]] = defaultdict(list)
    for lead, found in flags.items():
        for flag in () if "derived" in found else found:
            having[flag].append(lead)

    def named(among: tuple[str, ...]) -> list[str]:
        return [f"{x.replace('_', ' ')}: {', '.join(having[x])}" for x in among if x in having]

    reasons = named(("missing", "flat", "saturated", "lead_off", "gaps"))
    reasons += [f"{STANDARD_12[a]} and {STANDARD_12[b]} are the same signal" for a, b in seen.same]
    if MIN_DURATION_S <= recording.duration_s < SHORT_DURATION_S:
        reasons.append(f"the recording lasts only {recording.duration_s:.1f} s")
    if probability is not None and probability < ACCEPTABLE:
        noises = "; ".join(named(("baseline_wander", "mains_noise", "muscle_noise")))
        reasons.append("people would probably record it again" + (f" ({noises})" if noises else ""))
    return reasons
