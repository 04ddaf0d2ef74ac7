"""Batches of an epoch from shards: shuffled, as float32 millivolts, with the next shards read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.dataset.order import SHARDS_AT_ONCE, epoch_groups
from exchangeai.dataset.part import Part
from exchangeai.dataset.shards import WINDOW_SHAPE

_ASKED_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some windows of a part."""

    rows: npt.NDArray[np.int64]
    """int64 [n]: where they are in the part, so `part.labels[rows]` are their labels."""
    millivolts: npt.NDArray[np.float32]
    """float32 [n, 12, 5000]; only until the next batch is asked for, which uses the same memory."""


def read_epoch(
    part: Part,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shards_at_once: int = SHARDS_AT_ONCE,
    out: npt.NDArray[np.float32] | None = None,
    threads: int = 1,
) -> Iterator[Batch]:
    """Every window once, in the order of `epoch_order`; the last batch may be smaller.

    While a group of shards is used, a thread asks the system to read the next group, window after window
    in the order of the files, so that it is in memory when its turn comes; what is there already costs next
    to nothing. Close the iterator, or exhaust it, to end the thread. `out`, float32 [batch_size, 12, 5000],
    holds the batches, so that every epoch can use the same memory. `threads` share the conversion of a
    batch: from a fast disk that is not in memory yet, one core converts less than the disk delivers.
    """
    groups = epoch_groups([x.rows for x in part.files], seed, epoch, shards_at_once)
    held = np.empty((batch_size, *WINDOW_SHAPE), np.float32) if out is None else out
    ends = threading.Event()
    left = np.empty(0, np.int64)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as ahead,
        ThreadPoolExecutor(threads, thread_name_prefix="convert") as converters,
    ):
        try:
            asked = ahead.submit(_ask, part, groups[0] if groups else left, ends)
            for i, group in enumerate(groups):
                asked.result()
                last = i + 1 == len(groups)
                asked = ahead.submit(_ask, part, left if last else groups[i + 1], ends)
                rows = np.concatenate([left, group])
                whole = len(rows) if last else len(rows) // batch_size * batch_size
                for begin in range(0, whole, batch_size):
                    chosen = rows[begin : min(begin + batch_size, whole)]
                    yield Batch(rows=chosen, millivolts=_converted(part, chosen, held, threads, converters))
                left = rows[whole:]
        finally:
            ends.set()


def _converted(
    part: Part,
    rows: npt.NDArray[np.int64],
    held: npt.NDArray[np.float32],
    threads: int,
    converters: ThreadPoolExecutor,
) -> npt.NDArray[np.float32]:
    if threads == 1:
        return part.millivolts(rows, held)
    share = -(-len(rows) // threads)
    begins = range(0, len(rows), share)
    waiting = [converters.submit(part.millivolts, rows[x : x + share], held[x : x + share]) for x in begins]
    for x in waiting:
        x.result()
    return held[: len(rows)]


def _ask(part: Part, group: npt.NDArray[np.int64], ends: threading.Event) -> None:
    rows = np.sort(group)
    for begin in range(0, len(rows), _ASKED_AT_ONCE):
        if ends.is_set():
            return
        part.will_need(rows[begin : begin + _ASKED_AT_ONCE])
