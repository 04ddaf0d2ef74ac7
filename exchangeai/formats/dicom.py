"""DICOM waveforms (12-lead, general, ambulatory and hemodynamic): parsed by pydicom, samples decoded here."""

from __future__ import annotations

import datetime
import io
import zlib
from collections.abc import Mapping

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from exchangeai.errors import ExchangeaiError, InvalidHeader, TooLarge, Truncated
from exchangeai.formats._dicom_annotations import said_of
from exchangeai.formats._dicom_elements import items, text
from exchangeai.formats._dicom_groups import (
    filters_of,
    further_series,
    leads_of_group,
    preference,
)
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
_META_START = 144
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_INFLATED_BYTES = 96 << 20
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_TAGS = [
    "SOPClassUID", "Modality", "SpecificCharacterSet", "AcquisitionDateTime", "AcquisitionDate",
    "ContentDate", "StudyDate", "ManufacturerModelName", "PatientID", "PatientSex", "PatientAge",
    "PatientBirthDate",
    "WaveformSequence", "WaveformAnnotationSequence",
]  # fmt: skip


def sniff(files: Mapping[str, bytes]) -> bool:
    """The `DICM` mark behind the preamble; a file without it is not told apart from noise."""
    return len(files) == 1 and next(iter(files.values()))[128:132] == b"DICM"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the rhythm group as the recording, and median beats and further groups as other series.

    Raises Truncated when the file ends inside an element, InvalidHeader when it holds no ECG waveform.
    """
    try:
        return _read(files, options)
    except (OSError, EOFError) as e:
        # pydicom parses sequences when they are first looked at.
        raise _cut(e) from e


def _read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    dataset = _parse(next(iter(files.values())))
    groups = items(dataset, "WaveformSequence")
    if not groups:
        raise InvalidHeader(f"the DICOM file holds no waveform ({_kind(dataset)}); send the ECG object")
    order = ">" if dataset.file_meta.get("TransferSyntaxUID", "") == _BIG_ENDIAN else "<"
    main = max(range(len(groups)), key=lambda i: preference(groups[i]))
    leads, warnings = leads_of_group(groups[main], options, order)
    if not any(x.unit == MILLIVOLT for x in leads):
        raise InvalidHeader("no channel of the DICOM waveform is a voltage; send the ECG object")
    series: list[Series] = []
    for i, group in enumerate(groups):
        if i == main:
            continue
        try:
            found, odd = further_series(group, groups[main], options, order)
        except ExchangeaiError:
            if options.strict:
                raise
            warnings.append(f"group {i + 1} of the waveforms cannot be read and was left out")
            continue
        series.append(found)
        warnings += odd
    said = said_of(items(dataset, "WaveformAnnotationSequence"), leads, main + 1)
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
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=patient_id))]


def _parse(data: bytes) -> Dataset:
    try:
        # The first element of every file is the length of the meta group that names the syntax.
        body = _META_START + int.from_bytes(data[_META_START - 4 : _META_START], "little")
        if _DEFLATED.encode() in data[_META_START:body]:
            _check_inflated(data[body:])
        return pydicom.dcmread(io.BytesIO(data), specific_tags=list(_TAGS))  # pyright: ignore[reportUnknownMemberType]
    except (InvalidDicomError, EOFError, NotImplementedError, zlib.error, RecursionError) as e:
        raise _cut(e) from e


def _cut(cause: Exception) -> Truncated:
    return Truncated(
        f"the DICOM file cannot be parsed to its end ({type(cause).__name__}); send the whole file"
    )


def _check_inflated(data: bytes) -> None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(data, _MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise TooLarge(f"the DICOM file inflates to more than {_MAX_INFLATED_BYTES >> 20} MiB")


def _kind(dataset: Dataset) -> str:
    """What the object is, by the standard's own name; nothing of the file's text."""
    uid = UID(text(dataset, "SOPClassUID"))
    modality = text(dataset, "Modality")
    known = uid.name if uid.keyword else "of an unknown kind"
    return (
        f"it is {known}, modality {modality}"
        if modality.isalpha() and len(modality) < 17
        else f"it is {known}"
    )


def _date(dataset: Dataset, *names: str) -> datetime.date | None:
    return next((x for name in names if (x := date_of(text(dataset, name)[:8])) is not None), None)


def _age(dataset: Dataset, at: datetime.date | None) -> int | None:
    age = text(dataset, "PatientAge")
    if len(age) == 4 and age[:3].isdigit() and age[3] in _AGE_UNITS:
        return pooled_age(int(age[:3]) * _AGE_UNITS[age[3]])
    return age_between(_date(dataset, "PatientBirthDate"), at)
