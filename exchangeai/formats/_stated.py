"""For formats that do not describe themselves: what the caller stated, or how to state it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, MissingMetadata
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._units import mv_per
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import MILLIVOLT, Lead

Quantity = tuple[float, str]
"""What a stored number is multiplied with, and the unit that it then has."""

_COUNTS = frozenset({
    "", "-", "1", "adu", "count", "counts", "raw", "lsb", "bit", "bits", "digital", "digit", "digits",
    "nu", "n/a", "na", "none", "nan", "null", "unknown", "a.u.", "a.u", "au", "arb", "arb.",
    "arbitrary", "unitless", "units",
})  # fmt: skip
"""Words that stand where a unit would, and name none."""
_MAX_NAME = 64
_GUESS_SAMPLES = 200_000


def require(
    options: ReadOptions,
    table: npt.NDArray[Any],
    *,
    rate_hz: float | None,
    has_unit: bool,
    has_names: bool,
    rate_guess: str = "",
) -> None:
    """Raise one MissingMetadata that names all that neither the file nor the caller states, with guesses.

    `rate_hz`, `has_unit` and `has_names` are what the file states of the table [samples, leads].
    """
    missing: list[str] = []
    if rate_hz is None and options.sampling_rate_hz is None:
        missing.append(f"no sampling rate: state `sampling_rate_hz`{rate_guess}")
    if not has_unit and options.unit is None:
        missing.append(f"no unit: state `unit` (V, mV or uV){size_guess(table)}")
    if not has_names and not options.leads:
        missing.append(f"no names of leads: state `leads` in the order of the columns{_leads_guess(table)}")
    if missing:
        raise MissingMetadata(f"the file states {'; '.join(missing)}; send this with the upload")


def rate_of(options: ReadOptions, in_file_hz: float | None, guess: str = "") -> float:
    """The rate that file or caller states. Raises MissingMetadata, or InvalidHeader when they differ."""
    stated = options.sampling_rate_hz
    if in_file_hz is None and stated is None:
        raise MissingMetadata(
            f"the file states no sampling rate; state `sampling_rate_hz` with the upload{guess}"
        )
    if in_file_hz is not None and stated is not None and not abs(in_file_hz - stated) <= 1e-3 * in_file_hz:
        raise InvalidHeader(
            f"the file says {in_file_hz:g} Hz but {stated:g} Hz was stated with the upload; correct one"
        )
    return checked_rate(in_file_hz if in_file_hz is not None else stated or 0.0)


def scale_of(options: ReadOptions, guess: str = "") -> float:
    """Millivolts per unit as stated, without `unit_multiple`. Raises MissingMetadata."""
    scale = mv_per(options.unit) if options.unit else None
    if scale is None:
        raise MissingMetadata(f"the file states no unit; state `unit` (V, mV or uV) with the upload{guess}")
    return scale


def mv_per_count(options: ReadOptions, guess: str = "") -> float:
    """Millivolts per stored number as stated. Raises MissingMetadata."""
    scale = scale_of(options, guess)
    if not math.isfinite(options.unit_multiple) or options.unit_multiple == 0:
        raise InvalidHeader("`unit_multiple` must be a number other than 0; state how many units a count is")
    return scale * options.unit_multiple


def states_unit(word: str) -> bool:
    """Whether a file's word for a unit names one; `counts` and `adu` do not."""
    return word.strip().casefold() not in _COUNTS


def quantity_of(options: ReadOptions, in_file: str | None, guess: str = "") -> Quantity:
    """Scale and unit of samples whose unit the file may state.

    Voltages become mV, another unit of the file stays. Raises MissingMetadata when nobody states one,
    InvalidHeader when file and caller state different voltages.
    """
    word = (in_file or "").strip()
    if not states_unit(word):
        return mv_per_count(options, guess), MILLIVOLT
    scale = mv_per(word)
    if scale is None:
        return 1.0, word[:_MAX_NAME]
    if options.unit is None and options.unit_multiple != 1:
        raise InvalidHeader("`unit_multiple` was stated, but the file states its own unit; leave it out")
    if options.unit is not None and not math.isclose(mv_per_count(options), scale, rel_tol=1e-9):
        raise InvalidHeader("the file and the upload state different units; send the right one")
    return scale, MILLIVOLT


