"""What recordings, data sets, runs and models exist, and their state now.

Each class is one kind of fact; its key-value bucket is in `exchangeai.buckets`. Each bucket has one writer
(named in the class's docstring); everyone may read and watch. Every fact can be rebuilt from the objects.
Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from exchangeai.int8 import Int8Form
from exchangeai.join_report import JoinReport
from exchangeai.measurements import Quality
from exchangeai.metrics import TestReport
from exchangeai.recording import Patient


class Task(StrEnum):
    """What labels are."""

    MULTI_LABEL = "multi_label"
    SINGLE_LABEL = "single_label"
    REGRESSION = "regression"
    """Numbers, one or several for each recording."""


class Method(StrEnum):
    """What a run trains."""

    FULL = "full"
    """Every layer; from a base model, earlier layers at lower rates."""
    LINEAR_PROBE = "linear_probe"
    """Only a linear layer on the mean of a base model's features."""
    ATTENTION_HEAD = "attention_head"
    """Only an attention pool and a linear layer on a base model's features."""


class Precision(StrEnum):
    """What the training's arithmetic is done in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    """Matrix products and convolutions in bfloat16, where the device has it; weights stay float32."""


AUGMENTATIONS = ("gain", "lead_loss", "noise", "wander", "time_out")
"""What training may vary a window by; see `services.trainer.augment`."""


class DatasetState(StrEnum):
    """Where a data set stands."""

    QUEUED = "queued"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


class RunState(StrEnum):
    """Where a training run stands."""

    QUEUED = "queued"
    PREPARING = "preparing"
    """Its processes start and fetch the data set."""
    RUNNING = "running"
    """It trains or evaluates."""
    EXPORTING = "exporting"
    """The model file is made and published."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def working(self) -> bool:
        """A worker is at it, and nobody has asked it to stop."""
        return self in (RunState.PREPARING, RunState.RUNNING, RunState.EXPORTING)

    @property
    def ended(self) -> bool:
        """No further change comes by itself."""
        return self in (RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED)


class ModelState(StrEnum):
    """Whether a model may predict."""

    QUARANTINED = "quarantined"
    APPROVED = "approved"
    DEPRECATED = "deprecated"
    """Withdrawn by a person: nobody is answered by it until it is approved again."""


class SignatureVerdict(StrEnum):
    """What is known of the signature that came with a model's file."""

    UNSIGNED = "unsigned"
    TRUSTED = "trusted"
    """Signed by a key in the trust list."""
    UNKNOWN_KEY = "unknown_key"
    """Signed by a key that is not in the trust list, so nothing can be told."""


@dataclass(frozen=True, kw_only=True)
class LeadFact:
    """One lead as stored."""

    name: str
    sampling_rate_hz: float
    sample_count: int
    unit: str = "mV"
    derived: bool = False


@dataclass(frozen=True, kw_only=True)
class RecordingFact:
    """A recording, readable or not (written by ingest; key = recording id)."""

    recording_id: str
    format: str = ""
    leads: tuple[LeadFact, ...] = ()
    duration_s: float = 0.0
    patient: Patient = field(default_factory=Patient)
    acquisition_year: int | None = None
    device_model: str | None = None
    warnings: tuple[str, ...] = ()
    error_reason: str | None = None
    """Class name of the error when the file could not be read; then there are no leads."""
    error_message: str | None = None
    name_keys: tuple[str, ...] = ()
    """Keyed HMAC of each uploaded file's name, with and without suffix: joins label tables."""
    ingested_at: float = 0.0
    source_size_bytes: int = 0
    same_signal_as: str | None = None
    """Id of an earlier recording that shows the same ECG, from another file."""

    @property
    def readable(self) -> bool:
        """Whether signals are stored."""
        return self.error_reason is None


@dataclass(frozen=True, kw_only=True)
class SignalFact:
    """Who shows a signal (written by ingest; key = `exchangeai.recording.signal_digest`)."""

    recording_id: str
    """The first recording of it."""
    later: tuple[str, ...] = ()
    """Others, in the order in which they came."""


@dataclass(frozen=True, kw_only=True)
class DeletionFact:
    """What is left of an erased recording: that it was, and where it had been used (written by ingest; key =
    recording id). Nothing of the person or the signal."""

    recording_id: str
    deleted_at: float
    dataset_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    model_keys: tuple[str, ...] = ()
    """`name.version` of the models that were trained with it."""


@dataclass(frozen=True, kw_only=True)
class ResultFact:
    """That a model's answer on a recording is recorded (written once by inference, removed by ingest with its
    recording; keys of the fact and of the object with the answer: see `exchangeai.results`)."""

    recording_id: str
    model_name: str
    model_version: int
    model_digest: str
    preprocessing_version: str
    recorded_at: float


@dataclass(frozen=True, kw_only=True)
class PreprocessedFact:
    """A preprocessed recording (written by preprocess; key = recording id)."""

    recording_id: str
    preprocessing_version: str
    windows: int = 0
    quality: Quality | None = None
    error: str | None = None
    """Why it cannot be made into the tensor contract; then there are no windows."""


