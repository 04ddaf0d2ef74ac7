"""The model card: what a person must know before using a model, as Markdown with YAML front matter.

The sections follow Mitchell et al. 2019, the front matter what model hubs read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from exchangeai.dataset import DatasetManifest
from exchangeai.facts import Task, TrainingOptions
from exchangeai.metrics import Estimate, TestReport
from exchangeai.model_file import LOSS_KEY, MEMBERS_KEY, Manifest, Scope

_TASKS = {
    Task.MULTI_LABEL: "multi-label classification",
    Task.SINGLE_LABEL: "single-label classification",
    Task.REGRESSION: "regression",
}


def card(
    model: Manifest,
    digest: str,
    data: DatasetManifest,
    options: TrainingOptions | None = None,
    images: Mapping[str, str] | None = None,
) -> str:
    """The card of a model that was trained on a data set and tested as its manifest says.

    `images` tells where the figures lie, by their names in `figures`.
    """
    test = model.test
    parts = [
        _front(model, digest, data),
        f"# {model.name}\n\n{model.intended_use} A {_TASKS[model.task]} model of twelve-lead ECGs "
        f"({model.architecture}).",
        _use(model),
        _learned(model, data, options),
    ]
    if test is not None:
        coverage = model.conformal.coverage if model.conformal else None
        parts += [*_judged(test, coverage, images or {})]
    parts.append(_limits(test))
    return "\n\n".join(parts) + "\n"


def sheet(name: str, digest: str, data: DatasetManifest, test: TestReport, images: Mapping[str, str]) -> str:
    """The report of a model on some data set, for people; see `card`."""
    head = f"# {name} on {data.name}\n\nModel `{digest[:12]}`, data set `{data.dataset_id[:12]}`."
    return "\n\n".join([head, *_judged(test, None, images), _limits(test)]) + "\n"


def _judged(test: TestReport, coverage: float | None, images: Mapping[str, str]) -> Iterator[str]:
    for section, shown in (
        (_measured(test), ("classes", "confusion")),
        (_groups(test), ("subgroups",)),
        (_trust(test, coverage), ("reliability",)),
    ):
        yield section
        yield from (f"![{name}]({images[name]})" for name in shown if name in images)


def _front(model: Manifest, digest: str, data: DatasetManifest) -> str:
    test = model.test
    lines = ["---", f"license: {json.dumps(model.licence or 'unknown')}", "library_name: onnx"]
    lines += ["tags:", "- ecg", "- onnx", f"- {model.architecture}"]
    lines += ["datasets:", f"- {json.dumps(data.name)}"]
    found = _headline(test)
    if test is not None and found:
        lines += ["model-index:", f"- name: {json.dumps(model.name)}", "  results:", "  - task:"]
        lines += [f"      type: {json.dumps(_TASKS[model.task])}", "    dataset:"]
        lines += [f"      name: {json.dumps(data.name)}", f"      split: {test.part}", "    metrics:"]
        for name, value in found:
            lines += [f"    - type: {name}", f"      value: {value.value:.4f}"]
    return "\n".join([*lines, f"digest: sha256:{digest}", "---"])


def _headline(test: TestReport | None) -> list[tuple[str, Estimate]]:
    if test is None:
        return []
    found = [
        ("macro_auroc", test.macro_auroc),
        ("macro_auprc", test.macro_auprc),
        ("macro_f1", test.macro_f1),
        ("error_over_spread", test.error),
    ]
    return [(name, value) for name, value in found if value.value is not None]


def _use(model: Manifest) -> str:
    names = ", ".join(f"`{x.name}`" for x in model.classes)
    what = "Predicts" if model.task is Task.REGRESSION else "Tells apart"
    return (
        f"## Intended use\n\n{what} {names}, of 10 s windows: twelve leads, millivolts, 500 Hz, as the "
        "file's manifest says. A recording whose signal cannot be analysed is to be refused before it comes "
        "here. No diagnosis, no triage and no treatment may rest on it." + _scope(model.scope)
    )


def _scope(scope: Scope | None) -> str:
    """What the inference service refuses, as far as the training data tell."""
    if scope is None:
        return ""
    low, high = scope.min_age_years, scope.max_age_years
    said = [f"people younger than {low} years"] if low is not None else []
    said += [f"people older than {high} years"] if high is not None else []
    said += [f"recordings without {', '.join(scope.leads)}"] if scope.leads else []
    if scope.max_missing_leads is not None:
        said.append(f"recordings with more than {scope.max_missing_leads} leads missing")
    said.append(f"recordings shorter than {scope.min_duration_s:g} s")
    return f" The inference service refuses what it has not learned from: {'; '.join(said)}."


def _learned(model: Manifest, data: DatasetManifest, options: TrainingOptions | None) -> str:
    training = model.training
    rows = [f"| {c.name} | {n:,} |" for c, n in zip(model.classes, training.positives, strict=False)]
    said = [
        f"## Training data\n\nData set `{data.name}` (`{training.dataset_id[:12]}`): {training.recordings:,} "
        f"recordings of {training.patients:,} patients; no patient is in two parts.",
        _table(("class" if model.task is not Task.REGRESSION else "target", "recordings"), rows),
    ]
    loss = model.extra.get(LOSS_KEY)
    if model.parent_digest and not loss:
        said.append(f"It began with the weights of the model `{model.parent_digest[:12]}`.")
    if members := model.extra.get(MEMBERS_KEY):
        names = ", ".join(f"`{x[:12]}`" for x in members.split())
        said.append(f"It is the mean of models that differ by their seed: {names}.")
    if loss:
        said.append(
            f"Its numbers are those of the model `{model.parent_digest[:12]}` rounded to eight bits, which "
            f"costs {loss} of macro-AUROC."
        )
    if options is not None:
        found = " (found by a search)" if options.find_learning_rate else ""
        said.append(
            f"At most {options.max_epochs} epochs of steps of {options.batch_size}, peak rate "
            f"{options.learning_rate:g}{found}, seed {options.seed}; the epoch was chosen on the validation "
            "part."
        )
    said.append(
        f"Preprocessing version {model.preprocessing_version}, code {model.code_version or 'unknown'}."
    )
    return "\n\n".join(said)


def _measured(test: TestReport) -> str:
    head = "## Evaluation\n\n"
    head += f"On {test.recordings:,} recordings of {test.patients:,} patients of the {test.part} part"
    if test.part == "validation":
        head += ", on which the epoch, the thresholds and the calibration were chosen: expect less on others"
    head += f". In brackets: 95 % intervals of {test.bootstrap_draws:,} bootstrap draws over patients. "
    if test.unlabelled:
        done = "left out" if test.unlabelled_dropped else "kept, as having none"
        head += f"{test.unlabelled:,} recordings with none of the classes were {done}."
    if test.targets:
        rows = [
            f"| {x.name} | {x.recordings:,} | {_told(x.mean_absolute_error)} | "
            f"{_told(x.root_mean_square_error)} | {_told(x.bias)} | {_told(x.r2)} |"
            for x in test.targets
        ]
        return (
            f"{head}\n\n{_table(('target', 'recordings', 'mean absolute error', 'RMSE', 'bias', 'R2'), rows)}"
        )
    macro = " | ".join(_told(x) for x in (test.macro_auroc, test.macro_auprc, test.macro_f1))
    rows = [f"| **macro** | | {macro} | | |"]
    rows += [
        f"| {x.name} | {x.positives:,} | {_told(x.auroc)} | {_told(x.auprc)} | {_told(x.f1)} | "
        f"{_told(x.sensitivity)} | {_told(x.specificity)} |"
        for x in test.classes
    ]
    columns = ("class", "positives", "AUROC", "AUPRC", "F1", "sensitivity", "specificity")
    return f"{head}\n\n{_table(columns, rows)}"


def _groups(test: TestReport) -> str:
    if not test.subgroups:
        return "## Subgroups\n\nNone was large enough, or sex and age were not told."
    what = "error over spread" if test.targets else "macro-AUROC"
    rows = [
        f"| {x.kind} | {x.name} | {x.recordings:,} | {x.patients:,} | {_told(x.score)} |"
        for x in test.subgroups
    ]
    return f"## Subgroups\n\n{_table(('by', 'group', 'recordings', 'patients', what), rows)}"


def _trust(test: TestReport, coverage: float | None) -> str:
    said = ["## Calibration\n"]
    if test.brier is not None and test.calibration_error is not None:
        said.append(
            f"Brier score {test.brier:.4f}, expected calibration error {test.calibration_error:.4f} (means "
            "over classes), with the temperature that was fitted on validation."
        )
    if test.coverage.value is not None:
        size = ""
        if test.set_size is not None:
            # In multi-label tasks it counts the classes between their two bounds.
            what = "of {:.2f} classes" if test.confusion else "leaving {:.2f} classes undecided"
            size = f", {what.format(test.set_size)} on average"
        said.append(
            f"Conformal sets{'' if coverage is None else f' that were to hold the truth in {coverage:.0%}'} "
            f"hold the truth in {test.coverage.value:.1%}{size}."
        )
    return "\n".join(said)


def _limits(test: TestReport | None) -> str:
    said = [
        "## Limits\n",
        "- What it learned from one source need not hold at another: test it on your own recordings first.",
        "- The reference labels have errors of their own; a number here cannot be better than they are.",
    ]
    if test is not None:
        rare = [x.name for x in test.classes if x.positives < 20]
        if rare:
            said.append(f"- Fewer than 20 positives stand behind the numbers of {', '.join(rare)}.")
    return "\n".join(said)


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join(_lines(columns, rows))


def _lines(columns: Sequence[str], rows: Sequence[str]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    yield from rows


def _told(x: Estimate) -> str:
    if x.value is None:
        return "—"
    return f"{x.value:.3f}" if x.low is None else f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"
