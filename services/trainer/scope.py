"""A model's contract of use, from what it has learned from: ages, leads, durations.

Shapes: N windows of the part, n chosen windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.dataset import Part
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import SAMPLING_RATE_HZ, Scope
from exchangeai.recording import MAX_AGE_YEARS
from services.trainer.augment import LEAD_LOSS

TAIL = 0.005
"""Share of recordings at either end that the range of ages leaves out: single ones do not teach a model."""
LEAST_AGES = 20
"""Known ages below which no range is stated."""
SELDOM = 0.01
"""Of windows: what was seen less often was not learned."""
LONGEST_NEEDED_S = 5.0
"""Half a window; more is never asked for."""


def scope(
    part: Part,
    rows: npt.NDArray[np.int64],
    looked_at: npt.NDArray[np.int64],
    *,
    lead_loss: bool,
    crop_s: float,
) -> Scope:
    """The contract from the chosen windows `rows` of a training part; leads are looked for in `looked_at`.

    Ages: from the 0.5 % to the 99.5 % quantile of recordings, 90 standing for all above. Leads: with the
    augmentation `lead_loss` none is needed, but not more may be missing at once than it took away; without
    it, all that were there in 99 % are needed. Duration: the 0.5 % quantile of recordings, at most the crop
    that the network was trained on and at most 5 s.
    """
    recordings, first, member = np.unique(
        np.array([part.recording_ids[i] for i in rows.tolist()], np.str_),
        return_index=True,
        return_inverse=True,
    )
    samples = np.bincount(member, weights=part.valid_samples[rows], minlength=len(recordings))
    shortest_s = float(np.quantile(samples, TAIL, method="lower")) / SAMPLING_RATE_HZ
    low, high = _ages([part.age_years[int(rows[i])] for i in first])
    missing = _missing(part, looked_at)
    return Scope(
        min_age_years=low,
        max_age_years=high,
        leads=()
        if lead_loss
        else tuple(x for x, share in zip(STANDARD_12, missing.mean(axis=0), strict=True) if share < SELDOM),
        max_missing_leads=max(_lost_at_once(), int(np.quantile(missing.sum(axis=1), 1 - SELDOM)))
        if lead_loss
        else None,
        min_duration_s=min(shortest_s, crop_s, LONGEST_NEEDED_S),
    )


def _ages(known: Sequence[int | None]) -> tuple[int | None, int | None]:
    ages = np.array([x for x in known if x is not None])
    if len(ages) < LEAST_AGES:
        return None, None
    low = int(np.quantile(ages, TAIL, method="lower"))
    high = int(np.quantile(ages, 1 - TAIL, method="higher"))
    return low, None if high >= MAX_AGE_YEARS else high


def _missing(part: Part, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which leads are zero throughout, [n, 12]."""
    return np.array([~part.values[i].any(axis=1) for i in rows.tolist()]).reshape(-1, len(STANDARD_12))


def _lost_at_once() -> int:
    """The most leads that the augmentation takes from one window in a hundred."""
    count = len(STANDARD_12)
    at_least = 1.0
    for lost in range(count + 1):
        at_least -= math.comb(count, lost) * LEAD_LOSS**lost * (1 - LEAD_LOSS) ** (count - lost)
        if at_least < SELDOM:
            return lost
    return count
