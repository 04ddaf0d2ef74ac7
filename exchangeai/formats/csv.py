"""Tables of numbers as text: any usual separator, decimal sign and encoding, with or without a header.

Rate, unit and lead names come from the file's header and remarks where it states them, else from the caller,
never from a guess; a message may offer one. A column of times gives the rate and is no lead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._column_names import (
    is_other_quantity,
    is_sample_number,
    name_and_unit,
    time_unit,
)
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import identifier_of, model_of, pooled_age, sex_of
from exchangeai.formats._remarks import Remarks, remarks_of
from exchangeai.formats._stated import leads_of, oriented, quantity_of, rate_of, require, states_unit
from exchangeai.formats._table import Column, Table, looks_like_table, parse_table
from exchangeai.formats._table_layout import MAX_COLUMNS
from exchangeai.formats._times import deduced_unit, is_count, rate_of_times
from exchangeai.formats._warnings import in_words
from exchangeai.recording import Identifiers, Lead, Patient, Recording

RANK = 90


def sniff(files: Mapping[str, bytes]) -> bool:
    """Text whose lines are numbers, after at most a few lines of header."""
    return len(files) == 1 and looks_like_table(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read samples in columns, one a lead, or in few long rows, one a lead."""
    table = parse_table(next(iter(files.values())))
    if table.cut and options.strict:
        raise Truncated("the last row of the table is incomplete; send the whole file")
    remarks = remarks_of(table.layout.notes)
    sheet = _Sheet(table, remarks)
    if table.cut:
        sheet.warnings.append("the file is truncated: its last row is incomplete and was left out")
    leads = _leads(sheet, remarks, options)
    recording = Recording(
        format="csv",
        leads=leads,
        patient=Patient(sex=sex_of(remarks.sex), age_years=pooled_age(remarks.age_years)),
        acquisition_year=sheet.year or remarks.year,
        device_model=model_of(remarks.device),
        device_statements=remarks.statements,
        warnings=tuple(sheet.warnings),
    )
    return [
        ReadResult(recording=recording, identifiers=Identifiers(patient_id=identifier_of(remarks.patient)))
    ]


class _Sheet:
    """The columns that hold samples, and what the others say."""

    def __init__(self, table: Table, remarks: Remarks) -> None:
        self.warnings: list[str] = []
        self.guess = ""
        self.year: int | None = None
        self.rate_hz = remarks.rate_hz
        names, columns = _named(table)
        if names is None and len(remarks.columns) == len(columns):
            names = remarks.columns
            chosen = [i for i, x in enumerate(names) if x in remarks.leads or not remarks.leads]
            names, columns = tuple(names[i] for i in chosen), tuple(columns[i] for i in chosen)
        units = table.layout.units or ("",) * len(columns)
        self.names: list[str] | None = [] if names is not None else None
        self.units: list[str] = []
        self.values: list[npt.NDArray[np.generic]] = []
        self.across = table.layout.columns > MAX_COLUMNS
        for i, column in enumerate(columns):
            name = names[i] if names is not None else None
            if self._is_time(column, name, units[i], first=i == 0 and len(columns) > 1 and not self.across):
                continue
            if column.values is None:
                self.warnings.append(f"column {i + 1} holds text and was left out")
                continue
            if self.names is not None:
                self.names.append(name or f"channel {i + 1}")
            self.units.append(units[i])
            self.values.append(column.values)
        if not self.values:
            raise InvalidHeader("the table holds no column of samples; send one column a lead")
        if any(np.isnan(x).any() for x in self.values if x.dtype.kind == "f"):
            self.warnings.append("the table has empty cells; they count as missing values")

    def _is_time(self, column: Column, name: str | None, unit: str, *, first: bool) -> bool:
        """Whether a column is an axis and no lead; its rate is kept."""
        if column.times_ns is not None:
            self._take(*rate_of_times(column.times_ns - column.times_ns[0], 1e9))
            if column.dated:
                year = (
                    int(column.times_ns[0].astype("datetime64[ns]").astype("datetime64[Y]").astype(int))
                    + 1970
                )
                self.year = year if 1900 < year <= 2100 else None
            return True
        if column.values is None:
            return False
        if name is None or not name:
            if first and is_count(column.values):
                self.warnings.append("the first column counts the samples and is no lead")
                return True
            return False
        if is_sample_number(name):
            return True
        found = time_unit(name, unit)
        if found is None:
            return False
        if found == 0:
            per_s, word = deduced_unit(column.values)
            if per_s is None:
                self.warnings.append("the column of times states no unit and was not used")
                self.guess = self.guess or word
                return True
            self.warnings.append(word)
            found = per_s
        self._take(*rate_of_times(column.values, found))
        return True

    def _take(self, rate_hz: float, warnings: list[str]) -> None:
        if self.rate_hz is not None and abs(rate_hz - self.rate_hz) > 1e-3 * rate_hz:
            raise InvalidHeader(
                f"the times of the table mean {rate_hz:g} Hz but it says {self.rate_hz:g} Hz; correct one"
            )
        self.rate_hz = self.rate_hz or rate_hz
        self.warnings += warnings


