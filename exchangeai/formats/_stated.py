"""For formats that do not describe themselves: what the caller stated, or how to state it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, MissingMetadata
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._units import mv_per
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import Lead


def rate_of(options: ReadOptions, in_file_hz: float | None, guess: str = "") -> float:
    """The rate that file or caller states. Raises MissingMetadata, or InvalidHeader when they differ."""
    stated = options.sampling_rate_hz
    if in_file_hz is None and stated is None:
        raise MissingMetadata(
            f"the file states no sampling rate; state `sampling_rate_hz` with the upload{guess}"
        )
    if in_file_hz is not None and stated is not None and abs(in_file_hz - stated) > 1e-3 * in_file_hz:
        raise InvalidHeader(
            f"the file says {in_file_hz:g} Hz but {stated:g} Hz was stated with the upload; correct one"
        )
    return checked_rate(in_file_hz if in_file_hz is not None else stated or 0.0)


def scale_of(options: ReadOptions, guess: str = "") -> float:
    """Millivolts per unit as stated. Raises MissingMetadata."""
    scale = mv_per(options.unit) if options.unit else None
    if scale is None:
        raise MissingMetadata(f"the file states no unit; state `unit` (V, mV or uV) with the upload{guess}")
    return scale


def leads_of(
    table: npt.NDArray[Any],
    options: ReadOptions,
    *,
    rate_hz: float,
    scales: Sequence[float],
    names: Sequence[str] | None,
) -> tuple[Lead, ...]:
    """Leads of a table [samples, leads], or [leads, samples] when only that fits the stated leads.

    `names` are those of the file's own header. Raises MissingMetadata when nobody names the leads,
    InvalidHeader when the number of names fits no axis or both.
    """
    if options.leads:
        count = len(options.leads)
        if names is not None and len(names) != count:
            raise InvalidHeader(f"the file has {len(names)} columns of samples but {count} leads were stated")
        if names is None and table.shape[0] == count == table.shape[1]:
            raise InvalidHeader(
                "the array is square, so its axes cannot be told apart; send [samples, leads]"
            )
        if names is None and table.shape[1] != count and table.shape[0] == count:
            table = table.T
        if table.shape[1] != count:
            raise InvalidHeader(
                f"{count} leads were stated, but no axis of the {table.shape} samples has that length"
            )
        names = options.leads
    if names is None:
        guess = ""
        if 12 in table.shape:
            guess = f" (a guess, not applied: {', '.join(STANDARD_12)})"
        raise MissingMetadata(
            f"the file names no leads; state `leads` in the order of the columns with the upload{guess}"
        )
    return tuple(
        Lead(
            name=canonical_lead(name) or f"channel {i + 1}",
            samples=(table[:, i].astype(np.float64) * scales[i]).astype(np.float32),
            sampling_rate_hz=rate_hz,
        )
        for i, name in enumerate(names)
    )
