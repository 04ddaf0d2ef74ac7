"""Shadows: another version runs on what was answered, afterwards, and its answers are compared.

A shadow never delays or fails a call: it starts once the answer is out, only while the models have nothing
else to do, one at a time on a thread of its own; whatever comes meanwhile is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exchangeai.findings import Finding
from exchangeai.model_file import Manifest
from exchangeai.telemetry import SHADOW_DIFFERENCE, SHADOWS
from services.inference.loading import LoadedModel
from services.inference.predict import findings
from services.inference.registry import Registry

log = logging.getLogger(__name__)

AFTER_S = 0.01
"""By which the answer has left."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a shadow compares with what was answered, since this process began."""

    compared: int = 0
    differing: int = 0
    """Answers with a class decided otherwise."""
    max_difference: float = 0.0
    """Of a probability; of a number in regression."""
    dropped: int = 0
    failed: int = 0


class Shadows:
    """Runs the shadows of names that have one; a context manager is `close`d by its owner."""

    def __init__(self, registry: Registry, idle: Callable[[], bool]) -> None:
        self._registry = registry
        self._idle = idle
        self._thread = ThreadPoolExecutor(1, "shadow")
        self._task: asyncio.Task[None] | None = None
        self._agreements: dict[tuple[str, int, str], Agreement] = {}

    def offer(
        self,
        answered_by: LoadedModel,
        windows_mv: npt.NDArray[np.float32],
        answers: Callable[[], Sequence[Sequence[Finding]]],
    ) -> None:
        """Compare answers with those of the shadow, later; returns at once and never raises.

        `windows_mv` is float32 [n, 12, 5000]; `answers` gives the findings of each window
        or of all together.
        """
        shadow = self._registry.shadow(answered_by.fact.name)
        if shadow is None or shadow.fact.digest == answered_by.fact.digest:
            return
        if self._task is not None or not self._idle():
            self._count(shadow, "dropped")
            return
        self._task = asyncio.create_task(self._compare(shadow, windows_mv, answers()))

    def agreement(self, name: str) -> Agreement | None:
        """Of the shadow that the name has now; None without one that is loaded."""
        shadow = self._registry.shadow(name)
        return self._agreements.get(_key(shadow), Agreement()) if shadow is not None else None

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(cancel_futures=True)

    async def _compare(
        self,
        shadow: LoadedModel,
        windows_mv: npt.NDArray[np.float32],
        answers: Sequence[Sequence[Finding]],
    ) -> None:
        try:
            await asyncio.sleep(AFTER_S)
            probabilities: list[npt.NDArray[np.float32]] = []
            most = shadow.session.most_windows
            for begin in range(0, len(windows_mv), most):
                if not self._idle():
                    self._count(shadow, "dropped")
                    return
                batch = windows_mv[begin : begin + most]
                probabilities.append(
                    await asyncio.get_running_loop().run_in_executor(
                        self._thread, _probabilities, shadow, batch
                    )
                )
            found_NC = np.concatenate(probabilities).astype(np.float64)
            if len(answers) != len(found_NC):
                found_NC = found_NC.mean(axis=0, keepdims=True)
            for answer, row in zip(answers, found_NC, strict=True):
                self._judge(shadow, answer, findings(row, shadow.manifest), shadow.manifest)
        except Exception:
            log.exception("shadow failed", extra={"fields": {"model": shadow.fact.name}})
            self._count(shadow, "failed")
        finally:
            self._task = None

    def _judge(
        self, shadow: LoadedModel, answer: Sequence[Finding], found: Sequence[Finding], manifest: Manifest
    ) -> None:
        compared = compare(answer, found)
        if compared is None:
            self._count(shadow, "failed")
            return
        difference, differs = compared
        SHADOW_DIFFERENCE.labels(shadow.fact.name).observe(difference)
        before = self._agreements.get(_key(shadow), Agreement())
        self._agreements[_key(shadow)] = replace(
            before, max_difference=max(before.max_difference, difference)
        )
        self._count(shadow, "differing" if differs else "agreeing")

    def _count(self, shadow: LoadedModel, outcome: str) -> None:
        SHADOWS.labels(shadow.fact.name, str(shadow.fact.version), outcome).inc()
        before = self._agreements.get(_key(shadow), Agreement())
        judged = outcome in ("differing", "agreeing")
        self._agreements[_key(shadow)] = replace(
            before,
            compared=before.compared + judged,
            differing=before.differing + (outcome == "differing"),
            dropped=before.dropped + (outcome == "dropped"),
            failed=before.failed + (outcome == "failed"),
        )


def compare(answer: Sequence[Finding], found: Sequence[Finding]) -> tuple[float, bool] | None:
    """(greatest absolute difference, whether a class is decided otherwise) over classes that both have.

    None when they have none in common.
    """
    theirs = {x.name: x for x in found}
    both = [(x, theirs[x.name]) for x in answer if x.name in theirs]
    if not both:
        return None
    difference = max(abs(_number(a) - _number(b)) for a, b in both)
    return difference, any(a.present != b.present for a, b in both)


def _number(finding: Finding) -> float:
    return finding.probability if finding.value is None else finding.value


def _key(model: LoadedModel) -> tuple[str, int, str]:
    return model.fact.name, model.fact.version, model.fact.digest


def _probabilities(model: LoadedModel, windows_mv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return model.session.run(np.ascontiguousarray(windows_mv), ("probabilities",))["probabilities"]
