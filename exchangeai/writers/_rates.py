"""Leads of several rates in formats that count samples in common frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from exchangeai.errors import InvalidArgument
from exchangeai.recording import Lead

_MAX_PER_FRAME = 1000


def frame_rate(leads: Sequence[Lead]) -> tuple[float, list[int]]:
    """(frames a second, samples of each lead in a frame).

    Raises InvalidArgument when the rates have no common frame of at most 1000 samples.
    """
    lowest = min(x.sampling_rate_hz for x in leads)
    ratios = [Fraction(x.sampling_rate_hz / lowest).limit_denominator(64) for x in leads]
    for ratio, lead in zip(ratios, leads, strict=True):
        if abs(float(ratio) * lowest - lead.sampling_rate_hz) > 1e-9 * lead.sampling_rate_hz:
            raise InvalidArgument(
                "the rates of the leads have no common frame; write npz, CSV or Parquet instead"
            )
    parts = math.lcm(*(x.denominator for x in ratios))
    counts = [int(x * parts) for x in ratios]
    if max(counts) > _MAX_PER_FRAME:
        raise InvalidArgument(
            "the rates of the leads have no common frame; write npz, CSV or Parquet instead"
        )
    return lowest / parts, counts


def by_rate(leads: Sequence[Lead]) -> dict[float, list[Lead]]:
    """Leads of one rate and length together, in their order."""
    groups: dict[float, list[Lead]] = {}
    for lead in leads:
        groups.setdefault(lead.sampling_rate_hz, []).append(lead)
    return groups
