"""Named values of a container: which is the signal, and what the others say of it.

For npz, MATLAB, HDF5 and Parquet, where everyone chooses names. A value is a NumPy array (numbers or
fixed-length text), a text, or a list of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, UnreadableFile
from exchangeai.formats._column_names import is_other_quantity, is_sample_number, name_and_unit, time_unit
from exchangeai.formats._named_facts import (
    MAX_NAME,
    Facts,
    Value,
    at_record,
    facts_of,
    folded,
    is_fact,
    names_ecg,
)
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import identifier_of, pooled_age, sex_of
from exchangeai.formats._stated import leads_of, oriented, quantity_of, rate_of, require, states_unit
from exchangeai.formats._times import deduced_unit, rate_of_times
from exchangeai.formats._warnings import in_words
from exchangeai.recording import Identifiers, Patient, Recording

_SIGNAL = (
    "signal",
    "signals",
    "psignal",
    "ecg",
    "ecgsignal",
    "ecgdata",
    "tracings",
    "tracing",
    "data",
    "val",
    "x",
)
_UNNAMED = re.compile(
    r"arr_?\d+|array|data|signals?|p_signal|val(?:ues?)?|samples|x|y|tracings?|ecg_?(?:data|signal)", re.I
)
_MAX_RECORDS = 100_000
_MAX_LEADS = 1024
_MAX_SAMPLES = 40_000_000
_SAMPLES_PER_BYTE = 4
"""So many samples whatever the file's size, and so many more for each of its bytes."""
_MIN_PADDING = 8


def records_of(
    format_name: str,
    values: Mapping[str, Value],
    options: ReadOptions,
    *,
    source_bytes: int,
    warnings: Sequence[str] = (),
) -> list[ReadResult]:
    """The recordings among named values: one, or one for each of the first of three axes.

    Raises EmptyFile without an array of numbers, InvalidHeader when several could be the signal, and
    MissingMetadata for what neither file nor caller states.
    """
    said = list(warnings)
    values = {name[:MAX_NAME]: x for name, x in values.items()}
    facts = facts_of(values, said)
    signals = _signals(values, facts, said)
    if len(signals) > 1:
        table: npt.NDArray[Any] = np.stack(list(signals.values())).T
        names: tuple[str, ...] | None = tuple(signals)
    else:
        name, table = next(iter(signals.items()))
        names = facts.leads
        if table.ndim == 1 or (table.ndim == 2 and 1 in table.shape):
            table = table.reshape(-1, 1)
            names = names or (None if _UNNAMED.fullmatch(name_and_unit(name)[0]) else (name,))
    if table.size > _MAX_SAMPLES + _SAMPLES_PER_BYTE * source_bytes:
        raise InvalidHeader("the file holds far more samples than its size makes likely; split it")
    if table.ndim == 2:
        return [_record(format_name, table, names, facts, options, said, 0, of_columns=len(signals) > 1)]
    if table.ndim != 3:
        raise InvalidHeader("the array must have axes for samples and leads, and at most one for records")
    if table.shape[0] > _MAX_RECORDS:
        raise InvalidHeader(f"the file holds more than {_MAX_RECORDS} records; split it")
    return [
        _record(format_name, table[i], names, facts, options, said, i, of_columns=False)
        for i in range(table.shape[0])
    ]


def no_samples(warnings: Sequence[str]) -> UnreadableFile:
    """The error for a file without an array of numbers, with what was left out of it."""
    if warnings:
        return InvalidHeader(f"the file holds no array of samples that can be read: {warnings[0]}")
    return EmptyFile("the file holds no array of samples; check the export that made it")


