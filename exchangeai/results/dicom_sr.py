"""DICOM: for each result a Comprehensive SR document (PS3.3 A.35.3), preliminary and unverified.

The root bears the concept of an ECG Report, the observer is a device as in TID 1004 (PS3.16). The patient is
known by the recording's digest alone; the recording and the model are referred to by digest.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

from exchangeai.findings import Finding
from exchangeai.results._result import Chunk, Result, file_stem, identity, recorded

PRIVATE = "99EXCHANGEAI"
"""Scheme of codes that no terminology of DICOM has."""
_SCHEMES = {"LOINC": "LN", "LN": "LN", "SNOMED": "SCT", "SCT": "SCT", "MDC": "MDC"}
_MAX_CODE, _MAX_MEANING = 16, 64
_Code = tuple[str, str, str]
_ECG_REPORT: _Code = ("28010-7", "LN", "ECG Report")
_NO_UNIT: _Code = ("1", "UCUM", "no units")


class DicomSrWriter:
    """A file for each result."""

    def add(self, result: Result) -> Iterable[Chunk]:
        """`<recording>_<model>_<preprocessing>.dcm`."""
        out = io.BytesIO()
        document(result).save_as(out, enforce_file_format=True)
        return [Chunk(file=f"{file_stem(result)}.dcm", data=out.getvalue())]

    def finish(self) -> Iterable[Chunk]:
        """Nothing is left."""
        return []


def writer() -> DicomSrWriter:
    """A writer for one export."""
    return DicomSrWriter()


def document(result: Result) -> FileDataset:
    """The SR document; equal results give equal ones."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    meta.MediaStorageSOPInstanceUID = _uid(result, "sr instance")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    at, origin = recorded(result), result.provenance
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": ComprehensiveSRStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientName": "",
        "PatientID": result.recording_id,
        "PatientBirthDate": "",
        "PatientSex": "",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "The patient ID is the SHA-256 of the recording",
        "StudyInstanceUID": _study(result),
        "StudyDate": "",
        "StudyTime": "",
        "ReferringPhysicianName": "",
        "StudyID": "",
        "AccessionNumber": "",
        "Modality": "SR",
        "SeriesInstanceUID": _uid(result, "sr series"),
        "SeriesNumber": 1,
        "ReferencedPerformedProcedureStepSequence": [],
        "Manufacturer": "ExChanGeAI",
        "ManufacturerModelName": origin.model_name[:_MAX_MEANING],
        "DeviceSerialNumber": origin.model_digest,
        "SoftwareVersions": [origin.code_version, f"onnxruntime {origin.runtime_version}"],
        "InstanceNumber": 1,
        "PreliminaryFlag": "PRELIMINARY",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ContentDate": f"{at:%Y%m%d}",
        "ContentTime": f"{at:%H%M%S}",
        "TimezoneOffsetFromUTC": "+0000",
        "PerformedProcedureCodeSequence": [],
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [_code(_ECG_REPORT)],
        "ContinuityOfContent": "SEPARATE",
        "ContentSequence": [*_observer(result), *_findings(result), *_origin(result)],
    }
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _observer(result: Result) -> list[Dataset]:
    origin = result.provenance
    return [
        _coded("HAS CONCEPT MOD", ("121049", "DCM", "Language of Content Item and Descendants"),
               ("en", "RFC5646", "English")),
        _coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        _uid_item("HAS OBS CONTEXT", ("121012", "DCM", "Device Observer UID"), _uid_of_model(result)),
        _text("HAS OBS CONTEXT", ("121013", "DCM", "Device Observer Name"),
              f"{origin.model_name}:{origin.model_version}"),
        _text("HAS OBS CONTEXT", ("121014", "DCM", "Device Observer Manufacturer"), "ExChanGeAI"),
        _text("HAS OBS CONTEXT", ("121015", "DCM", "Device Observer Model Name"), origin.model_name),
        _text("HAS OBS CONTEXT", ("121016", "DCM", "Device Observer Serial Number"), origin.model_digest),
    ]  # fmt: skip


