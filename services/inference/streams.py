"""Streams of requests: several at work at once, answers in the order of the requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def in_order(
    requests: AsyncIterator[A], answer: Callable[[A], Awaitable[B]], most: int
) -> AsyncIterator[B]:
    """Answers in the order of their requests, at most `most` at work.

    A request that is not asked for waits with its sender, so a stream takes no more memory than that. Ends
    what is at work when it is closed.
    """
    at_work: deque[asyncio.Task[B]] = deque()
    source = aiter(requests)
    coming: asyncio.Task[A] | None = asyncio.ensure_future(_next(source))
    try:
        while coming is not None or at_work:
            room = len(at_work) < most
            waited_for: list[asyncio.Task[Any]] = [at_work[0]] if at_work else []
            if coming is not None and room:
                waited_for.append(coming)
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if coming is not None and room and coming.done():
                try:
                    request = coming.result()
                except StopAsyncIteration:
                    coming = None
                else:
                    at_work.append(asyncio.ensure_future(_awaited(answer(request))))
                    coming = asyncio.ensure_future(_next(source))
            while at_work and at_work[0].done():
                yield at_work.popleft().result()
    finally:
        for task in (*at_work, *([coming] if coming is not None else [])):
            task.cancel()


async def _next(source: AsyncIterator[A]) -> A:
    return await anext(source)


async def _awaited(given: Awaitable[B]) -> B:
    return await given
