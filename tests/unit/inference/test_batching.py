"""The queue before the models: batches of what waits, turns, bounds, deadlines, callers that give up."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import ContractViolation, Overloaded, Unavailable
from exchangeai.facts import ModelFact, ModelState
from services.inference.batching import LATE, NICENESS, Batcher
from services.inference.loading import LoadedModel

MAX_BATCH = 4
Windows = npt.NDArray[np.float32]
NEVER = float("inf")


@dataclass
class Gate:
    """Stands for a session: tells what it was given, and answers when it is let."""

    open: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[float]] = field(default_factory=list[list[float]])
    wide: list[bool] = field(default_factory=list[bool])
    error: Exception | None = None
    niceness: list[int] = field(default_factory=list[int])
    window_s: float = math.inf
    most_windows: int = MAX_BATCH

    def run(self, windows: Windows, outputs: Sequence[str], *, wide: bool) -> dict[str, Windows]:
        self.batches.append([float(x) for x in windows[:, 0, 0]])
        self.wide.append(wide)
        self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        self.begun.release()
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return dict.fromkeys(outputs, windows[:, 0, :1] * 2)


def model(gate: Gate, digest: str = "m") -> LoadedModel:
    fact = ModelFact(name="m", version=1, digest=digest, state=ModelState.APPROVED, origin="here")
    return LoadedModel(fact=fact, manifest=cast(Any, None), session=cast(Any, gate))


def windows(*values: float) -> Windows:
    made = np.zeros((len(values), 12, 5000), np.float32)
    made[:, 0, 0] = values
    return made


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError


async def held(batcher: Batcher, gate: Gate) -> asyncio.Task[Any]:
    """A call that keeps the only thread busy."""
    first = asyncio.create_task(batcher.run(model(gate), windows(0), ("logits",), NEVER))
    await asyncio.to_thread(gate.begun.acquire)
    return first


async def test_one_call_alone_takes_all_cores_and_what_waits_meanwhile_is_joined() -> None:
    gate = Gate()
    with Batcher(1) as batcher:
        first = await held(batcher, gate)
        others = [
            asyncio.create_task(batcher.run(model(gate), windows(i), ("logits",), NEVER))
            for i in range(1, MAX_BATCH + 2)
        ]
        await asyncio.sleep(0.02)
        gate.open.set()
        assert [x["logits"].item() for x in await asyncio.gather(*others)] == [2, 4, 6, 8, 10]
        assert (await first)["logits"].item() == 0
    assert gate.batches == [[0], [1, 2, 3, 4], [5]]
    assert gate.wide == [True, False, True]


async def test_a_long_recording_is_cut_and_comes_back_in_order() -> None:
    gate = Gate()
    gate.open.set()
    with Batcher(2) as batcher:
        values = np.arange(3 * MAX_BATCH + 1, dtype=np.float32)
        found = await batcher.run(model(gate), windows(*values.tolist()), ("logits",), NEVER)
    np.testing.assert_array_equal(found["logits"][:, 0], 2 * values)
    assert max(len(x) for x in gate.batches) == MAX_BATCH


async def test_callers_take_turns() -> None:
    gate = Gate()
    with Batcher(1) as batcher:
        first = await held(batcher, gate)
        many = asyncio.create_task(batcher.run(model(gate), windows(*[1] * 40), ("logits",), NEVER, "many"))
        await asyncio.sleep(0)
        one = asyncio.create_task(batcher.run(model(gate), windows(7), ("logits",), NEVER, "one"))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, many, one)
    assert next(i for i, x in enumerate(gate.batches) if 7 in x) <= 2


async def test_other_models_and_other_outputs_never_share_a_batch() -> None:
    gate, other = Gate(), Gate()
    with Batcher(1) as batcher:
        first = await held(batcher, gate)
        calls = [
            batcher.run(model(gate), windows(1), ("logits",), NEVER, "a"),
            batcher.run(model(other, "n"), windows(2), ("logits",), NEVER, "b"),
            batcher.run(model(gate), windows(3), ("embedding",), NEVER, "c"),
            batcher.run(model(gate), windows(4), ("logits",), NEVER, "d"),
        ]
        tasks = [asyncio.create_task(x) for x in calls]
        await asyncio.sleep(0.02)
        gate.open.set()
        other.open.set()
        await asyncio.gather(first, *tasks)
    assert sorted(gate.batches) == [[0], [1, 4], [3]]
    assert other.batches == [[2]]


async def test_beyond_the_bound_it_is_refused_at_once_and_nothing_is_lost() -> None:
    gate = Gate()
    with Batcher(1, max_waiting=3) as batcher:
        first = await held(batcher, gate)
        waiting = asyncio.create_task(batcher.run(model(gate), windows(1, 2), ("logits",), NEVER))
        await asyncio.sleep(0.01)
        begun = time.monotonic()
        with pytest.raises(Overloaded, match="2 windows wait already, of at most 3"):
            await batcher.run(model(gate), windows(3, 4), ("logits",), NEVER)
        assert time.monotonic() - begun < 0.1
        gate.open.set()
        assert (await waiting)["logits"].tolist() == [[2], [4]]
        await first


async def test_what_would_be_late_is_refused_before_and_what_became_late_is_never_run() -> None:
    gate = Gate()
    now = [100.0]
    with Batcher(1, clock=lambda: now[0]) as batcher:
        first = await held(batcher, gate)
        late = asyncio.create_task(batcher.run(model(gate), windows(1), ("logits",), 101.0))
        await asyncio.sleep(0.01)
        now[0] = 102.0
        gate.open.set()
        await first
        with pytest.raises(Overloaded, match=LATE):
            await late
        assert [1.0] not in gate.batches
        # the first call took two seconds, so a second is known to be too little
        with pytest.raises(Overloaded, match=LATE):
            await batcher.run(model(gate), windows(2), ("logits",), 103.0)
        assert (await batcher.run(model(gate), windows(3), ("logits",), 110.0))["logits"].item() == 6


async def test_how_long_more_calls_would_wait_is_known_from_those_before() -> None:
    gate = Gate()
    with Batcher(2) as batcher:
        assert not batcher.in_vain(1_000_000, 1e-3)
        gate.open.set()
        for _ in range(50):
            await batcher.run(model(gate), windows(1), ("logits",), NEVER)
        assert batcher.in_vain(1_000_000, 1e-3)
        assert not batcher.in_vain(1_000_000, math.inf)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
async def test_while_calls_are_refused_models_give_way_and_nothing_is_left_lying() -> None:
    gate, now_s = Gate(), [0.0]
    gate.open.set()
    with Batcher(2, clock=lambda: now_s[0]) as batcher:

        async def many() -> None:
            calls = (batcher.run(model(gate), windows(i), ("logits",), NEVER) for i in range(40))
            await asyncio.wait_for(asyncio.gather(*calls), 10)

        usual = os.getpriority(os.PRIO_PROCESS, 0)
        for _ in range(3):
            gate.niceness.clear()
            await many()
            assert set(gate.niceness) == {usual}
            gate.niceness.clear()
            with pytest.raises(Overloaded):
                await batcher.run(model(gate), windows(1), ("logits",), now_s[0])
            await many()
            assert set(gate.niceness) == {max(NICENESS, usual)}
            now_s[0] += 10


async def test_a_caller_that_gives_up_leaves_the_queue() -> None:
    gate = Gate()
    with Batcher(1, max_waiting=4) as batcher:
        first = await held(batcher, gate)
        gone = asyncio.create_task(batcher.run(model(gate), windows(1, 1, 1), ("logits",), NEVER))
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await asyncio.wait_for(batcher_free(batcher, gate), 5)
        gate.open.set()
        await first
    assert all(1 not in x for x in gate.batches)


async def batcher_free(batcher: Batcher, gate: Gate) -> bool:
    """Whether the room of a caller that gave up can be had by another at once."""
    task = asyncio.create_task(batcher.run(model(gate), windows(2, 2, 2, 2), ("logits",), NEVER))
    await asyncio.sleep(0.02)
    done = not task.done()
    gate.open.set()
    await task
    return done


async def test_a_graph_that_fails_fails_its_callers_only() -> None:
    gate, good = Gate(error=ContractViolation("the model fails on a valid input")), Gate()
    gate.open.set()
    good.open.set()
    with Batcher(1) as batcher:
        with pytest.raises(ContractViolation, match="valid input"):
            await batcher.run(model(gate), windows(1), ("logits",), NEVER)
        assert (await batcher.run(model(good, "n"), windows(1), ("logits",), NEVER))["logits"].item() == 2


async def test_a_defect_in_a_thread_answers_and_leaves_the_others_working() -> None:
    gate, good = Gate(error=ValueError("a defect")), Gate()
    gate.open.set()
    good.open.set()
    with Batcher(1) as batcher:
        with pytest.raises(Unavailable):
            await batcher.run(model(gate), windows(1), ("logits",), NEVER)
        assert (await batcher.run(model(good, "n"), windows(1), ("logits",), NEVER))["logits"].item() == 2


async def test_closing_ends_what_runs_and_refuses_what_waits() -> None:
    gate = Gate()
    batcher = Batcher(1)
    first = await held(batcher, gate)
    waiting = asyncio.create_task(batcher.run(model(gate), windows(1), ("logits",), NEVER))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    with pytest.raises(Unavailable, match="shutting down"):
        await waiting
    gate.open.set()
    assert (await first)["logits"].item() == 0
    await closing
    with pytest.raises(Unavailable):
        await batcher.run(model(gate), windows(1), ("logits",), NEVER)


async def test_what_takes_less_than_a_thread_takes_to_begin_is_run_at_once() -> None:
    gate = Gate(window_s=1e-4)
    gate.open.set()
    clock = [0.0]
    with Batcher(1, clock=lambda: clock[0]) as batcher:
        found = await batcher.run(model(gate), windows(1, 2), ("logits",), 5.0)
        assert found["logits"][:, 0].tolist() == [2, 4]
        assert gate.wide == [False]
        clock[0] = 5.0
        with pytest.raises(Overloaded, match="deadline"):
            await batcher.run(model(gate), windows(1), ("logits",), 5.0)
    with pytest.raises(Unavailable):
        await batcher.run(model(gate), windows(1), ("logits",), 9.0)
    assert len(gate.batches) == 1