def _findings(result: Result) -> list[Dataset]:
    answer = result.prediction
    items = [y for x in answer.findings for y in _finding(x)]
    items += [_text("CONTAINS", ("refused", PRIVATE, "Not judged"), x.text) for x in answer.refusals]
    items += [_text("CONTAINS", ("121106", "DCM", "Comment"), x) for x in answer.notes]
    quality = "; ".join([answer.quality.verdict.value, *answer.quality.reasons, *answer.quality.flags])
    items.append(_text("CONTAINS", ("quality", PRIVATE, "Signal quality"), quality))
    if answer.ood is not None:
        unlike = ("ood", PRIVATE, "Percentile of novelty among validation")
        items.append(_number("CONTAINS", unlike, answer.ood.percentile, ("%", "UCUM", "percent")))
    items.append(_text("CONTAINS", ("121106", "DCM", "Comment"), result.provenance.notice))
    container = _item("CONTAINS", "CONTAINER", ("121070", "DCM", "Findings"))
    container.ContinuityOfContent = "SEPARATE"
    container.ContentSequence = items
    return [container]


def _finding(found: Finding) -> list[Dataset]:
    if found.value is not None:
        return [_number("CONTAINS", _named(found), found.value, _NO_UNIT)]
    said = _coded("CONTAINS", ("121071", "DCM", "Finding"), _named(found))
    present = ("present", PRIVATE, "Present") if found.present else ("absent", PRIVATE, "Not present")
    parts = [
        _coded("HAS PROPERTIES", ("decision", PRIVATE, "Decision at the threshold"), present),
        _number("HAS PROPERTIES", ("122157", "DCM", "Probability"), found.probability, _NO_UNIT),
        _number("HAS PROPERTIES", ("threshold", PRIVATE, "Threshold"), found.threshold, _NO_UNIT),
    ]
    if found.conformal is not None:
        verdict = found.conformal.value
        parts.append(_text("HAS PROPERTIES", ("conformal", PRIVATE, "Conformal verdict"), verdict))
    said.ContentSequence = parts
    return [said]


def _origin(result: Result) -> list[Dataset]:
    origin = result.provenance
    container = _item("CONTAINS", "CONTAINER", ("origin", PRIVATE, "Where this comes from"))
    container.ContinuityOfContent = "SEPARATE"
    container.ContentSequence = [
        _text("CONTAINS", ("input", PRIVATE, "SHA-256 of the recording"), origin.input_digest),
        _text("CONTAINS", ("model", PRIVATE, "SHA-256 of the model"), origin.model_digest),
        _text("CONTAINS", ("111001", "DCM", "Algorithm Name"), origin.model_name),
        _text("CONTAINS", ("111003", "DCM", "Algorithm Version"), str(origin.model_version)),
        _text("CONTAINS", ("prepared", PRIVATE, "Preprocessing version"), origin.preprocessing_version),
        _text("CONTAINS", ("request", PRIVATE, "Request"), origin.request_id),
    ]
    return [container]


def _named(found: Finding) -> _Code:
    """The class's code in a terminology that DICOM knows, else a private one."""
    terminology, _, code = found.code.partition(":")
    scheme = _SCHEMES.get(terminology.upper())
    meaning = found.name[:_MAX_MEANING] or "unnamed"
    if scheme and 0 < len(code) <= _MAX_CODE:
        return (code, scheme, meaning)
    return ((found.code or found.name)[:_MAX_CODE] or "unnamed", PRIVATE, meaning)


def _item(relationship: str, kind: str, concept: _Code) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    item.ConceptNameCodeSequence = [_code(concept)]
    return item


def _text(relationship: str, concept: _Code, value: str) -> Dataset:
    item = _item(relationship, "TEXT", concept)
    item.TextValue = value or "not known"
    return item


def _coded(relationship: str, concept: _Code, value: _Code) -> Dataset:
    item = _item(relationship, "CODE", concept)
    item.ConceptCodeSequence = [_code(value)]
    return item


def _uid_item(relationship: str, concept: _Code, value: UID) -> Dataset:
    item = _item(relationship, "UIDREF", concept)
    item.UID = value
    return item


def _number(relationship: str, concept: _Code, value: float, unit: _Code) -> Dataset:
    item = _item(relationship, "NUM", concept)
    measured = Dataset()
    measured.NumericValue = f"{value:.9g}"
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = [_code(unit)]
    item.MeasuredValueSequence = [measured]
    return item


def _code(code: _Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _uid(result: Result, part: str) -> UID:
    return UID(f"2.25.{identity(result, part).int}")


def _study(result: Result) -> UID:
    """One study for all results of a recording."""
    digest = hashlib.sha256(f"{result.recording_id} results".encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def _uid_of_model(result: Result) -> UID:
    return UID(f"2.25.{int(result.provenance.model_digest[:31] or '0', 16)}")