@dataclass(frozen=True, kw_only=True)
class PartSummary:
    """One part of a data set."""

    part: str
    """`train`, `validation` or `test`."""
    recordings: int
    patients: int
    positives: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DatasetFact:
    """A data set (written by preprocess; key = data set id)."""

    dataset_id: str
    name: str
    state: DatasetState
    task: Task
    classes: tuple[str, ...]
    parts: tuple[PartSummary, ...] = ()
    report: JoinReport = field(default_factory=JoinReport)
    progress: float = 0.0
    error: str | None = None
    created_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TestLook:
    """One look at a test part."""

    __test__ = False  # the name begins like a test; pytest must not collect it

    by: str
    """What looked: a run's id, or a model's digest."""
    at: float


@dataclass(frozen=True, kw_only=True)
class TestLooksFact:
    """Every look at the frozen test part of a data set (written by trainer; key = data set id).

    The more often a test part is looked at, the less its numbers say about new patients.
    """

    __test__ = False

    dataset_id: str
    looks: tuple[TestLook, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; every default filled in."""

    max_epochs: int = 15
    batch_size: int = 32
    """Windows a step, over all processes and accumulated parts."""
    learning_rate: float = 3e-3
    """At its peak, of the last layers."""
    patience: int = 5
    """Epochs without a better validation score until the run ends."""
    seed: int = 0
    processes: int = 1
    method: Method = Method.FULL
    layer_decay: float = 0.5
    """Each earlier stage of a base model learns at this share of the next one's rate; 1 for equal rates."""
    weight_decay: float = 0.05
    accumulate: int = 1
    """Parts that a process takes its share of a step in: memory falls, the result stays."""
    precision: Precision = Precision.FLOAT32
    compile: bool = False
    """Compile the network first; pays for large networks on a GPU."""
    average: float = 0.998
    """Decay a step of the moving average of the weights that is judged and kept; 0 for none."""
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Parameter of the Beta distribution from which shares are drawn (Zhang et al. 2018); 0 for none."""
    class_weights: bool = False
    """Weigh rare classes more."""
    gradient_clip: float = 1.0
    """Greatest norm of a step's gradient; 0 for no limit."""
    augmentations: tuple[str, ...] = ("gain", "lead_loss", "noise")
    """Of `AUGMENTATIONS`."""
    label_share: float = 1.0
    """Share of the training patients to learn from, chosen by the seed; validation and test stay whole."""
    find_learning_rate: bool = False
    """Begin with a search for the peak learning rate, which then takes the place of the stated one."""
    int8: bool = False
    """Make the model in numbers of eight bits as well; it is published beside the other if it is as good."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch, from 1."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_macro_auroc: float | None
    """None when no class has both positives and negatives, and in regression."""
    seconds: float
    validation_error: float | None = None
    """In regression: mean absolute error over the spread of each target, averaged over targets."""


@dataclass(frozen=True, kw_only=True)
class RateSearch:
    """A learning-rate range test: one step at each of rising rates; see `services.trainer.find_rate`."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Smoothed, one for each rate."""
    steepest: float | None
    """Where the loss fell most steeply; None when it never fell."""
    divergence: float | None
    """Where it diverged; None when it did not."""
    chosen: float
    """What the run trains with."""


@dataclass(frozen=True, kw_only=True)
class RunFact:
    """A training run (written by trainer; key = run id)."""

    run_id: str
    model_name: str
    dataset_id: str
    architecture: str
    state: RunState
    options: TrainingOptions
    base_model: str = ""
    attempt: int = 1
    starts: int = 0
    """Starts in a row of which none came to the end of an epoch or was asked to stop."""
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    progress: float = 0.0
    eta_s: float = 0.0
    activity: str = ""
    error: str | None = None
    test: TestReport | None = None
    model_digest: str | None = None
    model_version: int = 0
    comparison_id: str = ""
    """The comparison it is part of; empty for none."""
    inference_ms: float = 0.0
    """Median time for one window in ONNX Runtime on one thread; 0 when not measured."""
    code_version: str = ""
    """Version of the code that trains; empty until a worker has taken the run."""
    dataset_digest: str = ""
    """SHA-256 of the data set's manifest, which holds that of every shard; empty until a worker has it."""
    rate_search: RateSearch | None = None
    """How its learning rate was searched for; None when it was not, or not yet."""
    int8_form: Int8Form | None = None
    """What became of the form in eight bits; None when none was asked for, or not yet."""
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelFact:
    """A version of a model (written once by trainer or by inference's import; key = `name.version`
    with dots of the name kept; approval changes the state)."""

    name: str
    version: int
    digest: str
    state: ModelState
    origin: str
    """`here` or `import`."""
    created_at: float = 0.0
    signature: SignatureVerdict = SignatureVerdict.UNSIGNED
    signed_by: str = ""
    """Name of the trusted key; empty unless trusted."""


@dataclass(frozen=True, kw_only=True)
class ServingFact:
    """Which versions answer under a name (written by inference; key = name of the model).

    A name without one is answered by its newest approved version.
    """

    name: str
    champion: int = 0
    """Version that answers; 0 for the newest approved one."""
    previous: tuple[int, ...] = ()
    """Champions before it that one can go back to, the latest last."""
    canary: int = 0
    """Version that answers a share of the inputs; 0 for none."""
    canary_share: float = 0.0
    """From 0 to 1."""
    shadow: int = 0
    """Version that runs after the answer, to be compared; 0 for none."""
    changed_by: str = ""
    """Who made the last change, as the caller said."""
    changed_at: float = 0.0
