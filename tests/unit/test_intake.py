"""What callers may have open: counts, times and memory, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from exchangeai.errors import InvalidArgument, Overloaded
from exchangeai.rpc.intake import Intake, rss_bytes

MIB = 1 << 20


def _intake(calls: int = 4, read_s: float = 5, idle_s: float = 5, memory: list[int] | None = None) -> Intake:
    held = memory if memory is not None else [0]
    return Intake(
        max_calls=calls, read_s=read_s, idle_s=idle_s, max_message_bytes=MIB, rss_bytes=lambda: held[0]
    )


async def _never() -> AsyncIterator[int]:
    await asyncio.sleep(60)
    yield 1


async def _numbers(count: int) -> AsyncIterator[int]:
    for i in range(count):
        yield i


def test_calls_are_bounded_and_streams_have_half() -> None:
    intake = _intake(calls=4)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(intake.call(stream=True))
        with pytest.raises(Overloaded, match="2 streams"), intake.call(stream=True):
            pass
        for _ in range(2):
            stack.enter_context(intake.call())
        with pytest.raises(Overloaded, match="4 calls"), intake.call():
            pass
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(intake.call())


def test_a_call_that_would_wait_in_vain_is_refused_before_its_message_and_streams_are_not_counted() -> None:
    intake = _intake(calls=8)

    def in_vain(calls: int, left_s: float) -> bool:
        return 0.1 * calls > 0.75 * left_s

    with ExitStack() as stack:
        stack.enter_context(intake.call(stream=True))
        for _ in range(4):
            stack.enter_context(intake.call(left_s=0.5, in_vain=in_vain))
        with pytest.raises(Overloaded, match="turn"), intake.call(left_s=0.5, in_vain=in_vain):
            pass
        stack.enter_context(intake.call(left_s=1.0, in_vain=in_vain))
        stack.enter_context(intake.call(left_s=0.1))


async def test_one_message_is_read_and_none_is_refused() -> None:
    assert await _intake().message(_numbers(3)) == 0
    with pytest.raises(InvalidArgument, match="without its message"):
        await _intake().message(_numbers(0))
    assert [x async for x in _intake().messages(_numbers(3))] == [0, 1, 2]


async def test_a_message_that_does_not_come_ends_its_call() -> None:
    with pytest.raises(Overloaded, match=r"0\.05 s"):
        await _intake(read_s=0.05).message(_never())
    with pytest.raises(Overloaded, match=r"0\.05 s"):
        await anext(aiter(_intake(idle_s=0.05).messages(_never())))


async def test_who_waits_for_messages_while_memory_grows_is_let_go() -> None:
    memory = [100 * MIB]
    intake = _intake(read_s=30, memory=memory)
    waiting = [asyncio.ensure_future(intake.message(_never())) for _ in range(3)]
    await asyncio.sleep(0.12)
    memory[0] += 60 * MIB  # within what the rest of the process may take
    await asyncio.sleep(0.12)
    assert not any(x.done() for x in waiting)
    memory[0] += 60 * MIB
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert {type(x) for x in found} == {Overloaded}
    assert await intake.message(_numbers(1)) == 0


def test_memory_is_told() -> None:
    assert rss_bytes() >= 0
