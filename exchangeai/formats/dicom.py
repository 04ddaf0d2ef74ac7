"""DICOM waveforms (12-lead, general, ambulatory and hemodynamic), read without a model of the object."""

from __future__ import annotations

import dataclasses
import datetime
import zlib
from collections.abc import Mapping

from pydicom.uid import UID

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, TooLarge, Truncated
from exchangeai.formats._dicom_annotations import Said, said_of
from exchangeai.formats._dicom_elements import items, text
from exchangeai.formats._dicom_groups import (
    filters_of,
    further_series,
    leads_of_group,
    preference,
)
from exchangeai.formats._dicom_walk import Item, Source, data_set, meta_group, shows_vr
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import (
    age_between,
    date_of,
    identifier_of,
    model_of,
    pooled_age,
    sex_of,
    year_of,
)
from exchangeai.recording import MILLIVOLT, Identifiers, Patient, Recording, Series

RANK = 0
_META_START = 132
_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_INFLATED_BYTES = 96 << 20
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_CUT = "the file is truncated: it ends within an element; what is whole is read"


def sniff(files: Mapping[str, bytes]) -> bool:
    """The `DICM` mark behind the preamble; a file without it is not told apart from noise."""
    return len(files) == 1 and next(iter(files.values()))[128:132] == b"DICM"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the rhythm group as the recording, and median beats and further groups as other series.

    Raises Truncated when the file ends early, and `strict` or without half of the rhythm; InvalidHeader when
    it holds no ECG waveform.
    """
    dataset = _parse(next(iter(files.values())))
    try:
        result = _read(dataset, options)
    except (EmptyFile, InvalidHeader) as e:
        # What is missing may have stood behind the end.
        raise _cut() if dataset.source.cut else e from None
    if not dataset.source.cut:
        return [result]
    if options.strict:
        raise _cut()
    recording = result.recording
    flagged = dataclasses.replace(recording, warnings=(_CUT, *recording.warnings))
    return [dataclasses.replace(result, recording=flagged)]


def _read(dataset: Item, options: ReadOptions) -> ReadResult:
    groups = items(dataset, "WaveformSequence")
    if not groups:
        raise InvalidHeader(f"the DICOM file holds no waveform ({_kind(dataset)}); send the ECG object")
    main = max(range(len(groups)), key=lambda i: preference(groups[i]))
    leads, warnings = leads_of_group(groups[main], options)
    if not any(x.unit == MILLIVOLT for x in leads):
        raise InvalidHeader("no channel of the DICOM waveform is a voltage; send the ECG object")
    series: list[Series] = []
    for i, group in enumerate(groups):
        if i == main:
            continue
        try:
            found, odd = further_series(group, groups[main], options)
        except ExchangeaiError:
            if options.strict:
                raise
            warnings.append(f"group {i + 1} of the waveforms cannot be read and was left out")
            continue
        series.append(found)
        warnings += odd
    try:
        # An annotation without its end may lack what says that it is a mark, or its unit.
        annotations = [x for x in items(dataset, "WaveformAnnotationSequence") if x.whole]
        said = said_of(annotations, leads, main + 1)
    except Truncated:
        if options.strict:
            raise
        said = Said(warnings=("the annotations contradict their lengths and were left out",))
    at = _date(dataset, "AcquisitionDateTime", "AcquisitionDate", "ContentDate", "StudyDate")
    recording = Recording(
        format="dicom",
        leads=leads,
        patient=Patient(sex=sex_of(text(dataset, "PatientSex")), age_years=_age(dataset, at)),
        acquisition_year=year_of(at),
        device_model=model_of(text(dataset, "ManufacturerModelName")),
        filters=filters_of(groups[main]),
        other_series=tuple(series),
        annotations=said.marks,
        device_measurements=said.measurements,
        device_statements=said.statements,
        warnings=(*warnings, *said.warnings),
    )
    patient_id = identifier_of(text(dataset, "PatientID"))
    return ReadResult(recording=recording, identifiers=Identifiers(patient_id=patient_id))


def _parse(data: bytes) -> Item:
    meta, begin = meta_group(data, _META_START)
    if meta.source.cut:
        raise _cut()
    syntax = text(meta, "TransferSyntaxUID")
    if syntax == _DEFLATED:
        return _inflated(data[begin:])
    explicit = syntax != _IMPLICIT if syntax else shows_vr(data, begin, otherwise=False)
    return data_set(Source(data=data, order=">" if syntax == _BIG_ENDIAN else "<"), begin, explicit=explicit)


def _inflated(data: bytes) -> Item:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, _MAX_INFLATED_BYTES)
    except zlib.error as e:
        raise _cut() from e
    if inflater.unconsumed_tail:
        raise TooLarge(f"the DICOM file inflates to more than {_MAX_INFLATED_BYTES >> 20} MiB")
    return data_set(Source(data=plain, cut=not inflater.eof), 0, explicit=True)


def _cut() -> Truncated:
    return Truncated("the DICOM file ends within an element; send the whole file")


def _kind(dataset: Item) -> str:
    """What the object is, by the standard's own name; nothing of the file's text."""
    uid = UID(text(dataset, "SOPClassUID"))
    modality = text(dataset, "Modality")
    known = uid.name if uid.keyword else "of an unknown kind"
    return (
        f"it is {known}, modality {modality}"
        if modality.isalpha() and len(modality) < 17
        else f"it is {known}"
    )


def _date(dataset: Item, *names: str) -> datetime.date | None:
    return next((x for name in names if (x := date_of(text(dataset, name)[:8])) is not None), None)


def _age(dataset: Item, at: datetime.date | None) -> int | None:
    age = text(dataset, "PatientAge")
    if len(age) == 4 and age[:3].isdigit() and age[3] in _AGE_UNITS:
        return pooled_age(int(age[:3]) * _AGE_UNITS[age[3]])
    return age_between(_date(dataset, "PatientBirthDate"), at)
