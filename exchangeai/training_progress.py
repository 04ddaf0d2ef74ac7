"""How training goes on, told to a terminal: one line redrawn, or a line now and then where none is."""

from __future__ import annotations

from typing import TextIO

from exchangeai.comparisons import ComparisonFact, ComparisonProgress
from exchangeai.durations import as_time
from exchangeai.facts import RunFact


class ProgressLine:
    """Writes to a terminal at each change; elsewhere when the words change, and at every tenth."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._shown = ""
        self._last: tuple[str, int] | None = None

    def show(self, words: str, share: float, eta_s: float, note: str = "") -> None:
        """Tell that so much is done, from 0 to 1; an unknown time to the end is 0."""
        left = f", about {as_time(eta_s)} left" if eta_s else ""
        text = f"{100 * share:3.0f} %{left}  {words}{'; ' if note else ''}{note}"
        if self._live:
            self._out.write("\r" + text.ljust(len(self._shown)))
            self._shown = text
        elif self._last != (words, int(10 * share)):
            self._last = (words, int(10 * share))
            self._out.write(text + "\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the line, so that what comes next has its own."""
        if self._live and self._shown:
            self._out.write("\n")
            self._out.flush()


def show_run(line: ProgressLine, run: RunFact) -> None:
    """A run in hand, with its best validation score so far."""
    words = run.activity or f"The run is {run.state}"
    # The number of the epoch would be a line each where lines are kept.
    words = "Training" if words.startswith("Training epoch") else words
    best = next((x for x in run.epochs if x.epoch == run.best_epoch), None)
    note = f"epoch {len(run.epochs) + 1} of at most {run.options.max_epochs}" if words == "Training" else ""
    if best is not None and best.validation_macro_auroc is not None:
        note += f", best validation macro-AUROC {best.validation_macro_auroc:.3f}"
    elif best is not None and best.validation_error is not None:
        note += f", least validation error {best.validation_error:.3f}"
    line.show(words, run.progress, run.eta_s, note.removeprefix(", "))


def show_comparison(line: ProgressLine, fact: ComparisonFact, progress: ComparisonProgress) -> None:
    """A comparison in hand, with its best validation score so far."""
    scored = [(x.validation_score, x.architecture) for x in progress.runs if x.validation_score is not None]
    note = ""
    if scored:
        best = min(scored) if fact.score_name == "error" else max(scored)
        note = f"best on validation so far {best[1]}, {best[0]:.3f}"
    line.show(progress.activity or f"The comparison is {fact.state}", progress.share, progress.eta_s, note)
