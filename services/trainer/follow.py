"""What a run reports, folded into its fact: at most twice a second, so that watchers keep up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from exchangeai.bus import Facts
from exchangeai.facts import Epoch, RunFact, RunState
from services.trainer.failures import DIED, KILLED
from services.trainer.report import (
    Activity,
    Alive,
    EpochDone,
    Exporting,
    Failed,
    Finished,
    Interrupted,
    Killed,
    RateFound,
    Report,
    Resumed,
    StepDone,
    Stopped,
)

WRITE_EVERY_S = 0.5


class Follower:
    """Holds what one attempt has reported."""

    def __init__(self, facts: Facts[RunFact], run: RunFact, now_s: Callable[[], float]) -> None:
        self._facts = facts
        self._run_id = run.run_id
        self._max_epochs = run.options.max_epochs
        self._now_s = now_s
        self._epochs: tuple[Epoch, ...] = run.epochs
        self._best_epoch = run.best_epoch
        self._share = run.progress
        self._activity = "Starting"
        self._origin: tuple[float, float] | None = None
        self._written_s = 0.0
        self._advanced = False
        self._search = run.rate_search
        self.state = RunState.PREPARING
        """How far the attempt has come, of the states in which it is worked at."""
        self.failed: str | None = None
        """Why the ranks gave up, when they said so."""
        self.ended_by = DIED
        """What is known of an end that they did not choose."""
        self.stopped = False
        """Whether they saved and ended because they were asked to."""

    async def hear(self, report: Report) -> None:
        """Take in one report and, when it is time, write the fact."""
        match report:
            case Activity():
                self._activity = report.text
            case Resumed():
                self._epochs, self._best_epoch = report.epochs, report.best_epoch
                self._share = min(1.0, len(report.epochs) / self._max_epochs)
                self._origin = (self._now_s(), self._share)
                self.state = RunState.RUNNING
            case StepDone():
                self._share = (report.epoch - 1 + report.step / report.steps) / self._max_epochs
                self._activity = f"Training epoch {report.epoch} of at most {self._max_epochs}"
            case EpochDone():
                self._advanced = True
                self._epochs = (*self._epochs, report.epoch)
                self._best_epoch = report.best_epoch
                self._share = report.epoch.epoch / self._max_epochs
            case RateFound():
                self._search = report.search
            case Alive():
                return
            case Exporting():
                self.state, self._activity = RunState.EXPORTING, "Exporting the model"
            case Stopped():
                self.stopped = True
            case Failed():
                self.failed = report.reason
            case Interrupted():
                self.ended_by = report.reason
            case Killed():
                self.ended_by = KILLED
            case Finished():
                self._share = 1.0
        if not isinstance(report, StepDone) or self._now_s() - self._written_s >= WRITE_EVERY_S:
            await self.write()

    async def write(self) -> None:
        """Write what is known; a run that is being cancelled keeps saying so."""
        self._written_s = self._now_s()

        def edit(run: RunFact) -> RunFact:
            running = run.state.working
            state = self.state if running else run.state
            return replace(
                run,
                state=state,
                updated_at=run.updated_at if state is run.state else self._now_s(),
                epochs=self._epochs,
                best_epoch=self._best_epoch,
                rate_search=self._search,
                starts=0 if self._advanced else run.starts,
                progress=self._share,
                eta_s=self._eta_s() if running else 0.0,
                activity=self._activity if running else run.activity,
            )

        await self._facts.change(self._run_id, edit)

    def _eta_s(self) -> float:
        if self._origin is None or self._share <= self._origin[1]:
            return 0.0
        since_s, share = self._origin
        return (self._now_s() - since_s) / (self._share - share) * (1.0 - self._share)
