"""One acquisition as read from its source: leads in millivolts, other series, and what the file says of them.

At rest a recording is an uncompressed `.npz` (no pickle): the array `header` holds UTF-8 JSON, the
arrays `lead_0`, `lead_1`, ... the samples. The same recording always becomes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidArgument, NotFound
from exchangeai.leads import DERIVABLE, canonical_lead

Sex = Literal["F", "M"]
"""As recorded; None in its place where the file does not say."""

MAX_AGE_YEARS = 90
"""Ages from here on are pooled ("90 or over"), because the oldest are identifiable by age alone."""

MILLIVOLT = "mV"


@dataclass(frozen=True, kw_only=True)
class Lead:
    """One lead of a recording, or another channel that was recorded with it."""

    name: str
    """Standard name (`aVR`, `V1`) or the file's own where there is no standard one."""
    samples: npt.NDArray[np.float32]
    """float32 [samples], in `unit`; NaN where the file has no value."""
    sampling_rate_hz: float
    """Exactly what the file says (599.88, not 600)."""
    unit: str = MILLIVOLT
    """`mV` for every voltage, whatever the file wrote; for other quantities the file's own, "" if it says
    none. Only leads in mV are ECG leads."""
    derived: bool = False
    """Computed by the reader from stored leads (Einthoven, Goldberger), not stored in the file."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Leads that are not the rhythm: a median or representative beat, or a further stretch of rhythm."""

    kind: Literal["median", "rhythm"]
    leads: tuple[Lead, ...]
    start_s: float | None = None
    """Seconds after the start of the recording; None for medians and where the file does not say."""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A mark in time that the file carries."""

    onset_s: float
    """Seconds from the start of the recording."""
    label: str
    """What the file says: a beat symbol (`N`, `V`), a code, or text."""
    duration_s: float | None = None
    lead: str | None = None
    """Where it belongs to one lead only."""
    detail: str = ""
    """What the file adds, for example the rhythm `(AFIB` of a WFDB annotation."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Filters that the device had applied before it stored the signal; None where the file does not say."""

    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    notch_hz: float | None = None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is kept of a person."""

    sex: Sex | None = None
    age_years: int | None = None
    """Whole years at acquisition, at most 90 (which means 90 or over)."""
    patient_key: str | None = None
    """Keyed HMAC of the patient's identifier, hex; the key is a secret of the site."""


@dataclass(frozen=True, kw_only=True)
class Identifiers:
    """What a reader found that may not leave the ingest service: turned into keys, then dropped."""

    patient_id: str | None = None
    record_id: str | None = None
    """The file's own name for this record, where one file holds several (an `exam_id`)."""


