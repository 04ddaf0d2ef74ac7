"""One acquisition as read from its source: leads in millivolts and de-identified facts.

At rest a recording is an uncompressed `.npz` (no pickle): the array `header` holds UTF-8 JSON, the
arrays `lead_0`, `lead_1`, ... the samples. The same recording always becomes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidArgument

Sex = Literal["female", "male", "unknown"]

MAX_AGE_YEARS = 90
"""Ages from here on are pooled ("90 or over"), because the oldest are identifiable by age alone."""


@dataclass(frozen=True, kw_only=True)
class Lead:
    """One lead of a recording."""

    name: str
    """Standard name (`aVR`, `V1`) or the file's own where there is no standard one."""
    samples_mv: npt.NDArray[np.float32]
    """float32 [samples], millivolts; NaN where the file has no value."""
    sampling_rate_hz: float
    """Exactly what the file says (599.88, not 600)."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is kept of a person."""

    sex: Sex = "unknown"
    age_years: int | None = None
    """Whole years at acquisition, at most 90 (which means 90 or over)."""
    patient_key: str | None = None
    """Keyed HMAC of the patient's identifier, hex; the key is a secret of the site."""


@dataclass(frozen=True, kw_only=True)
class Identifiers:
    """What a reader found that may not leave the ingest service: turned into keys, then dropped."""

    patient_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One ECG acquisition, de-identified.

    Leads keep the order of the file; nothing is derived, filtered or resampled here.
    """

    format: str
    """Name of the reader: `wfdb`, `edf`, `dicom`, ..."""
    leads: tuple[Lead, ...]
    patient: Patient = field(default_factory=Patient)
    acquisition_year: int | None = None
    device_model: str | None = None
    source_digest: str = ""
    """SHA-256, hex, of the source bytes: see `source_digest()`. Also the recording's id."""
    warnings: tuple[str, ...] = ()
    """Everything odd that the reader met, in words that are safe to show."""

    @property
    def duration_s(self) -> float:
        """Length of the longest lead."""
        return max((x.samples_mv.size / x.sampling_rate_hz for x in self.leads), default=0.0)

    def lead(self, name: str) -> Lead | None:
        """The first lead of that standard name, or None."""
        return next((x for x in self.leads if x.name == name), None)


def source_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256, hex, over all files of a record in name order; one file: the digest of its bytes.

    Lengths go in with the bytes when there are several, so that moving a boundary changes the digest.
    """
    if len(files) == 1:
        return hashlib.sha256(next(iter(files.values()))).hexdigest()
    total = hashlib.sha256()
    for _, data in sorted(files.items()):
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()


class _LeadHeader(msgspec.Struct, frozen=True):
    name: str
    sampling_rate_hz: float


class _Header(msgspec.Struct, frozen=True):
    version: int
    format: str
    leads: list[_LeadHeader]
    patient: Patient
    acquisition_year: int | None
    device_model: str | None
    source_digest: str
    warnings: list[str]


def to_bytes(recording: Recording) -> bytes:
    """Serialise; equal recordings give equal bytes."""
    header = _Header(
        version=1,
        format=recording.format,
        leads=[_LeadHeader(x.name, x.sampling_rate_hz) for x in recording.leads],
        patient=recording.patient,
        acquisition_year=recording.acquisition_year,
        device_model=recording.device_model,
        source_digest=recording.source_digest,
        warnings=list(recording.warnings),
    )
    arrays = {f"lead_{i}": x.samples_mv for i, x in enumerate(recording.leads)}
    out = io.BytesIO()
    np.savez(out, header=np.frombuffer(msgspec.json.encode(header), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def from_bytes(data: bytes) -> Recording:
    """Read what `to_bytes` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
            signals: Iterable[npt.NDArray[np.float32]] = [
                np.asarray(arrays[f"lead_{i}"], np.float32) for i in range(len(header.leads))
            ]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as e:
        raise InvalidArgument(f"these bytes are not a stored recording ({type(e).__name__})") from e
    if header.version != 1:
        raise InvalidArgument(f"recording version {header.version} is newer than this program")
    return Recording(
        format=header.format,
        leads=tuple(
            Lead(name=h.name, samples_mv=x, sampling_rate_hz=h.sampling_rate_hz)
            for h, x in zip(header.leads, signals, strict=True)
        ),
        patient=header.patient,
        acquisition_year=header.acquisition_year,
        device_model=header.device_model,
        source_digest=header.source_digest,
        warnings=tuple(header.warnings),
    )