def _record(
    format_name: str,
    table: npt.NDArray[Any],
    names: tuple[str, ...] | None,
    facts: Facts,
    options: ReadOptions,
    said: Sequence[str],
    index: int,
    *,
    of_columns: bool,
) -> ReadResult:
    warnings = list(said)
    parts = [name_and_unit(x) for x in names] if names is not None else None
    bare = [x for x, _ in parts] if parts is not None else None
    in_file_hz, guess = facts.rate_hz, ""
    if facts.times is not None:
        in_file_hz, guess = _timed(facts, table, warnings)
    units = [y or facts.unit for _, y in parts] if parts is not None else [facts.unit] * max(table.shape)
    if parts is not None and len(facts.units) == len(parts):
        units = facts.units
    labels = options.leads or bare or ()
    other = [i for i, (x, y) in enumerate(zip(labels, units, strict=False)) if not y and is_other_quantity(x)]
    require(
        options,
        table,
        rate_hz=in_file_hz,
        has_unit=all(states_unit(x) for i, x in enumerate(units) if i not in other),
        has_names=names is not None,
        rate_guess=guess,
    )
    rate_hz = rate_of(options, in_file_hz)
    if max(table.shape) > _MAX_LEADS >= len(labels) or len(labels) <= _MAX_LEADS:
        table, chosen = oriented(table, options, bare, of_columns=of_columns)
    else:
        raise InvalidHeader(f"more than {_MAX_LEADS} leads are named; at most so many are read")
    warnings += in_words([x + 1 for x in other], "not a voltage by its name, and without a unit")
    warnings += _padding(table) if index or facts.record_ids else []
    quantities = [(1.0, "") if i in other else quantity_of(options, units[i]) for i in range(len(chosen))]
    return ReadResult(
        recording=Recording(
            format=format_name,
            leads=leads_of(table, chosen, quantities, rate_hz=rate_hz),
            patient=Patient(
                sex=sex_of(at_record(facts.sexes, index) or ""),
                age_years=pooled_age(at_record(facts.ages, index)),
            ),
            warnings=tuple(warnings),
        ),
        identifiers=Identifiers(
            patient_id=identifier_of(at_record(facts.patient_ids, index) or ""),
            record_id=at_record(facts.record_ids, index),
        ),
    )


def _signals(values: Mapping[str, Value], facts: Facts, warnings: list[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays that are samples: one table, or one array a lead."""
    numbers = {
        name: x
        for name, x in values.items()
        if isinstance(x, np.ndarray)
        and x.dtype.kind in "iuf"
        and x.size > 1
        and (not is_fact(name) or _is_table(x))
    }
    if not numbers:
        raise no_samples(warnings)
    tables = {name: x for name, x in numbers.items() if _is_table(x)}
    if tables:
        signals = _preferred(tables)
    else:
        rows = {name: x.reshape(-1) for name, x in numbers.items()}
        longest = max(x.size for x in rows.values())
        rows = {name: x for name, x in rows.items() if x.size == longest}
        signals = {name: x for name, x in rows.items() if time_unit(name) is None} or rows
        signals = {name: x for name, x in signals.items() if not is_sample_number(name)} or signals
        ecg = {name: x for name, x in signals.items() if names_ecg(name) or name_and_unit(name)[1]}
        signals = ecg if ecg and len(ecg) < len(signals) else signals
    longest = max(max(x.shape) for x in signals.values())
    for name, x in numbers.items():
        if name not in signals and time_unit(name) is not None and x.size == longest:
            facts.times = (name, x.reshape(-1))
    unused = [x for x in numbers if x not in signals and (facts.times is None or x != facts.times[0])]
    if unused:
        warnings.append(
            f"{len(unused)} other arrays of numbers in the file are not samples of leads; left out"
        )
    return signals


def _is_table(array: npt.NDArray[Any]) -> bool:
    return sum(x > 1 for x in array.shape) > 1


def _preferred(tables: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    if len(tables) == 1:
        return tables
    by_word = {folded(name.rpartition("/")[2]): name for name in tables}
    for word in _SIGNAL:
        if word in by_word:
            return {by_word[word]: tables[by_word[word]]}
    raise InvalidHeader(
        f"the file holds {len(tables)} tables of numbers and none is named as the signal; send one of them"
    )


def _timed(facts: Facts, table: npt.NDArray[Any], warnings: list[str]) -> tuple[float | None, str]:
    name, times = facts.times or ("", np.empty(0))
    if times.size not in table.shape:
        return facts.rate_hz, ""
    per_s = time_unit(name)
    guess = ""
    if not per_s:
        per_s, guess = deduced_unit(times)
        if per_s is None:
            return facts.rate_hz, guess
        warnings.append(guess)
    rate_hz, more = rate_of_times(times, per_s)
    warnings += more
    if facts.rate_hz is not None and abs(rate_hz - facts.rate_hz) > 1e-3 * rate_hz:
        raise InvalidHeader(
            f"the times in the file mean {rate_hz:g} Hz but it says {facts.rate_hz:g} Hz; correct one"
        )
    return facts.rate_hz or rate_hz, ""


def _padding(table: npt.NDArray[Any]) -> list[str]:
    """A warning when all leads begin or end with zeros, as in sets of one length for all records."""
    used = np.flatnonzero((table != 0).any(axis=1))
    if not used.size:
        return ["all samples of the record are zero"]
    head, tail = int(used[0]), table.shape[0] - 1 - int(used[-1])
    if max(head, tail) < _MIN_PADDING:
        return []
    return [f"the record is padded with zeros, {head} samples before and {tail} after; they are kept"]
