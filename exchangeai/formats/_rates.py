"""Sampling rates that make sense."""

from __future__ import annotations

import math

from exchangeai.errors import InvalidHeader

MAX_RATE_HZ = 100_000.0


def checked_rate(rate_hz: float) -> float:
    """The rate itself. Raises InvalidHeader when it is not positive, not finite or absurd."""
    if not (math.isfinite(rate_hz) and 0 < rate_hz <= MAX_RATE_HZ):
        raise InvalidHeader(
            "the header's sampling rate is not a number between 0 and 100 000 Hz; "
            "check the export that made the file"
        )
    return float(rate_hz)