DEVICE_MEASUREMENTS: tuple[str, ...] = (
    "ventricular_rate", "atrial_rate", "rr_ms", "pp_ms", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms",
    "qtc_bazett_ms", "qtc_fridericia_ms", "qtc_framingham_ms", "qtc_hodges_ms",
    "p_axis_deg", "qrs_axis_deg", "t_axis_deg",
    "p_onset_ms", "p_offset_ms", "qrs_onset_ms", "qrs_offset_ms", "t_onset_ms", "t_offset_ms",
)  # fmt: skip
"""Names under which readers keep what the device had measured; rates are per minute."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One ECG acquisition.

    Leads keep the order of the file, derived ones come last; nothing is filtered or resampled here.
    """

    format: str
    """Name of the reader: `wfdb`, `edf`, `dicom`, ..."""
    leads: tuple[Lead, ...]
    patient: Patient = field(default_factory=Patient)
    acquisition_year: int | None = None
    device_model: str | None = None
    filters: Filters = field(default_factory=Filters)
    other_series: tuple[Series, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    """In order of time."""
    device_measurements: dict[str, float] = field(default_factory=dict[str, float])
    """What the device, not the platform, had measured; keys are in `DEVICE_MEASUREMENTS`."""
    device_statements: tuple[str, ...] = ()
    """What the device, or who read its ECG, had stated."""
    source_digest: str = ""
    """SHA-256, hex, of the source bytes: see `source_digest()`. Also the recording's id."""
    warnings: tuple[str, ...] = ()
    """Everything odd that the reader met, in words that are safe to show."""

    @property
    def duration_s(self) -> float:
        """Length of the longest lead."""
        return max((x.samples.size / x.sampling_rate_hz for x in self.leads), default=0.0)

    @property
    def lead_names(self) -> tuple[str, ...]:
        """Names in the order of `leads`; two leads of a file may share one."""
        return tuple(x.name for x in self.leads)

    @property
    def derived_leads(self) -> tuple[str, ...]:
        """Names of the leads that the file does not store."""
        return tuple(x.name for x in self.leads if x.derived)

    @property
    def ecg_leads(self) -> tuple[Lead, ...]:
        """The leads that are voltages."""
        return tuple(x for x in self.leads if x.unit == MILLIVOLT)

    def signal(self, lead: str | int) -> npt.NDArray[np.float32]:
        """Samples of a lead, float32 [samples] in `unit(lead)`, NaN = missing; see `lead()`."""
        return self._found(lead).samples

    def unit(self, lead: str | int) -> str:
        """`mV` for voltages, the file's own unit for other quantities."""
        return self._found(lead).unit

    def sampling_rate_hz(self, lead: str | int) -> float:
        """Of one lead; leads of one file may differ."""
        return self._found(lead).sampling_rate_hz

    def lead(self, name: str | int) -> Lead | None:
        """The lead at a position, or the first of a name in any spelling (`aVR`, `ECG avr`); or None."""
        if isinstance(name, int):
            return self.leads[name] if -len(self.leads) <= name < len(self.leads) else None
        exact = next((x for x in self.leads if x.name == name), None)
        return exact or next((x for x in self.leads if x.name == canonical_lead(name)), None)

    def ecg_lead(self, name: str) -> Lead | None:
        """The first lead of that standard name whose samples are millivolts, or None."""
        return next((x for x in self.ecg_leads if x.name == name), None)

    def _found(self, lead: str | int) -> Lead:
        found = self.lead(lead)
        if found is None:
            raise NotFound(
                f"the recording has no lead {lead!r}; it has {', '.join(self.lead_names) or 'none'}"
            )
        return found


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


def signal_digest(recording: Recording) -> str:
    """SHA-256, hex, of what an ECG shows, whatever file it came in; empty without an ECG lead.

    Over the stored leads in the order of their names, rounded to microvolts, with their rates. Leads that
    follow from I and II are left out where those are there, because only some formats store them.
    """
    leads = {x.name: x for x in reversed(recording.ecg_leads) if not x.derived}
    if "I" in leads and "II" in leads:
        leads = {name: x for name, x in leads.items() if name not in DERIVABLE}
    if not leads:
        return ""
    total = hashlib.sha256()
    for name, lead in sorted(leads.items()):
        total.update(f"{name} {lead.sampling_rate_hz:.6g} {lead.samples.size}\n".encode())
        total.update(np.rint(np.nan_to_num(lead.samples, nan=-4e5) * 1e3).astype("<i4").tobytes())
    return total.hexdigest()


def record_digest(source: str, index: int) -> str:
    """Digest of one of several recordings in one source, from the source's digest."""
    return hashlib.sha256(f"{source}/{index}".encode()).hexdigest()


class _LeadHeader(msgspec.Struct, frozen=True):
    name: str
    sampling_rate_hz: float
    unit: str
    derived: bool


class _SeriesHeader(msgspec.Struct, frozen=True):
    kind: Literal["median", "rhythm"]
    leads: list[_LeadHeader]
    start_s: float | None


class _Header(msgspec.Struct, frozen=True):
    version: int
    format: str
    leads: list[_LeadHeader]
    patient: Patient
    acquisition_year: int | None
    device_model: str | None
    filters: Filters
    other_series: list[_SeriesHeader]
    annotations: tuple[Annotation, ...]
    device_measurements: dict[str, float]
    device_statements: tuple[str, ...]
    source_digest: str
    warnings: tuple[str, ...]


def to_bytes(recording: Recording) -> bytes:
    """Serialise; equal recordings give equal bytes."""
    header = _Header(
        version=_VERSION,
        format=recording.format,
        leads=_headers(recording.leads),
        patient=recording.patient,
        acquisition_year=recording.acquisition_year,
        device_model=recording.device_model,
        filters=recording.filters,
        other_series=[_SeriesHeader(x.kind, _headers(x.leads), x.start_s) for x in recording.other_series],
        annotations=recording.annotations,
        device_measurements=dict(sorted(recording.device_measurements.items())),
        device_statements=recording.device_statements,
        source_digest=recording.source_digest,
        warnings=recording.warnings,
    )
    arrays = {f"lead_{i}": x.samples for i, x in enumerate(recording.leads)}
    for n, series in enumerate(recording.other_series):
        arrays |= {f"series_{n}_{i}": x.samples for i, x in enumerate(series.leads)}
    out = io.BytesIO()
    np.savez(out, header=np.frombuffer(msgspec.json.encode(header), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]
    return out.getvalue()


def from_bytes(data: bytes) -> Recording:
    """Read what `to_bytes` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
            leads = _leads(header.leads, arrays, "lead_")
            series = tuple(
                Series(kind=x.kind, leads=_leads(x.leads, arrays, f"series_{n}_"), start_s=x.start_s)
                for n, x in enumerate(header.other_series)
            )
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as e:
        raise InvalidArgument(f"these bytes are not a stored recording ({type(e).__name__})") from e
    if header.version != _VERSION:
        raise InvalidArgument(f"recording version {header.version} is not one that this program reads")
    return Recording(
        format=header.format,
        leads=leads,
        patient=header.patient,
        acquisition_year=header.acquisition_year,
        device_model=header.device_model,
        filters=header.filters,
        other_series=series,
        annotations=header.annotations,
        device_measurements=header.device_measurements,
        device_statements=header.device_statements,
        source_digest=header.source_digest,
        warnings=header.warnings,
    )


_VERSION = 2


def _headers(leads: tuple[Lead, ...]) -> list[_LeadHeader]:
    return [_LeadHeader(x.name, x.sampling_rate_hz, x.unit, x.derived) for x in leads]


def _leads(headers: list[_LeadHeader], arrays: Mapping[str, Any], prefix: str) -> tuple[Lead, ...]:
    return tuple(
        Lead(
            name=h.name,
            samples=np.asarray(arrays[f"{prefix}{i}"], np.float32),
            sampling_rate_hz=h.sampling_rate_hz,
            unit=h.unit,
            derived=h.derived,
        )
        for i, h in enumerate(headers)
    )
