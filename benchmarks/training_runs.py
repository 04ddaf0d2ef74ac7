"""Real training runs on the labelled ECGs that come with the repository, for benchmarks of the trainer."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from demo.records import CLASSES, PACKED
from exchangeai import __version__
from exchangeai.dataset import MANIFEST_FILE, DatasetManifest, decode_manifest
from exchangeai.facts import DatasetFact, DatasetState, PartSummary, Task, TrainingOptions
from models.ptbxl import build
from services.trainer.job import Job, Result, read_result, write_job
from services.trainer.launchers import End, Launch
from services.trainer.launchers.local import LocalLauncher
from services.trainer.report import EpochDone, RateFound, Report

PARTS_BY_FOLD = {8: "validation", 9: "test"}
"""As in the demo: all other folds train."""
GRACE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run took and left."""

    took_s: float
    """From the start of its processes to their end."""
    epochs_s: tuple[float, ...]
    rate: float
    """Learning rate at its peak."""
    result: Result


def demo_dataset(folder: Path) -> DatasetFact:
    """Make the windows of the packed part of PTB-XL, as the demo splits it."""
    build(PACKED, folder, name="demo", label="superclasses", classes=CLASSES, drop=True, parts=PARTS_BY_FOLD)
    manifest = manifest_of(folder)
    return DatasetFact(
        dataset_id=manifest.dataset_id,
        name=manifest.name,
        state=DatasetState.READY,
        task=manifest.task,
        classes=manifest.classes,
        parts=tuple(
            PartSummary(part=name, recordings=p.recordings, patients=p.patients, positives=p.positives)
            for name, p in manifest.parts.items()
        ),
    )


def manifest_of(folder: Path) -> DatasetManifest:
    """Of the data set in a folder."""
    return decode_manifest((folder / MANIFEST_FILE).read_bytes())


def train(dataset: Path, folder: Path, architecture: str, options: TrainingOptions, cores: int) -> Ended:
    """Train as the service does, in processes of its own. Raises RuntimeError when that fails."""
    manifest = manifest_of(dataset)
    folder.mkdir(parents=True)
    write_job(
        folder,
        Job(
            run_id=folder.name,
            model_name=folder.name,
            dataset_id=manifest.dataset_id,
            data_folder=dataset,
            architecture=architecture,
            task=Task.MULTI_LABEL,
            classes=manifest.classes,
            options=options,
            code_version=__version__,
        ),
    )
    return asyncio.run(_launched(folder, options, cores))


async def _launched(folder: Path, options: TrainingOptions, cores: int) -> Ended:
    reports: list[Report] = []

    async def tell(report: Report) -> None:
        reports.append(report)

    launcher = LocalLauncher(os.environ, cores=cores, grace_s=GRACE_S)
    launch = Launch(run_id=folder.name, attempt=1, folder=folder, processes=options.processes)
    begun_s = time.monotonic()
    end = await launcher.run(launch, tell, asyncio.Event(), asyncio.Event())
    took_s = time.monotonic() - begun_s
    result = read_result(folder)
    if end is not End.FINISHED or result is None:
        raise RuntimeError(f"the run {folder.name} has {end}; its log is in {folder}")
    found = [x.search.chosen for x in reports if isinstance(x, RateFound)]
    return Ended(
        took_s=took_s,
        epochs_s=tuple(x.epoch.seconds for x in reports if isinstance(x, EpochDone)),
        rate=found[-1] if found else options.learning_rate,
        result=result,
    )