def size_guess(values: npt.NDArray[Any]) -> str:
    """In words, which unit the size of the samples makes likely; "" when none."""
    flat = values.reshape(-1)
    with np.errstate(all="ignore"):
        flat = flat[:: max(1, flat.size // _GUESS_SAMPLES)].astype(np.float64)
        flat = flat[np.isfinite(flat)]
        if not flat.size:
            return ""
        low, high = np.percentile(flat, (0.5, 99.5))
        spread = float(high - low)
    if 50 <= spread <= 20_000:
        return " (a guess from their size, not applied: uV)"
    if 0.05 <= spread <= 20:
        return " (a guess from their size, not applied: mV)"
    return " (a guess from their size, not applied: V)" if 5e-5 <= spread <= 0.02 else ""


def oriented(
    table: npt.NDArray[Any], options: ReadOptions, names: Sequence[str] | None, *, of_columns: bool = False
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """The table as [samples, leads] with the names of its leads, from the caller or the file.

    `names` are the file's own; `of_columns` says that they name columns, so that the axes are known.
    Otherwise the axis whose length is the number of names is that of the leads. Raises MissingMetadata
    when nobody names the leads, InvalidHeader when the names fit no axis or both, or contradict.
    """
    chosen = options.leads or names
    if chosen is None:
        raise MissingMetadata(
            "the file names no leads; state `leads` in the order of the columns with the upload"
            + _leads_guess(table)
        )
    count = len(chosen)
    if names is not None and options.leads:
        _must_agree(names, options.leads)
    if not of_columns:
        if table.shape[0] == count == table.shape[1] and count > 1:
            raise InvalidHeader(
                "the array is square, so its axes cannot be told apart; send [samples, leads]"
            )
        if table.shape[1] != count and table.shape[0] == count:
            table = table.T
    if table.shape[1] != count:
        whose = "stated" if options.leads else "named in the file"
        raise InvalidHeader(
            f"{count} leads were {whose}, but no axis of the {' x '.join(map(str, table.shape))} samples "
            "has that length"
        )
    return table, tuple(chosen)


def leads_of(
    table: npt.NDArray[Any], names: Sequence[str], quantities: Sequence[Quantity], *, rate_hz: float
) -> tuple[Lead, ...]:
    """Leads of a table [samples, leads] under their canonical names."""
    return tuple(
        Lead(
            name=canonical_lead(name)[:_MAX_NAME] or f"channel {i + 1}",
            samples=_scaled(table[:, i], quantities[i][0]),
            sampling_rate_hz=rate_hz,
            unit=quantities[i][1],
        )
        for i, name in enumerate(names)
    )


def _leads_guess(table: npt.NDArray[Any]) -> str:
    if 12 in table.shape:
        return f" (a guess, not applied: {', '.join(STANDARD_12)})"
    return f" (the table has {table.shape[1]} columns and {table.shape[0]} rows)"


def _scaled(column: npt.NDArray[Any], scale: float) -> npt.NDArray[np.float32]:
    if scale == 1 and column.dtype == np.float32:
        return np.ascontiguousarray(column)
    with np.errstate(all="ignore"):
        # Numbers beyond float32 become infinite, which counts as missing.
        return (column.astype(np.float64) * scale).astype(np.float32)


def _must_agree(in_file: Sequence[str], stated: Sequence[str]) -> None:
    if len(in_file) != len(stated):
        raise InvalidHeader(f"the file names {len(in_file)} leads but {len(stated)} were stated")
    for a, b in zip(map(canonical_lead, in_file), map(canonical_lead, stated), strict=True):
        # A file's "ch0" may be given its true name; a lead of the twelve may not become another.
        if a != b and a in STANDARD_12:
            raise InvalidHeader("the file and the upload name the leads differently; correct one")