def _named(table: Table) -> tuple[tuple[str, ...] | None, tuple[Column, ...]]:
    """Names and columns, without what a delimiter at the end of each line adds."""
    names, columns = table.layout.names, table.columns
    if table.layout.columns > MAX_COLUMNS:
        return None, columns
    unnamed = names is None or len(names) < len(columns) or not names[-1]
    if unnamed and len(columns) > 1 and _is_empty(columns[-1]):
        columns = columns[:-1]
        names = names[: len(columns)] if names else None
    if names is None:
        return None, columns
    if len(names) == len(columns) + 1 and not names[-1]:
        names = names[:-1]
    first = columns[0].values if columns else None
    if len(names) == len(columns) - 1 and first is not None and is_count(first):
        # R writes row numbers without a name for them.
        columns = columns[1:]
    if len(names) != len(columns):
        raise InvalidHeader(
            f"the header line names {len(names)} columns but the rows have {len(columns)}; correct it"
        )
    return names, columns


def _is_empty(column: Column) -> bool:
    return (
        column.values is not None and column.values.dtype.kind == "f" and bool(np.isnan(column.values).all())
    )


def _leads(sheet: _Sheet, remarks: Remarks, options: ReadOptions) -> tuple[Lead, ...]:
    table = np.stack(sheet.values).T
    parts = [name_and_unit(x) for x in sheet.names] if sheet.names is not None else None
    names = [x for x, _ in parts] if parts is not None else None
    if names is None and len(remarks.leads) >= table.shape[1]:
        # A list of labels may begin with those of columns that are no leads.
        names = list(remarks.leads[len(remarks.leads) - table.shape[1] :])
    known = names is not None or sheet.across or len(options.leads) == table.shape[1]
    units = [remarks.unit] * max(table.shape)
    if known:
        units = [
            (y or x or remarks.unit)
            for x, (_, y) in zip(sheet.units, parts or [("", "")] * len(sheet.units), strict=True)
        ]
    labels = options.leads or names or ()
    other = [
        i
        for i, (name, unit) in enumerate(zip(labels, units, strict=False))
        if not unit and is_other_quantity(name)
    ]
    ecg = [i for i in range(table.shape[1]) if i not in other]
    require(
        options,
        table[:, ecg] if ecg else table,
        rate_hz=sheet.rate_hz,
        has_unit=all(map(states_unit, (units[i] for i in ecg))),
        has_names=names is not None,
        rate_guess=sheet.guess,
    )
    rate_hz = rate_of(options, sheet.rate_hz)
    table, chosen = oriented(table, options, names, of_columns=known)
    sheet.warnings += in_words([x + 1 for x in other], "not a voltage by its name, and without a unit")
    quantities = [(1.0, "") if i in other else quantity_of(options, units[i]) for i in range(len(chosen))]
    return leads_of(table, chosen, quantities, rate_hz=rate_hz)
