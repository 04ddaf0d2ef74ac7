"""Batches of an epoch from shards: shuffled, as float32 millivolts, with the next shards read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exchangeai.dataset.order import SHARDS_AT_ONCE, epoch_groups
from exchangeai.dataset.part import Part
from exchangeai.dataset.shards import WINDOW_SHAPE

_PIECE_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some windows of a part."""

    rows: npt.NDArray[np.int64]
    """int64 [n]: where they are in the part, so `part.labels[rows]` are their labels."""
    millivolts: npt.NDArray[np.float32]
    """float32 [n, 12, 5000]; only until the next batch is asked for, which uses the same memory."""


def read_epoch(
    part: Part, batch_size: int, *, seed: int, epoch: int, shards_at_once: int = SHARDS_AT_ONCE
) -> Iterator[Batch]:
    """Every window once, in the order of `epoch_order`; the last batch may be smaller.

    While a group of shards is used, a thread reads the next group from beginning to end, so that its
    windows are in memory when their turn comes. Close the iterator, or exhaust it, to end the thread.
    """
    groups = epoch_groups([x.rows for x in part.files], seed, epoch, shards_at_once)
    out = np.empty((batch_size, *WINDOW_SHAPE), np.float32)
    ends = threading.Event()
    left = np.empty(0, np.int64)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as ahead:
        try:
            ready = _warm(ahead, part, groups[:1], ends)
            for i, group in enumerate(groups):
                ready.result()
                ready = _warm(ahead, part, groups[i + 1 : i + 2], ends)
                rows = np.concatenate([left, group])
                whole = len(rows) if i + 1 == len(groups) else len(rows) // batch_size * batch_size
                for begin in range(0, whole, batch_size):
                    chosen = rows[begin : min(begin + batch_size, whole)]
                    yield Batch(rows=chosen, millivolts=part.millivolts(chosen, out))
                left = rows[whole:]
        finally:
            ends.set()


def _warm(
    ahead: ThreadPoolExecutor, part: Part, groups: Sequence[npt.NDArray[np.int64]], ends: threading.Event
) -> Future[None]:
    wanted = [x for group in groups for x in part.files if _holds(group, x.first, x.first + x.rows)]
    return ahead.submit(_read_through, [x.path for x in wanted], ends)


def _holds(rows: npt.NDArray[np.int64], first: int, end: int) -> bool:
    return bool(((rows >= first) & (rows < end)).any())


def _read_through(paths: Sequence[Path], ends: threading.Event) -> None:
    """Have the system hold these files in its cache; the bytes themselves are not kept."""
    piece = bytearray(_PIECE_BYTES)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while not ends.is_set() and file.readinto(piece):
                pass
