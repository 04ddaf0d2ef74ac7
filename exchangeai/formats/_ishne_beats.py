"""Beats beside an ISHNE Holter file (`ANN  1.0`): a label and the samples since the beat before."""

from __future__ import annotations

import numpy as np

from exchangeai.errors import EmptyFile
from exchangeai.recording import Annotation

_TIMEOUT = "!"
"""Fills up where the distance needs more than 16 bits; marks no beat."""
_MAX_BEATS = 500_000


def beats_of(data: bytes, begin: int, rate_hz: float) -> tuple[list[Annotation], list[str]]:
    """Beats in order of time, and warnings. `begin` is where the location of the first one stands.

    Labels are those of the standard: N, V, S, C (calibration), B (bundle branch block), P (paced),
    X (artefact), U.
    """
    if len(data) < begin + 4:
        raise EmptyFile("the ISHNE file of beats holds none")
    start = int.from_bytes(data[begin : begin + 4], "little", signed=True)
    count = min((len(data) - begin - 4) // 4, _MAX_BEATS)
    kind = np.dtype([("label", "S1"), ("own", "S1"), ("distance", "<u2")])
    beats = np.frombuffer(data, kind, count, begin + 4)
    positions = start + np.cumsum(beats["distance"], dtype=np.int64)
    onsets_s = np.round(positions / rate_hz, 9).tolist()
    labels = [x.decode("latin-1") for x in beats["label"].tolist()]
    found = [
        Annotation(onset_s=onset_s, label=label)
        for onset_s, label in zip(onsets_s, labels, strict=True)
        if label and label != _TIMEOUT
    ]
    warnings = ["the beats of ISHNE files are read experimentally: check their times"]
    if (len(data) - begin) % 4:
        warnings.append("the file of beats ends within a beat: truncated")
    if count == _MAX_BEATS:
        warnings.append(f"only the first {_MAX_BEATS} beats were read")
    return found, warnings
