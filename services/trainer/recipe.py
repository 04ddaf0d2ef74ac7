"""Recipes: named runs, one TOML file each in `recipes/`, that anyone can repeat on the same data.

A recipe says which architecture learns what from which label table, and how. `[labels]` describes the table
that the data's publisher gives, in the words of the BuildDataset call (see docs/datasets.md); `[options]` are
training options, those that are absent have their defaults. What a file says and this program does not
know is an error.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import msgspec

from exchangeai.dataset import MANIFEST_FILE, decode_manifest
from exchangeai.errors import InvalidArgument, NotFound
from exchangeai.facts import AUGMENTATIONS, Task, TrainingOptions
from exchangeai.model_file import model_digest
from services.trainer.job import BASE_FILE, Job, write_job

FOLDER = Path(__file__).parent / "recipes"


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the publisher's label table becomes a data set."""

    table: str
    """Where the table is to be had, in words."""
    recording: str
    """Column that names the recording."""
    label: str = ""
    label_columns: tuple[str, ...] = ()
    label_separator: str = ";"
    patient: str = ""
    part: str = ""
    part_values: dict[str, str] = {}
    classes: tuple[str, ...] = ()
    """Empty for all that the table has."""
    unlabelled: str = "keep"
    """Recordings without any of the classes: `keep` as negatives of all, or `drop`."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    summary: str
    architecture: str
    task: Task
    labels: Labels
    base: str = ""
    licence: str = ""
    seeds: tuple[int, ...] = ()
    options: TrainingOptions = field(default_factory=TrainingOptions)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named run."""

    name: str
    summary: str
    architecture: str
    task: Task
    labels: Labels
    base: str
    """The recipe whose model's weights it starts from; empty when from scratch."""
    licence: str
    """Of the model that comes out; what the data asks for is part of it."""
    options: TrainingOptions
    seeds: tuple[int, ...] = ()
    """Of the runs whose models are joined into one (`services.trainer.ensemble`); empty for a single run."""


def names() -> tuple[str, ...]:
    """Every recipe, sorted."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml")))


def load(name: str) -> Recipe:
    """Read a recipe. Raises NotFound, InvalidArgument (what is wrong in the file)."""
    if name not in names():
        raise NotFound(f"there is no recipe {name!r}; there are {', '.join(names())}")
    try:
        told = tomllib.loads((FOLDER / f"{name}.toml").read_text())
        read = msgspec.convert(told, _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as e:
        raise InvalidArgument(f"the recipe {name} is malformed: {e}") from e
    # Stored facts may have options that came later, so the class itself passes over what it does not know.
    if unknown := set(told.get("options", ())) - {x.name for x in fields(TrainingOptions)}:
        raise InvalidArgument(f"the recipe {name} has options that do not exist: {sorted(unknown)}")
    if unknown := set(read.options.augmentations) - set(AUGMENTATIONS):
        raise InvalidArgument(f"the recipe {name} names augmentations that do not exist: {sorted(unknown)}")
    if read.labels.unlabelled not in ("keep", "drop"):
        raise InvalidArgument(f"the recipe {name} must say `keep` or `drop` for unlabelled recordings")
    if read.base and read.base not in names():
        raise InvalidArgument(f"the recipe {name} starts from {read.base}, which is no recipe")
    return Recipe(
        name=name,
        summary=read.summary,
        architecture=read.architecture,
        task=read.task,
        labels=read.labels,
        base=read.base,
        licence=read.licence,
        options=read.options,
        seeds=read.seeds,
    )


def seeded(recipe: Recipe, seed: int | None) -> Recipe:
    """One run of a recipe's several, the first unless told. Raises InvalidArgument for an unknown seed."""
    if seed is None and recipe.seeds:
        seed = recipe.seeds[0]
    if seed is None or seed not in recipe.seeds:
        known = ", ".join(map(str, recipe.seeds)) or "none"
        raise InvalidArgument(f"the recipe {recipe.name} has no seed {seed}; its seeds: {known}")
    return replace(recipe, options=replace(recipe.options, seed=seed))


def prepare(recipe: Recipe, dataset: Path, out: Path, base: Path | None, code_version: str) -> None:
    """Write the job of a recipe on the data set in a folder (manifest.json and shards) into `out`.

    Raises InvalidArgument when the data set is none for the recipe or a base model is missing.
    """
    try:
        manifest = decode_manifest((dataset / MANIFEST_FILE).read_bytes())
    except FileNotFoundError as e:
        raise InvalidArgument(f"the folder of the data set has no {MANIFEST_FILE}") from e
    if manifest.task is not recipe.task:
        raise InvalidArgument(f"the recipe is for {recipe.task}, the data set is {manifest.task}")
    if recipe.labels.classes and set(manifest.classes) != set(recipe.labels.classes):
        raise InvalidArgument("the data set has other classes than the recipe")
    if recipe.base and base is None:
        raise InvalidArgument(f"the recipe starts from the model of {recipe.base}; name its file")
    digest = ""
    out.mkdir(parents=True, exist_ok=True)
    if base is not None:
        data = base.read_bytes()
        digest = model_digest(data)
        (out / BASE_FILE).write_bytes(data)
    write_job(
        out,
        Job(
            run_id=recipe.name,
            model_name=recipe.name,
            dataset_id=manifest.dataset_id,
            data_folder=dataset,
            architecture=recipe.architecture,
            task=recipe.task,
            classes=manifest.classes,
            options=recipe.options,
            base_digest=digest,
            code_version=code_version,
            licence=recipe.licence,
        ),
    )
