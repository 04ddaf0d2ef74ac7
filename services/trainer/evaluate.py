"""`python -m services.trainer.evaluate`: a model's report on a data set, without training.

The model is a file, or `NAME` or `NAME:VERSION` of the platform that the environment names (as for a
service: EXCHANGEAI_BUS_URL, EXCHANGEAI_STORE_URL); the data set is a folder with its manifest, or an id of
that platform. A model that does not describe itself needs `--foreign`, a TOML file (docs/evaluation.md).
Writes report.json, report.md and figures.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exchangeai.bus import Bus, open_bus
from exchangeai.config import BusConfig, StoreConfig, from_env
from exchangeai.dataset import MANIFEST_FILE, DatasetManifest, decode_manifest, download, open_part
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound
from exchangeai.facts import DatasetFact, ModelFact, Task, TestLooksFact
from exchangeai.metrics import TestReport
from exchangeai.model_file import model_digest, object_key, parse_model, read_manifest
from exchangeai.store import open_blocking_store
from exchangeai.test_looks import record_test_look
from services.trainer.evaluation import onnx_file
from services.trainer.evaluation.card import sheet
from services.trainer.evaluation.figures import figures
from services.trainer.evaluation.predictions import by_recording
from services.trainer.evaluation.report import Fixed, fix, report


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Where models and data sets lie that are not files."""

    bus: BusConfig
    store: StoreConfig


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, ready to run."""

    name: str
    task: Task
    classes: tuple[str, ...]
    run: onnx_file.Run
    fixed: Fixed | None
    """What its own validation had fixed; None for a foreign model."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, evaluate, write; exit status 0, or 2 with the reason."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    parser.add_argument("--model", required=True, help="FILE.onnx, NAME or NAME:VERSION")
    parser.add_argument("--dataset", required=True, help="folder with manifest.json, or a data set's id")
    parser.add_argument("--foreign", type=Path, help="TOML file that describes a model of others")
    parser.add_argument("--part", default="test", choices=("train", "validation", "test"))
    parser.add_argument(
        "--decide-anew",
        action="store_true",
        help="thresholds, temperature and conformal bounds from this data set's validation part",
    )
    parser.add_argument("--drop-unlabelled", action="store_true", help="leave out recordings of no class")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    options = parser.parse_args(arguments)
    try:
        told = asyncio.run(_evaluate(options))
    except ExchangeaiError as e:
        print(f"evaluate: {e}", file=sys.stderr)
        return 2
    print(told)
    return 0


async def _evaluate(options: argparse.Namespace) -> str:
    file, folder = Path(options.model), Path(options.dataset)
    with tempfile.TemporaryDirectory() as scratch:
        if file.is_file() and (folder / MANIFEST_FILE).is_file():
            manifest = decode_manifest((folder / MANIFEST_FILE).read_bytes())
            return _write(options, file.read_bytes(), manifest, folder, None)
        platform = from_env(Platform)
        store = open_blocking_store(platform.store)
        async with open_bus(platform.bus, "evaluate") as bus:
            if file.is_file():
                data = file.read_bytes()
            else:
                data = await asyncio.to_thread(store.get, object_key(await _digest(bus, options.model)))
            if (folder / MANIFEST_FILE).is_file():
                manifest = decode_manifest((folder / MANIFEST_FILE).read_bytes())
            else:
                if await bus.facts(DatasetFact).get(options.dataset) is None:
                    raise NotFound(f"there is no data set {options.dataset!r}, neither a folder nor an id")
                folder = Path(scratch)
                manifest = await asyncio.to_thread(download, store, options.dataset, folder)
            looks = None
            if options.part == "test":
                by = model_digest(data)
                looks = await record_test_look(bus.facts(TestLooksFact), manifest.dataset_id, by, time.time())
            return await asyncio.to_thread(_write, options, data, manifest, folder, looks)


async def _digest(bus: Bus, wanted: str) -> str:
    name, _, version = wanted.partition(":")
    newest: ModelFact | None = None
    for fact in (await bus.facts(ModelFact).all()).values():
        matches = fact.name == name and version in ("", str(fact.version))
        if matches and (newest is None or fact.version > newest.version):
            newest = fact
    if newest is None:
        raise NotFound(f"there is no model {wanted!r}, neither a file nor a name of the platform")
    return newest.digest


def _write(
    options: argparse.Namespace, data: bytes, manifest: DatasetManifest, folder: Path, looks: int | None
) -> str:
    subject = _subject(data, options.foreign, options.threads)
    told = evaluate(
        subject,
        manifest,
        folder,
        part=options.part,
        anew=options.decide_anew,
        drop_unlabelled=options.drop_unlabelled,
    )
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    drawn = figures(told)
    for name, svg in drawn.items():
        (out / f"{name}.svg").write_bytes(svg)
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    text = sheet(subject.name, model_digest(data), manifest, told, {x: f"{x}.svg" for x in drawn})
    (out / "report.md").write_text(text, encoding="utf-8")
    seen = "" if looks is None else f"; looks at this test part so far: {looks}"
    return f"{out}/report.md and report.json are written{seen}"


def _subject(data: bytes, description: Path | None, threads: int) -> Subject:
    if description is not None:
        said = onnx_file.read_foreign(description.read_text(encoding="utf-8"))
        run = onnx_file.foreign(data, said, threads)
        return Subject(name=said.name, task=said.task, classes=said.classes, run=run, fixed=None)
    known = read_manifest(parse_model(data))
    regression = known.task is Task.REGRESSION
    return Subject(
        name=known.name,
        task=known.task,
        classes=tuple(c.name for c in known.classes),
        run=onnx_file.own(data, threads),
        fixed=Fixed(
            thresholds=() if regression else tuple(c.threshold for c in known.classes),
            temperature=known.temperature,
            conformal=known.conformal,
        ),
    )


def evaluate(
    subject: Subject,
    manifest: DatasetManifest,
    folder: Path,
    *,
    part: str = "test",
    anew: bool = False,
    drop_unlabelled: bool = False,
) -> TestReport:
    """The report of a model on one part, over the classes that model and data set share by name.

    What a foreign model leaves open, or all with `anew`, is decided on the validation part. Raises
    InvalidArgument when the two do not fit.
    """
    if subject.task is not manifest.task:
        raise InvalidArgument(f"the model is {subject.task}, the data set is {manifest.task}")
    shared = [x for x in subject.classes if x in manifest.classes]
    if not shared:
        raise InvalidArgument(
            f"the model has the classes {', '.join(subject.classes)}, the data set "
            f"{', '.join(manifest.classes)}: none is shared by name"
        )
    if subject.task is Task.SINGLE_LABEL and set(subject.classes) != set(manifest.classes):
        raise InvalidArgument("of a single label, model and data set must have the same classes")
    mine = [subject.classes.index(x) for x in shared]
    theirs = [manifest.classes.index(x) for x in shared]
    fixed = subject.fixed
    if fixed is None or anew:
        if part == "validation":
            raise InvalidArgument("what is decided on the validation part cannot be judged on it")
        opened = open_part(folder, manifest, "validation")
        fixed = fix(onnx_file.predictions(subject.run, opened, mine, theirs), subject.task)
    else:
        fixed = fixed.of(mine)
    opened = open_part(folder, manifest, part)
    if not len(opened):
        raise InvalidArgument(f"the data set has no {part} part to evaluate on")
    scores = by_recording(
        onnx_file.predictions(subject.run, opened, mine, theirs), subject.task, fixed.temperature
    )
    return report(scores, shared, fixed, subject.task, part=part, drop_unlabelled=drop_unlabelled)


if __name__ == "__main__":
    sys.exit(main())
