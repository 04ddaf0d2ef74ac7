"""The commands `finetune`, `compare` and `runs`: ask the trainer, show how it goes on, tell what came out."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime

from exchangeai.comparisons import ComparisonFact, ComparisonRow, ComparisonState
from exchangeai.errors import ExchangeaiError, InvalidArgument, NotFound
from exchangeai.facts import RunFact, RunState, TrainingOptions
from exchangeai.int8 import Int8Form
from exchangeai.metrics import Estimate
from exchangeai.rpc.training import Training, open_training
from exchangeai.rpc.training_options import stated_options
from exchangeai.training_progress import ProgressLine, show_comparison, show_run

NOTICE = "Research use only, not a medical device."
FAILED, WRONG, LEFT = 1, 2, 130
_HEAD = (
    *("", "architecture", "validation", "95 % interval", "seeds ±", "to the best", "test", "95 % interval"),
    *("F1", "Brier", "ECE", "weights", "GFLOPs", "ms/ECG", "train s"),
)


def finetune(arguments: argparse.Namespace) -> int:
    """Queue a run and follow it; returns the exit status."""

    def act(training: Training) -> int:
        run = training.start_run(
            dataset_id=arguments.dataset,
            architecture=arguments.architecture,
            model_name=arguments.name,
            base_model=arguments.base,
            options=_options(arguments, _preset(training, arguments)),
            # The call may be repeated on its way without a second run.
            request_key=secrets.token_hex(16),
        )
        return _follow_run(training, run.run_id, arguments.to)

    return _asked(arguments, act)


def compare(arguments: argparse.Namespace) -> int:
    """Queue a comparison and follow it; returns the exit status."""

    def act(training: Training) -> int:
        comparison = training.start_comparison(
            dataset_id=arguments.dataset,
            name=arguments.name,
            architectures=arguments.architectures,
            seeds=arguments.seeds,
            label_shares=arguments.label_shares,
            options=_options(arguments),
            request_key=secrets.token_hex(16),
        )
        return _follow_comparison(training, comparison.comparison_id, arguments.to)

    return _asked(arguments, act)


def runs(arguments: argparse.Namespace) -> int:
    """List, follow, cancel or continue, or show a log; returns the exit status."""

    def act(training: Training) -> int:
        if arguments.action == "list":
            return _list(training)
        if not arguments.id:
            raise InvalidArgument("say which run or comparison; `exchangeai runs list` shows them")
        is_comparison = any(x.comparison_id == arguments.id for x in training.comparisons())
        match arguments.action, is_comparison:
            case "follow", True:
                return _follow_comparison(training, arguments.id, arguments.to)
            case "follow", False:
                return _follow_run(training, arguments.id, arguments.to)
            case "log", True:
                raise InvalidArgument("logs are those of runs; `exchangeai runs list` shows them")
            case "log", False:
                sys.stdout.write(training.run_log(arguments.id))
            case "cancel", True:
                print(f"the comparison is {training.cancel_comparison(arguments.id).state}")
            case "cancel", False:
                print(f"the run is {training.cancel_run(arguments.id).state}")
            case _, True:
                raise InvalidArgument("a comparison is continued by continuing its runs that failed")
            case _:
                print(f"the run is {training.resume_run(arguments.id).state}")
        return 0

    return _asked(arguments, act)


def _options(arguments: argparse.Namespace, preset: TrainingOptions | None = None) -> TrainingOptions:
    names = [x.name for x in fields(TrainingOptions)]
    return stated_options({name: getattr(arguments, name, None) for name in names}, preset)


def _preset(training: Training, arguments: argparse.Namespace) -> TrainingOptions | None:
    if not arguments.preset:
        return None
    presets = training.presets(
        dataset_id=arguments.dataset,
        architecture=arguments.architecture,
        from_base=bool(arguments.base),
    )
    if arguments.preset not in presets:
        raise NotFound(f"there is no preset {arguments.preset}; there are {', '.join(presets)}")
    return presets[arguments.preset]


def _asked(arguments: argparse.Namespace, act: Callable[[Training], int]) -> int:
    try:
        with open_training(arguments.to) as training:
            return act(training)
    except ExchangeaiError as e:
        print(f"exchangeai {arguments.command}: {e}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return LEFT


def _follow_run(training: Training, run_id: str, address: str) -> int:
    line, run = ProgressLine(sys.stderr), None
    try:
        for run in training.watch_run(run_id):
            show_run(line, run)
    except KeyboardInterrupt:
        line.end()
        _say_left("run", run_id, address)
        return LEFT
    line.end()
    if run is None:
        raise NotFound("the run is gone")
    return _tell_run(run)


def _tell_run(run: RunFact) -> int:
    if run.state is not RunState.SUCCEEDED:
        reason = f": {run.error}" if run.error else ""
        print(f"the run {run.run_id} is {run.state}{reason}", file=sys.stderr)
        return FAILED
    print(f"model   {run.model_name}:{run.model_version}")
    print(f"digest  {run.model_digest}")
    if (form := run.int8_form) is not None:
        print(f"int8    {_int8(form)}")
    if run.test is not None:
        named, score = "macro-AUROC", run.test.macro_auroc
        if run.test.targets:
            named, score = "error over spread", run.test.error
        print(
            f"{run.test.part:<7} {named} {_number(score.value)} ({_interval(score)}), "
            f"{run.test.recordings} recordings of {run.test.patients} patients"
        )
    print(NOTICE)
    return 0


def _int8(form: Int8Form) -> str:
    if not form.digest:
        return f"none: {form.reason}"
    return (
        f"{form.model_name}:{form.model_version}, "
        f"loses {_number(form.loss.value, 4)} ({_interval(form.loss, 4)}) of macro-AUROC, "
        f"{form.inference_ms:.1f} ms a window against {form.float32_ms:.1f} ms"
    )


def _follow_comparison(training: Training, comparison_id: str, address: str) -> int:
    line, told = ProgressLine(sys.stderr), None
    try:
        for told in training.watch_comparison(comparison_id):
            show_comparison(line, *told)
    except KeyboardInterrupt:
        line.end()
        _say_left("comparison", comparison_id, address)
        return LEFT
    line.end()
    if told is None:
        raise NotFound("the comparison is gone")
    return _tell_comparison(told[0])


def _tell_comparison(fact: ComparisonFact) -> int:
    if fact.state is not ComparisonState.SUCCEEDED:
        reason = f": {fact.error}" if fact.error else ""
        print(f"the comparison {fact.comparison_id} is {fact.state}{reason}", file=sys.stderr)
    if fact.rows:
        better = "less is better" if fact.score_name == "error" else "more is better"
        print(f"{fact.name}: {fact.score_name} ({better}), mean over {len(fact.seeds)} seeds, ranked on")
        print("validation alone; intervals over patients; = cannot be told from the best")
        _print_table([_HEAD, *(_cells(x) for x in fact.rows)])
        if len(fact.label_shares) > 1:
            print("\nscore on validation by share of the training patients")
            table = [["architecture", *(f"{100 * x:g} %" for x in fact.label_shares)]]
            for row in fact.rows:
                scores = (_number(x.validation.value) for x in row.label_efficiency)
                table.append([row.architecture, *scores])
            _print_table(table)
        print(NOTICE)
    return 0 if fact.state is ComparisonState.SUCCEEDED else FAILED


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    v, t = row.validation, row.test
    if v is None:
        return ("-", row.architecture, row.error)
    tested = (_number(t.score.value), _interval(t.score)) if t else ("-", "-")
    shown = t or v
    return (
        str(row.rank),
        row.architecture,
        _number(v.score.value),
        _interval(v.score),
        _number(v.seed_deviation),
        f"{_number(v.difference.value)}{' =' if v.indistinguishable else ''}",
        *tested,
        _number(shown.macro_f1),
        _number(shown.brier),
        _number(shown.calibration_error),
        f"{row.parameters:,}",
        f"{row.gflops:.3f}",
        f"{row.inference_ms:.1f}",
        f"{row.training_s:.0f}",
    )


def _list(training: Training) -> int:
    table: list[tuple[str, ...]] = [("id", "state", "done", "asked for", "what")]
    for x in training.comparisons():
        what = f"comparison {x.name}: {', '.join(x.architectures)}"
        table.append((x.comparison_id, x.state, "", _moment(x.created_at), what))
    for x in training.runs():
        what = f"{x.model_name}, {x.architecture}"
        table.append((x.run_id, x.state, f"{100 * x.progress:.0f} %", _moment(x.created_at), what))
    _print_table(table)
    return 0


def _say_left(noun: str, identity: str, address: str) -> None:
    to = f"{identity} --to {address}"
    print(f"The {noun} goes on without this command. Follow it again, or stop it:", file=sys.stderr)
    print(f"  exchangeai runs follow {to}\n  exchangeai runs cancel {to}", file=sys.stderr)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    wide = [max(len(x[i]) for x in rows if i < len(x)) for i in range(max(map(len, rows)))]
    for row in rows:
        print("  ".join(x.ljust(w) for x, w in zip(row, wide, strict=False)).rstrip())


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(estimate: Estimate, digits: int = 3) -> str:
    return f"{_number(estimate.low, digits)} to {_number(estimate.high, digits)}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
