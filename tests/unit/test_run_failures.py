"""What a machine or a data set lacks makes a run fail with a plain reason, and it leaves no result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.dataset import PARTS, Part, WindowArray
from exchangeai.errors import ContractViolation
from exchangeai.facts import Task, TrainingOptions
from exchangeai.testing.datasets import CLASSES, write_dataset
from services.trainer.failures import KILLED, NO_MEMORY, NO_ROOM, plain_reason
from services.trainer.job import CHECKPOINT_FILE, MODEL_FILE, RESULT_FILE, Job, write_job
from services.trainer.launchers import End, Launch
from services.trainer.launchers.local import LocalLauncher
from services.trainer.report import EpochDone, Exporting, Failed, Killed, Report
from services.trainer.run_log import read
from services.trainer.soundness import require_sound

pytestmark = pytest.mark.timeout(200)

DATASET_ID = "cd" * 32
OPTIONS = TrainingOptions(max_epochs=3, patience=3, batch_size=8)


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """A run that would end well in a few seconds."""
    return launch_with(tmp_path, 32, OPTIONS)


def launch_with(place: Path, windows: int, options: TrainingOptions) -> Launch:
    write_dataset(place / "data", DATASET_ID, counts=(windows, 16, 16))
    folder = place / "run"
    folder.mkdir()
    write_job(
        folder,
        Job(
            run_id="run",
            model_name="tiny",
            dataset_id=DATASET_ID,
            data_folder=place / "data",
            architecture="tiny_cnn",
            task=Task.MULTI_LABEL,
            classes=CLASSES,
            options=options,
        ),
    )
    return Launch(run_id="run", attempt=1, folder=folder, processes=1)


async def reports_of(
    launch: Launch, wanted: End, act: Callable[[int], None] = lambda rank: None
) -> list[Report]:
    """What a run that ends as wanted tells; `act` gets its rank's process id after each epoch."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGEAI_")}
    reports: list[Report] = []

    async def tell(report: Report) -> None:
        reports.append(report)
        if isinstance(report, EpochDone):
            for rank in ranks_of(launch.folder):
                act(rank)

    launcher = LocalLauncher(environment, cores=1, grace_s=20)
    end = await launcher.run(launch, tell, asyncio.Event(), asyncio.Event())
    assert end is wanted, read(launch.folder).decode()
    assert not (launch.folder / RESULT_FILE).exists()
    return reports


def ranks_of(folder: Path) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            if str(folder).encode() in command and b"torchrun" not in command:
                found.append(int(entry.name))
    return found


def reason(reports: list[Report]) -> str:
    (failed,) = [r for r in reports if isinstance(r, Failed)]
    return failed.reason


@pytest.mark.slow
async def test_memory_runs_out(tmp_path: Path) -> None:
    limit = resource.RLIM_INFINITY

    def starve(rank: int) -> None:
        nonlocal limit
        with contextlib.suppress(OSError):
            used = int(Path(f"/proc/{rank}/statm").read_text().split()[0]) * resource.getpagesize()
            wanted = used + (32 << 20)  # for threads; a batch has 61 MB
            limit = wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)
            resource.prlimit(rank, resource.RLIMIT_AS, (limit, limit))

    launch = launch_with(tmp_path, 256, replace(OPTIONS, batch_size=256, max_epochs=100, patience=100))
    assert reason(await reports_of(launch, End.GAVE_UP, starve)) == NO_MEMORY


@pytest.mark.slow
async def test_a_rank_is_killed(launch: Launch) -> None:
    def kill(rank: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rank, signal.SIGKILL)

    reports = await reports_of(launch, End.DIED, kill)
    assert isinstance(reports[-1], Killed)
    assert "smaller batch" in KILLED


@pytest.mark.slow
@pytest.mark.parametrize("file", [f"{CHECKPOINT_FILE}.new", MODEL_FILE])
async def test_the_disk_is_full(launch: Launch, file: str) -> None:
    (launch.folder / file).symlink_to("/dev/full")
    reports = await reports_of(launch, End.GAVE_UP)
    assert reason(reports) == NO_ROOM
    assert any(isinstance(r, Exporting) for r in reports) == (file == MODEL_FILE)


def test_causes_are_found_behind_other_errors() -> None:
    def wrapped(cause: BaseException) -> BaseException:
        error = RuntimeError("something failed")
        error.__cause__ = cause
        return error

    assert plain_reason(wrapped(OSError(28, "No space left on device"))) == NO_ROOM
    assert plain_reason(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")) == NO_MEMORY
    assert plain_reason(MemoryError()) == NO_MEMORY
    assert plain_reason(wrapped(ValueError("a defect"))) is None


def parts_with(labels: Mapping[str, Any], patients: Mapping[str, list[str]]) -> dict[str, Part]:
    made: dict[str, Part] = {}
    for name in PARTS:
        count = len(patients[name])
        made[name] = Part(
            values=WindowArray([np.zeros((count, 12, 5000), np.int16)]),
            uv_per_lsb=np.ones(count, np.float32),
            valid_samples=np.full(count, 5000, np.int32),
            labels=np.array(labels[name]),
            recording_ids=[f"{name}-{i}" for i in range(count)],
            patient_keys=patients[name],
            sex=[None] * count,
            age_years=[None] * count,
            device_model=[None] * count,
        )
    return made


LABELS: dict[str, Any] = {"train": [[1], [0]], "validation": [[1], [0]], "test": [[1], [0]]}
PATIENTS = {"train": ["a", "b"], "validation": ["c", "d"], "test": ["e", "f"]}


def test_leaks_are_named_by_key() -> None:
    sound = parts_with(LABELS, PATIENTS)
    require_sound(sound, Task.MULTI_LABEL, 1)
    leaky = parts_with(LABELS, {"train": ["a", "b"], "validation": ["b", "d"], "test": ["a", "d"]})
    with pytest.raises(ContractViolation, match="3 patients are in more than one part") as told:
        require_sound(leaky, Task.MULTI_LABEL, 1)
    assert "(a in train and test; b in train and validation)" in str(told.value)
    leaky = parts_with(LABELS, PATIENTS | {"test": ["a", "f"]})
    with pytest.raises(ContractViolation, match=r"1 patient is .* \(a in train and test\)"):
        require_sound(leaky, Task.MULTI_LABEL, 1)
    twice = sound | {"test": replace(sound["test"], recording_ids=["train-0", "x"])}
    with pytest.raises(ContractViolation, match="1 recording is in more than one part"):
        require_sound(twice, Task.MULTI_LABEL, 1)


@pytest.mark.parametrize("labels", [[[1], [1]], [[0], [0]]])
def test_validation_needs_two_classes(labels: list[list[int]]) -> None:
    with pytest.raises(ContractViolation, match="validation part has one class only"):
        require_sound(parts_with(LABELS | {"validation": labels}, PATIENTS), Task.MULTI_LABEL, 1)
    empty = parts_with(LABELS | {"validation": [[np.nan], [np.nan]]}, PATIENTS)
    with pytest.raises(ContractViolation, match="no target has a value"):
        require_sound(empty, Task.REGRESSION, 1)
