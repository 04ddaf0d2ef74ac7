"""The commands on files: `inspect` tells what a file holds, `convert` writes it in another format."""

from __future__ import annotations

import argparse
import sys
from pathlib import PurePath
from typing import Any

import msgspec
import numpy as np

from exchangeai.errors import ExchangeaiError
from exchangeai.reading import SourceReport, read_each, read_options
from exchangeai.recording import Lead, Recording


def inspect(arguments: argparse.Namespace) -> int:
    """Print what each record holds; 1 when one was refused."""
    reports = _read(arguments)
    for report in reports:
        for result in report.results:
            told = (
                _as_json(report, result.recording) if arguments.json else _as_text(report, result.recording)
            )
            print(told)
        if report.error is not None and arguments.json:
            print(
                _json(
                    {
                        "files": report.files,
                        "error": type(report.error).__name__,
                        "message": str(report.error),
                    }
                )
            )
        elif report.error is not None:
            print(f"{_title(report)}\n  refused ({type(report.error).__name__}): {report.error}\n")
    return _status(reports)


def convert(arguments: argparse.Namespace) -> int:
    """Write each record into the folder `out`; 1 when one was refused or not written."""
    # Only here: inspecting needs none of the libraries that write.
    from exchangeai.writers import Written, writers

    reports = _read(arguments)
    write = writers()[arguments.to].write
    arguments.out.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for report in reports:
        if report.error is not None:
            print(
                f"{_title(report)}: refused ({type(report.error).__name__}): {report.error}", file=sys.stderr
            )
        for result in report.results:
            name = _free_name(report, taken)
            try:
                written: Written = write(result.recording, name)
            except ExchangeaiError as e:
                print(f"{_title(report)}: not written: {e}", file=sys.stderr)
                return 1
            for file_name, data in written.files.items():
                (arguments.out / file_name).write_bytes(data)
            print(f"{_title(report)} -> {', '.join(written.files)}")
            for warning in (*result.recording.warnings, *written.notes):
                print(f"  {warning}", file=sys.stderr)
    return _status(reports)


def _read(arguments: argparse.Namespace) -> list[SourceReport]:
    reports: list[SourceReport] = []
    for source in arguments.source:
        try:
            options = read_options(
                sampling_rate_hz=arguments.rate,
                unit=arguments.unit,
                unit_multiple=arguments.unit_multiple,
                leads=tuple(x.strip() for x in arguments.leads.split(",") if x.strip()),
                strict=arguments.strict,
            )
            reports += read_each(source, options)
        except ExchangeaiError as e:
            reports.append(SourceReport(files=(str(source),), error=e))
    return reports


def _status(reports: list[SourceReport]) -> int:
    return 0 if reports and all(x.error is None for x in reports) else 1


def _free_name(report: SourceReport, taken: set[str]) -> str:
    """The source's stem, numbered where another record has it already."""
    stem = PurePath(report.files[0]).stem or "ecg"
    name, n = stem, 1
    while name in taken:
        n += 1
        name = f"{stem}_{n}"
    taken.add(name)
    return name


def _title(report: SourceReport) -> str:
    more = len(report.files) - 1
    return report.files[0] + (f" and {more} more file{'s' if more > 1 else ''}" if more else "")


def _as_text(report: SourceReport, recording: Recording) -> str:
    patient = recording.patient
    age = "—" if patient.age_years is None else f"{patient.age_years} years"
    rows = [
        ("format", recording.format),
        ("length", f"{recording.duration_s:.3f} s"),
        ("patient", f"sex {patient.sex or '—'}, age {age}"),
        ("device", recording.device_model or "—"),
        ("filters", _filters_in_words(recording) or "—"),
    ]
    lines = [_title(report), *(f"  {name:<9}{text}" for name, text in rows)]
    lines += [f"  {_lead_row(x)}" for x in recording.leads]
    for series in recording.other_series:
        lines.append(f"  {series.kind}: {len(series.leads)} leads of {series.leads[0].samples.size} samples")
    if recording.annotations:
        lines.append(f"  {len(recording.annotations)} annotations")
    if recording.device_measurements:
        told = ", ".join(f"{k} {v:g}" for k, v in recording.device_measurements.items())
        lines.append(f"  the device measured: {told}")
    lines += [f"  the device stated: {x}" for x in recording.device_statements]
    lines += [f"  warning: {x}" for x in recording.warnings]
    return "\n".join(lines) + "\n"


def _filters_in_words(recording: Recording) -> str:
    known = {
        "high-pass": recording.filters.highpass_hz,
        "low-pass": recording.filters.lowpass_hz,
        "notch": recording.filters.notch_hz,
    }
    return ", ".join(f"{name} {x:g} Hz" for name, x in known.items() if x is not None)


def _lead_row(lead: Lead) -> str:
    known = lead.samples[np.isfinite(lead.samples)]
    span = f"{known.min():.3f} to {known.max():.3f} {lead.unit}" if known.size else "no values"
    missing = lead.samples.size - known.size
    notes = ("  derived" if lead.derived else "") + (f"  {missing} missing" if missing else "")
    return f"{lead.name:<12} {lead.sampling_rate_hz:>9.3f} Hz {lead.samples.size:>9} samples  {span}{notes}"


def _as_json(report: SourceReport, recording: Recording) -> str:
    return _json(
        {
            "files": report.files,
            "format": recording.format,
            "digest": recording.source_digest,
            "duration_s": recording.duration_s,
            "leads": [
                {
                    "name": x.name,
                    "sampling_rate_hz": x.sampling_rate_hz,
                    "samples": x.samples.size,
                    "unit": x.unit,
                    "derived": x.derived,
                    "missing": int(np.isnan(x.samples).sum()),
                }
                for x in recording.leads
            ],
            "patient": recording.patient,
            "acquisition_year": recording.acquisition_year,
            "device_model": recording.device_model,
            "filters": recording.filters,
            "other_series": [{"kind": x.kind, "leads": len(x.leads)} for x in recording.other_series],
            "annotations": recording.annotations,
            "device_measurements": recording.device_measurements,
            "device_statements": recording.device_statements,
            "warnings": recording.warnings,
        }
    )


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
