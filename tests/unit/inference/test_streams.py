"""Streams: the order of the answers, the bound of what is at work, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.inference.streams import in_order


async def numbers(count: int) -> AsyncIterator[int]:
    for i in range(count):
        yield i


async def test_answers_keep_the_order_and_no_more_are_at_work_than_may_be() -> None:
    at_work, most = 0, 0

    async def answer(x: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.01 * (1 + x % 3))
        at_work -= 1
        return 10 * x

    assert [x async for x in in_order(numbers(50), answer, 4)] == [10 * i for i in range(50)]
    assert most == 4
    assert [x async for x in in_order(numbers(0), answer, 4)] == []


async def test_an_answer_is_not_held_back_by_a_request_that_does_not_come() -> None:
    async def slowly() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(30)

    async def answer(x: int) -> int:
        return x

    stream = in_order(slowly(), answer, 4)
    assert await asyncio.wait_for(anext(stream), 5) == 1
    await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_failure_ends_the_stream_and_what_is_at_work() -> None:
    ended: list[int] = []

    async def answer(x: int) -> int:
        if x == 1:
            await asyncio.sleep(0.05)
            raise ValueError(x)
        try:
            await asyncio.sleep(0 if x == 0 else 30)
        except asyncio.CancelledError:
            ended.append(x)
            raise
        return x

    stream = in_order(numbers(4), answer, 4)
    assert await anext(stream) == 0
    with pytest.raises(ValueError, match="1"):
        await anext(stream)
    await asyncio.sleep(0.01)
    assert 2 in ended
