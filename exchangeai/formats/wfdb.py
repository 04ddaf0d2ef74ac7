"""WFDB records (PhysioNet): text headers, signal files in any storage format, MIT annotations.

Samples are decoded from the bytes of the upload: nothing is opened by the names in a header, and nothing is
allocated by its numbers alone. Each lead keeps its own rate; the frame rate of a record is only its clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from exchangeai.errors import EmptyFile, Truncated
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import pooled_age, sex_of, year_of
from exchangeai.formats._wfdb_annotations import MAX_ANNOTATIONS, AnnotationFile, parse_annotations
from exchangeai.formats._wfdb_header import looks_like_header, members_of
from exchangeai.formats._wfdb_record import Record, read_record, root_of
from exchangeai.leads import canonical_lead
from exchangeai.recording import Annotation, Identifiers, Lead, Patient, Recording

RANK = 8
"""Early: to other readers the signal files of a record may look like files of their own (MATLAB)."""


def sniff(files: Mapping[str, bytes]) -> bool:
    """A record line, followed by a signal or segment line."""
    return any(looks_like_header(x) for x in files.values())


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the one record among the files, with its annotations.

    Raises UnsafeReference, MissingFile, Truncated, EmptyFile or InvalidHeader.
    """
    # Members are named without their folder, and all lie in one.
    files = {re.split(r"[/\\]", name)[-1]: data for name, data in files.items()}
    root = root_of(files)
    record = read_record(root, files, strict=options.strict)
    leads = tuple(
        Lead(
            name=canonical_lead(x.name) or f"channel {i + 1}",
            samples=x.samples,
            sampling_rate_hz=record.header.rate_hz * x.samples_per_frame,
            unit=x.unit,
        )
        for i, x in enumerate(record.tracks)
    )
    annotations, odd = _annotations(root, files, record, leads, strict=options.strict)
    if not leads and not annotations:
        raise EmptyFile("the WFDB header declares no signals")
    recording = Recording(
        format="wfdb",
        leads=leads,
        patient=_patient("\n".join(record.comments)),
        acquisition_year=year_of(record.header.date),
        annotations=annotations,
        warnings=(*record.warnings, *odd),
    )
    return [ReadResult(recording=recording, identifiers=Identifiers())]


def _annotations(
    root: str, files: Mapping[str, bytes], record: Record, leads: tuple[Lead, ...], *, strict: bool
) -> tuple[tuple[Annotation, ...], list[str]]:
    """Annotations of all files that no header names, in order of time; and what is odd about them."""
    if len(files) == len({x.file for x in record.header.signals}) + 1:
        return (), []
    named = {y for data in files.values() if looks_like_header(data) for y in members_of(data) or ()}
    found: list[Annotation] = []
    odd: list[str] = []
    sources = 0
    for name in sorted(set(files) - named - {root}):
        parsed = parse_annotations(files[name])
        if parsed is None:
            odd.append("a file beside the record is neither signals nor MIT annotations; it was not read")
            continue
        if not parsed.whole:
            if strict:
                raise Truncated("an annotation file ends before its end mark; send the whole file")
            odd.append("truncated: an annotation file ends before its end mark")
        if parsed.cut:
            odd.append(f"an annotation file holds more than the {MAX_ANNOTATIONS} annotations that are read")
        sources += 1
        found += _in_seconds(parsed, record, leads)
    if sources > 1:
        odd.append(f"the annotations of {sources} files are put together in order of time")
    return tuple(sorted(found, key=lambda x: x.onset_s)), odd


def _in_seconds(parsed: AnnotationFile, record: Record, leads: tuple[Lead, ...]) -> list[Annotation]:
    rate_hz = parsed.rate_hz or record.header.rate_hz
    names = dict(enumerate(x.name for x in leads))
    found = (
        [
            Annotation(onset_s=time / rate_hz, label=symbol)
            for time, symbol in zip(parsed.times, parsed.symbols, strict=True)
        ]
        if parsed.channels is None
        else [
            Annotation(onset_s=time / rate_hz, label=symbol, lead=names.get(channel))
            for time, symbol, channel in zip(parsed.times, parsed.symbols, parsed.channels, strict=True)
        ]
    )
    for i, text in parsed.texts.items():
        found[i] = replace(found[i], detail=text)
    return found


def _patient(comments: str) -> Patient:
    age = re.search(r"\bage\b>?\s*[:=]\s*(\d{1,3}(?:\.\d+)?)\b", comments, re.IGNORECASE)
    sex = re.search(r"\b(?:sex|gender)\b>?\s*[:=]\s*([A-Za-z]+)", comments, re.IGNORECASE)
    # MIT-BIH headers begin with "69 M 1085 1629 x1".
    brief = re.search(r"^(\d{1,3})\s+([MF])\b", comments, re.MULTILINE)
    years = age[1] if age else brief[1] if brief else None
    word = sex[1] if sex else brief[2] if brief else ""
    return Patient(sex=sex_of(word), age_years=pooled_age(float(years)) if years else None)
