"""PTB-XL: statements out of the dictionaries in ptbxl_database.csv, classes out of scp_statements.csv."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TextIO

from exchangeai.errors import InvalidArgument

SUMMARY = "PTB-XL 1.0.x: the folder with ptbxl_database.csv and scp_statements.csv (Wagner et al. 2020)."
_COLUMNS = ("ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_hr", "filename_lr")


def rows(source: Path) -> Iterator[dict[str, str]]:
    """One row for each record; a record's statements count whatever their likelihood, as in the benchmark.

    `recording` names the 500 Hz file, `recording_100hz` the other.
    """
    classes = _classes(source / "scp_statements.csv")
    for row in _read(source / "ptbxl_database.csv", _COLUMNS):
        try:
            codes = ast.literal_eval(row["scp_codes"])
        except (ValueError, SyntaxError) as e:
            raise InvalidArgument(f"record {row['ecg_id']} has scp_codes that are no dictionary") from e
        statements = sorted(codes)
        diagnostic = [classes[x] for x in statements if x in classes]
        yield {
            "recording": PurePosixPath(row["filename_hr"]).name,
            "recording_100hz": PurePosixPath(row["filename_lr"]).name,
            "patient_id": row["patient_id"].removesuffix(".0"),
            "strat_fold": row["strat_fold"].removesuffix(".0"),
            "statements": ";".join(statements),
            "superclasses": ";".join(sorted({x for x, _ in diagnostic})),
            "subclasses": ";".join(sorted({y for _, y in diagnostic if y})),
        }


def _classes(path: Path) -> dict[str, tuple[str, str]]:
    """(superclass, subclass) of each diagnostic statement."""
    found: dict[str, tuple[str, str]] = {}
    with _open(path) as f:
        for row in csv.DictReader(f):
            code = next(iter(row.values()))
            if row.get("diagnostic_class"):
                found[code] = (row["diagnostic_class"], row.get("diagnostic_subclass") or "")
    if not found:
        raise InvalidArgument("scp_statements.csv names no diagnostic class; is it PTB-XL's own?")
    return found


def _read(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with _open(path) as f:
        reader = csv.DictReader(f)
        absent = [x for x in columns if x not in (reader.fieldnames or ())]
        if absent:
            raise InvalidArgument(f"{path.name} lacks the columns {', '.join(absent)}; is it PTB-XL's own?")
        yield from reader


def _open(path: Path) -> TextIO:
    try:
        return path.open(newline="", encoding="utf-8")
    except FileNotFoundError as e:
        raise InvalidArgument(f"the folder has no {path.name}; name the folder that PTB-XL unpacks to") from e
