"""Make the tensor contract of a recording: bridge gaps, resample, derive limb leads, cut windows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12, derive_limb_leads
from exchangeai.recording import Lead, Recording
from exchangeai.signal.gaps import bridge_gaps, gaps_at, has_value
from exchangeai.signal.resample import resample
from exchangeai.signal.windows import SAMPLING_RATE_HZ, WINDOW_SAMPLES, Windows, cut

SOURCES = ("I", "II")
"""Of derived leads."""


def standardise(recording: Recording, stride_samples: int = WINDOW_SAMPLES) -> Windows:
    """Twelve leads at 500 Hz in windows of 10 s; nothing is filtered beyond what resampling needs.

    Windows begin every `stride_samples` (at 500 Hz): 5000 sets them side by side, less makes them overlap.
    Of several leads with one name the first counts. III, aVR, aVL and aVF are derived only where they are
    absent; a lead without any value counts as absent. Raises InvalidArgument when none of the twelve
    standard leads is there, a rate is impossible, or the stride is not within 1 and 5000.
    """
    # What a reader derived is derived again here, at 500 Hz, so that the windows say so.
    first: dict[str, Lead] = {}
    for lead in recording.ecg_leads:
        first.setdefault(lead.name, lead)
    stored = {x: first[x] for x in STANDARD_12 if x in first and not first[x].derived}
    leads = {name: lead for name, lead in stored.items() if has_value(lead.samples)}
    if not leads:
        found = ", ".join(x.name[:16] for x in recording.leads[:12]) or "none"
        raise InvalidArgument(
            f"none of the twelve standard leads has a signal in millivolts (leads found: {found}); state "
            "`leads` and `unit` when uploading if the file does not"
        )
    signals, whole = _resampled(leads)
    derived = derive_limb_leads(signals)
    longest = max(x.size for x in signals.values())
    return cut(
        {**signals, **derived},
        derived=tuple(n for n in STANDARD_12 if n in derived),
        absent={} if whole else _absent(leads, longest, tuple(derived)),
        stride_samples=stride_samples,
    )


def _resampled(leads: dict[str, Lead]) -> tuple[dict[str, npt.NDArray[np.float32]], bool]:
    """At 500 Hz, leads of one rate and length together; and whether all are that and have no gaps."""
    alike: defaultdict[tuple[float, int], list[str]] = defaultdict(list)
    for name, lead in leads.items():
        alike[lead.sampling_rate_hz, lead.samples.size].append(name)
    whole = len(alike) == 1
    out: dict[str, npt.NDArray[np.float32]] = {}
    for (rate_hz, _), names in alike.items():
        stored = np.array([leads[x].samples for x in names], np.float32)
        bridged = bridge_gaps(stored)
        whole = whole and bridged is stored
        at_500_hz = bridged if rate_hz == SAMPLING_RATE_HZ else resample(bridged, rate_hz, SAMPLING_RATE_HZ)
        out.update(zip(names, at_500_hz, strict=True))
    return out, whole


def _absent(
    leads: dict[str, Lead], samples: int, derived: tuple[str, ...]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Where leads have no value of their own; a derived lead has none where one of its sources has none."""
    out: dict[str, npt.NDArray[np.bool_]] = {}
    for name, lead in leads.items():
        absent = gaps_at(lead.samples, lead.sampling_rate_hz, SAMPLING_RATE_HZ, samples)
        if absent is not None:
            out[name] = absent
    of_sources = [out[x] for x in SOURCES if x in out]
    if of_sources:
        out |= {name: np.logical_or.reduce(of_sources) for name in derived}
    return out
