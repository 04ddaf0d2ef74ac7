"""How regularly the beats follow each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MIN_INTERVALS = 4
"""Fewer differences than three are chance."""


def rr_irregularity(rr: npt.NDArray[np.int64]) -> float | None:
    """Root mean square of successive differences of RR over the mean RR; None with fewer than 4 intervals.

    Without unit. Sinus rhythm is mostly below 0.1; in atrial fibrillation 0.2 to 0.5, as it also is with
    frequent ectopic beats, so alone it names no rhythm (Tateno and Glass 2001, Med. Biol. Eng. Comput. 39).
    """
    if rr.size < MIN_INTERVALS:
        return None
    return float(np.sqrt(np.mean(np.square(np.diff(rr)))) / rr.mean())
