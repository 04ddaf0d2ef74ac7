"""DICOM waveforms by pydicom: 12-Lead ECG where its limits allow, else General or Ambulatory ECG Storage.

PS3.3 A.34.3 to A.34.5. Identity is removed by construction; what a type 1 attribute demands and nobody may
know is a dummy. A sample differs by at most half a step (see `_quantise`); missing ones are padding.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12
from exchangeai.recording import MAX_AGE_YEARS, Lead, Recording
from exchangeai.writers._quantise import MISSING, quantise
from exchangeai.writers._rates import by_rate
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name


@dataclass(frozen=True, kw_only=True)
class _Class:
    uid: str
    rates_hz: tuple[float, float]
    channels: int
    samples: int
    groups: int


_CLASSES = (
    _Class(uid="1.2.840.10008.5.1.4.1.1.9.1.1", rates_hz=(200, 1000), channels=13, samples=16384, groups=5),
    _Class(uid="1.2.840.10008.5.1.4.1.1.9.1.2", rates_hz=(200, 1000), channels=24, samples=1 << 24, groups=4),
    _Class(uid="1.2.840.10008.5.1.4.1.1.9.1.3", rates_hz=(50, 1000), channels=12, samples=1 << 31, groups=1),
)
"""12-lead, general and ambulatory ECG with their limits (PS3.3 A.34.3.4, A.34.4.4, A.34.5.4)."""
_SCPECG = dict(zip(STANDARD_12, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))
"""Codes of the leads, `5.6.3-9-<n>` of the scheme SCPECG (PS3.16 CID 3001)."""
_UID_ROOT = "2.25."
"""Of UIDs that are UUIDs (PS3.5 B.2)."""
_DUMMY_DAY = "0101"


def write(recording: Recording, name: str) -> Written:
    """`<name>.dcm`. Raises InvalidArgument when no ECG class of DICOM allows these rates and lengths."""
    leads = [x for x in leads_to_write(recording) if x in recording.ecg_leads]
    others = len([x for x in recording.leads if x not in recording.ecg_leads])
    medians = [x for x in recording.other_series if x.kind == "median"]
    groups = [("RHYTHM", x) for x in by_rate(leads).values()]
    groups += [("MEDIAN BEAT", list(x.leads)) for x in medians if len(by_rate(x.leads)) == 1]
    storage = _storage(groups)
    dataset = _dataset(recording, storage.uid, [_group(label, x) for label, x in groups[: storage.groups]])
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    notes = [f"{others} channels that are no ECG are not written in this format"] if others else []
    if len(groups) > storage.groups:
        notes.append("median beats are not written in this class of DICOM waveforms")
    left_out = not_kept(recording, series=len(medians) == len(recording.other_series))
    return Written(files={f"{plain_name(name)}.dcm": out.getvalue()}, notes=(*notes, *left_out))


def _storage(groups: Sequence[tuple[str, Sequence[Lead]]]) -> _Class:
    rhythm = [x for label, x in groups if label == "RHYTHM"]
    leads = [y for x in rhythm for y in x]
    if not leads:
        raise InvalidArgument(
            "the recording has no lead in millivolts; DICOM ECG objects hold ECG leads alone"
        )
    for storage in _CLASSES:
        low, high = storage.rates_hz
        standard = storage is not _CLASSES[0] or all(x.name in _SCPECG for x in leads)
        if (
            standard
            and len(rhythm) <= storage.groups
            and all(len(x) <= storage.channels for x in rhythm)
            and all(low <= x.sampling_rate_hz <= high and x.samples.size <= storage.samples for x in leads)
        ):
            return storage
    raise InvalidArgument(
        "DICOM's ECG objects allow 50 to 1000 Hz (200 to 1000 above 12 leads); write WFDB or npz instead"
    )


def _dataset(recording: Recording, uid: str, groups: list[Dataset]) -> FileDataset:
    # The same recording always becomes the same object.
    instance = _uid(recording, "instance")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(uid)
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    day = f"{recording.acquisition_year or 1900:04d}{_DUMMY_DAY}"
    patient = recording.patient
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": UID(uid),
        "SOPInstanceUID": instance,
        "PatientName": "",
        "PatientID": patient.patient_key or "",
        "PatientBirthDate": "",
        "PatientSex": patient.sex or "",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Allow-list: sex, age, year, device model and signals are kept",
        "StudyInstanceUID": _uid(recording, "study"),
        "StudyDate": "",
        "StudyTime": "",
        "ReferringPhysicianName": "",
        "StudyID": "",
        "AccessionNumber": "",
        "Modality": "ECG",
        "SeriesInstanceUID": _uid(recording, "series"),
        "SeriesNumber": 1,
        "Laterality": "",
        "Manufacturer": "",
        "ManufacturerModelName": recording.device_model or "",
        "InstanceNumber": 1,
        "ContentDate": day,
        "ContentTime": "000000",
        "AcquisitionDateTime": f"{day}000000",
        "AcquisitionContextSequence": [],
        "WaveformSequence": groups,
    }
    if patient.age_years is not None:
        values["PatientAge"] = f"{min(patient.age_years, MAX_AGE_YEARS):03d}Y"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _uid(recording: Recording, part: str) -> UID:
    digest = hashlib.sha256(f"{recording.source_digest or repr(recording.lead_names)} {part}".encode())
    return UID(f"{_UID_ROOT}{uuid.UUID(bytes=digest.digest()[:16], version=4).int}")


def _group(label: str, leads: Sequence[Lead]) -> Dataset:
    size = max(x.samples.size for x in leads)
    stored = [quantise(x.samples) for x in leads]
    table = np.full((size, len(leads)), MISSING, "<i2")
    for i, x in enumerate(stored):
        table[: x.values.size, i] = x.values
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL" if label == "RHYTHM" else "DERIVED"
    group.MultiplexGroupLabel = label
    group.NumberOfWaveformChannels = len(leads)
    group.NumberOfWaveformSamples = size
    group.SamplingFrequency = _decimal(leads[0].sampling_rate_hz)
    group.ChannelDefinitionSequence = [
        _channel(x, q.step, q.offset) for x, q in zip(leads, stored, strict=True)
    ]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new(0x5400100A, "OW", np.array([MISSING], "<i2").tobytes())
    group.WaveformData = table.tobytes()
    return group


def _channel(lead: Lead, step_mv: float, offset_mv: float) -> Dataset:
    channel = Dataset()
    channel.ChannelLabel = lead.name[:16]
    number = _SCPECG.get(lead.name)
    code = (f"5.6.3-9-{number}", "SCPECG") if number else (lead.name[:16], "99EXCHANGEAI")
    channel.ChannelSourceSequence = [_code(*code, f"Lead {lead.name}"[:64])]
    channel.ChannelSensitivity = _decimal(step_mv * 1e3)
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = _decimal(offset_mv * 1e3)
    channel.ChannelSampleSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (VR DS)."""
    for digits in range(14, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise InvalidArgument("a step or rate of the recording has no decimal string of 16 characters")
