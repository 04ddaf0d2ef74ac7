"""Tries a vetted graph: same answers twice, alone and in any company, finite, of stated size, in time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.model_file import Manifest, absent_outputs, unpack_window
from services.inference.devices import Device, placement
from services.inference.sessions import Session

MAX_ANSWER_S = 5.0
"""For one window on one core; a model that is slower would hold up all others."""
_SUM_TOLERANCE = 1e-3

Outputs = dict[str, npt.NDArray[np.float32]]


def try_out(session: Session, manifest: Manifest, clock: Callable[[], float] = time.perf_counter) -> None:
    """Run the golden window alone, again, and beside others. Raises ContractViolation."""
    assert manifest.golden is not None
    window = unpack_window(manifest.golden.window)
    if not np.isfinite(window).all() or not np.ptp(window, axis=1).any():
        raise ContractViolation("the golden record is no ECG: its window is flat or not finite")
    batch = np.stack([window, window[::-1] * np.float32(0.5), np.roll(window, 777, axis=1)])
    begun_s = clock()
    alone = session.run(batch[:1])
    took_s = clock() - begun_s
    if took_s > MAX_ANSWER_S:
        begun_s = clock()
        session.run(batch[:1])
        took_s = min(took_s, clock() - begun_s)
    if took_s > MAX_ANSWER_S:
        raise ContractViolation(
            f"the model takes {took_s:.1f} s for one window on one core; at most {MAX_ANSWER_S:g} s may be"
        )
    _same(alone, session.run(batch[:1]), 0.0, "the model gives another answer to the same window again")
    together = session.run(batch)
    for at in range(len(batch)):
        single = alone if at == 0 else session.run(batch[at : at + 1])
        _same(
            single,
            {name: value[at : at + 1] for name, value in together.items()},
            placement(Device.CPU).tolerance * 10,
            "the model mixes the records of a batch, or its shapes depend on the signal",
        )
    for name, value in together.items():
        if not np.isfinite(value).all():
            raise ContractViolation(f"the model's output {name!r} is not finite on an ordinary ECG")
    _check_absent(together, manifest)
    _check_probabilities(together["probabilities"], manifest.task)


def _same(one: Outputs, other: Outputs, tolerance: float, complaint: str) -> None:
    for name, value in one.items():
        theirs = other[name]
        if value.shape != theirs.shape:
            raise ContractViolation(f"{complaint}: {name} is {list(value.shape)} and {list(theirs.shape)}")
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(value - theirs) / np.maximum(1.0, np.abs(value))
        # NaN is told later, by its own name.
        if value.size and float(np.nanmax(error, initial=0.0)) > tolerance:
            raise ContractViolation(f"{complaint}: {name} differ by {float(np.nanmax(error)):.3g}")


def _check_absent(outputs: Outputs, manifest: Manifest) -> None:
    """Empty outputs are those that the manifest says are, and nothing is made of them."""
    absent = absent_outputs(manifest)
    for name, value in outputs.items():
        if (value.size == 0) != (name in absent):
            raise ContractViolation(
                f"the model's output {name!r} is {list(value.shape)}, and its manifest says that it is "
                f"{'absent' if name in absent else 'there'}"
            )
    if "embedding" in absent and manifest.novelty is not None:
        raise ContractViolation("the model's manifest judges the unlike by an embedding that the model lacks")


def _check_probabilities(probabilities_BC: npt.NDArray[np.float32], task: Task) -> None:
    if task is Task.REGRESSION:
        return
    if probabilities_BC.min() < 0 or probabilities_BC.max() > 1:
        raise ContractViolation("the model's probabilities are not between 0 and 1")
    if task is Task.SINGLE_LABEL and np.abs(probabilities_BC.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        raise ContractViolation("the model's probabilities of a single-label task do not add up to 1")
