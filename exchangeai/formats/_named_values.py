"""Named values of a container: which is the signal, and what the others say of it.

For npz, MATLAB, HDF5 and Parquet, where everyone chooses names. A value is a NumPy array (numbers or
fixed-length text), a text, or a list of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._column_names import is_other_quantity, name_and_unit, time_unit
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import identifier_of, pooled_age, sex_of
from exchangeai.formats._stated import leads_of, oriented, quantity_of, rate_of, require, states_unit
from exchangeai.formats._times import deduced_unit, rate_of_times
from exchangeai.formats._warnings import in_words
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import Identifiers, Patient, Recording

Value = npt.NDArray[Any] | str | list[str]

_RATE = frozenset({
    "fs", "fshz", "hz", "sfreq", "samplingrate", "samplingratehz", "samplingfrequency",
    "samplingfrequencyhz", "samplingfreq", "samplerate", "sampleratehz", "samplefrequency",
    "samplefreq", "sampfreq", "freq", "frequency", "srate", "sr", "rate", "ratehz", "freqhz", "fecg",
    "fsecg", "ecgfs", "ecgsamplingrate",
})  # fmt: skip
_UNIT = frozenset({
    "unit", "units", "unitname", "sigunits", "physicalunit", "physicalunits", "physunits", "ampunit",
    "ampunits",
})  # fmt: skip
_LEADS = frozenset({
    "lead", "leads", "leadname", "leadnames", "leadorder", "channel", "channels", "channelname",
    "channelnames", "chname", "chnames", "chanlabels", "signame", "signames", "signalname",
    "signalnames", "label", "labels", "columns", "columnnames", "ecgleads", "names",
})  # fmt: skip
_RECORD = frozenset({
    "recordid", "record", "recordname", "examid", "ecgid", "studyid", "recordingid", "recording", "id",
    "idexam",
})  # fmt: skip
_PATIENT = frozenset({
    "patientid", "patient", "subjectid", "subject", "pid", "idpatient",
})  # fmt: skip
_AGE = frozenset({"age", "patientage", "ageyears"})
_SEX = frozenset({"sex", "gender", "patientsex"})
_GAIN = frozenset({"gain", "gains", "adcgain", "baseline", "offset", "adczero", "resolution", "lsb"})
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
_MIN_PADDING = 8


@dataclass(kw_only=True)
class _Facts:
    rate_hz: float | None = None
    unit: str = ""
    units: list[str] = field(default_factory=list[str])
    leads: tuple[str, ...] | None = None
    record_ids: list[str] = field(default_factory=list[str])
    patient_ids: list[str] = field(default_factory=list[str])
    sexes: list[str] = field(default_factory=list[str])
    ages: list[float] = field(default_factory=list[float])
    times: tuple[str, npt.NDArray[Any]] | None = None


def folded(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def is_fact(name: str) -> bool:
    """Whether a name is that of something said of the signal rather than of samples."""
    word = folded(name)
    return any(word in x for x in (_RATE, _UNIT, _LEADS, _RECORD, _PATIENT, _AGE, _SEX, _GAIN))


def records_of(
    format_name: str, values: Mapping[str, Value], options: ReadOptions, *, warnings: Sequence[str] = ()
) -> list[ReadResult]:
    """The recordings among named values: one, or one for each of the first of three axes.

    Raises EmptyFile without an array of numbers, InvalidHeader when several could be the signal, and
    MissingMetadata for what neither file nor caller states.
    """
    said = list(warnings)
    facts = _facts(values, said)
    signals = _signals(values, facts, said)
    if len(signals) > 1:
        table: npt.NDArray[Any] = np.column_stack(list(signals.values()))
        names: tuple[str, ...] | None = tuple(signals)
    else:
        name, table = next(iter(signals.items()))
        names = facts.leads
        if table.ndim == 1 or (table.ndim == 2 and 1 in table.shape):
            table = table.reshape(-1, 1)
            names = names or (None if _UNNAMED.fullmatch(name) else (name,))
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


def _record(
    format_name: str,
    table: npt.NDArray[Any],
    names: tuple[str, ...] | None,
    facts: _Facts,
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
                sex=sex_of(_at(facts.sexes, index) or ""), age_years=pooled_age(_at(facts.ages, index))
            ),
            warnings=tuple(warnings),
        ),
        identifiers=Identifiers(
            patient_id=identifier_of(_at(facts.patient_ids, index) or ""),
            record_id=_at(facts.record_ids, index),
        ),
    )


def _facts(values: Mapping[str, Value], warnings: list[str]) -> _Facts:
    facts = _Facts()
    for name, value in values.items():
        word = folded(name)
        if word in _RATE and (rate := _number(value)) is not None:
            if facts.rate_hz is not None and abs(rate - facts.rate_hz) > 1e-3 * facts.rate_hz:
                raise InvalidHeader("the file states two sampling rates; correct one")
            facts.rate_hz = rate
        elif word in _UNIT:
            found = texts(value)
            facts.unit = found[0] if found and len(set(found)) == 1 else facts.unit
            facts.units = found
        elif word in _LEADS and (found := texts(value)):
            single = len(found) == 1 and re.search("[,;| ]", found[0].strip())
            facts.leads = tuple(x for x in re.split(r"[,;|\s]+", found[0]) if x) if single else tuple(found)
        elif word in _RECORD:
            facts.record_ids = _ids(value)
        elif word in _PATIENT:
            facts.patient_ids = _ids(value)
        elif word in _SEX:
            facts.sexes = texts(value)
        elif word in _AGE:
            facts.ages = _ages(value)
        elif word in _GAIN and not _is_one_or_zero(value):
            warnings.append(
                "the file states a gain or offset, which was not applied; state the unit of the samples"
            )
    return facts


def _signals(values: Mapping[str, Value], facts: _Facts, warnings: list[str]) -> dict[str, npt.NDArray[Any]]:
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
        raise EmptyFile("the file holds no array of samples; check the export that made it")
    tables = {name: x for name, x in numbers.items() if _is_table(x)}
    if tables:
        signals = _preferred(tables)
    else:
        rows = {name: x.reshape(-1) for name, x in numbers.items()}
        longest = max(x.size for x in rows.values())
        rows = {name: x for name, x in rows.items() if x.size == longest}
        signals = {name: x for name, x in rows.items() if time_unit(name) is None} or rows
        ecg = {name: x for name, x in signals.items() if _names_ecg(name)}
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


def _names_ecg(name: str) -> bool:
    return canonical_lead(name) in STANDARD_12 or re.search(r"ecg|ekg|mlii|mcl", name, re.I) is not None


def _timed(facts: _Facts, table: npt.NDArray[Any], warnings: list[str]) -> tuple[float | None, str]:
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


def texts(value: Value) -> list[str]:
    """Words of a value; [] when it holds numbers."""
    if isinstance(value, str):
        return [value.strip()]
    if isinstance(value, list):
        return [x.strip() for x in value]
    if value.dtype.kind == "U":
        return [str(x).strip() for x in value.reshape(-1)[: 10 * _MAX_RECORDS]]
    if value.dtype.kind == "S":
        return [x.decode("utf-8", "replace").strip() for x in value.reshape(-1)[: 10 * _MAX_RECORDS].tolist()]
    return []


def _number(value: Value) -> float | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size:
        flat = value.reshape(-1)
        return float(flat[0]) if (flat == flat[0]).all() else None
    found = re.match(r"\s*(\d+(?:\.\d+)?)\s*(k?)(?:hz)?\s*$", " ".join(texts(value)), re.I)
    return float(found[1]) * (1000 if found[2] else 1) if found else None


def _ids(value: Value) -> list[str]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return [f"{x:.0f}" if value.dtype.kind == "f" else str(x) for x in value.reshape(-1).tolist()]
    return texts(value)


def _ages(value: Value) -> list[float]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value.reshape(-1).astype(np.float64).tolist()
    found = [re.match(r"\d+(?:\.\d+)?", x) for x in texts(value)]
    return [float(x[0]) if x else -1.0 for x in found]


def _is_one_or_zero(value: Value) -> bool:
    return (
        not isinstance(value, np.ndarray)
        or value.dtype.kind not in "iuf"
        or bool(np.isin(value, (0, 1)).all())
    )


def _at(items: Sequence[Any], index: int) -> Any:
    """The value of a record; a single one belongs to all."""
    return items[index] if index < len(items) else items[0] if len(items) == 1 else None
