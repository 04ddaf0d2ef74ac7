"""What the pages show, as plain values; data sets and runs are shown as the facts they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from exchangeai.facts import DatasetFact, Task, TrainingOptions
from exchangeai.findings import ConformalVerdict
from exchangeai.measurements import Measurements, Quality

RecordingStatus = Literal["read", "pending", "unreadable"]
Decimal = Literal["", ".", ","]
RepeatedRows = Literal["leave_out", "union", "first"]


@dataclass(frozen=True, kw_only=True)
class RecordingView:
    """A recording in the worklist and above its tracing."""

    recording_id: str
    status: RecordingStatus
    format: str
    leads: tuple[str, ...]
    rates_hz: tuple[float, ...]
    duration_s: float
    sex: str
    age: str
    year: str
    device: str
    warnings: tuple[str, ...] = ()
    same_signal_as: str = ""
    """Id of an earlier recording of the same ECG, from another file; empty for none."""
    reason: str = ""
    """Class of the error when the status is `unreadable`."""
    message: str = ""

    @property
    def has_signal(self) -> bool:
        """Whether there is a tracing to draw."""
        return bool(self.leads)


@dataclass(frozen=True, kw_only=True)
class UploadView:
    """What became of one record of a drop."""

    file_names: tuple[str, ...]
    recording: RecordingView
    duplicate: bool


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the user states about a file that does not say it itself."""

    sampling_rate_hz: float = 0.0
    unit: Literal["", "V", "mV", "uV"] = ""
    leads: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SignalView:
    """One lead as stored: float32 [samples] in mV."""

    lead: str
    sampling_rate_hz: float
    samples_mv: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class MeasuredView:
    """Measurements and quality of a recording."""

    measurements: Measurements
    quality: Quality


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """A model that may be chosen."""

    name: str
    version: int
    digest: str
    approved: bool
    architecture: str
    classes: tuple[str, ...]

    @property
    def key(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """A version of a model."""

    version: int
    state: str
    """`quarantined`, `approved` or `deprecated`."""
    digest: str
    origin: str
    signed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class ServingView:
    """A name with its versions, newest first, and how it is served; version 0 stands for none."""

    name: str
    versions: tuple[VersionView, ...]
    champion: int
    answering: int
    previous: tuple[int, ...] = ()
    canary: int = 0
    canary_share: float = 0.0
    shadow: int = 0
    changed_by: str = ""
    changed_at: float = 0.0
    problem: str = ""
    compared: int = 0
    differing: int = 0
    max_difference: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FindingView:
    """One class of a prediction, or one number with its 90 % bounds."""

    name: str
    probability: float
    threshold: float
    present: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    conformal: ConformalVerdict | None = None


@dataclass(frozen=True, kw_only=True)
class PredictionView:
    """A prediction and where it comes from."""

    findings: tuple[FindingView, ...]
    quality: Quality
    model: str
    model_digest: str
    input_digest: str
    request_id: str
    code_version: str
    refusals: tuple[str, ...] = ()
    """Why there are no findings."""
    notes: tuple[str, ...] = ()
    ood_percentile: float | None = None
    """Share of the validation ECGs that are more like the training data; None when not assessed."""
    ood_outside: bool = False


@dataclass(frozen=True, kw_only=True)
class ArchitectureView:
    """An architecture that can be trained."""

    name: str
    summary: str
    parameters: int
    """With five classes."""
    gflops: float = 0.0
    """Work on one window, in billions of floating-point operations."""


@dataclass(frozen=True, kw_only=True)
class PresetView:
    """Ready-made options."""

    name: str
    summary: str
    options: TrainingOptions


@dataclass(frozen=True, kw_only=True)
class EstimateView:
    """What a run would take if no early stop comes."""

    low_s: float
    high_s: float
    peak_memory_bytes: int
    measured_from: str


@dataclass(frozen=True, kw_only=True)
class DatasetView:
    """A data set, and by how many runs its test part was looked at."""

    fact: DatasetFact
    test_looks: int


@dataclass(frozen=True, kw_only=True)
class TableDialect:
    """How a label table is to be read; what is empty is told from the table itself."""

    separator: str = ""
    encoding: str = ""
    sheet: str = ""
    decimal: Decimal = ""
    label_separator: str = ""
    synonyms: dict[str, str] = field(default_factory=dict[str, str])
    """What the table calls a class, and the class that is meant."""
    repeated_rows: RepeatedRows = "leave_out"
    keep_unlabelled: bool = False
    """What several rows mean that say different things of one recording."""


@dataclass(frozen=True, kw_only=True)
class DatasetOrder:
    """What the user asks a data set to be built from."""

    name: str
    table: bytes
    recording_column: str
    label_column: str
    label_columns: tuple[str, ...] = ()
    """Instead of the label column: one for each class or target."""
    patient_column: str
    part_column: str
    time_column: str
    part_values: dict[str, str]
    """Which part each value of the part column means; empty when its values are the parts."""
    task: Task
    fewest_patients: int
    """Classes of fewer patients are left out."""
    dialect: TableDialect = field(default_factory=TableDialect)
