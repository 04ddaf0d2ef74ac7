"""In which order an epoch sees the windows: random, but never so that a cold disk must jump about.

Sets larger than memory cannot be read window by window at random: on the disks that we measured that falls
to a tenth of a sequential read. So the shards are drawn into groups, one group is shuffled as a whole, and
the next is read ahead, in sequence, meanwhile. Shards hold recordings in the order of their digests, so a
group is a random sample of the set; one that fits into a single group is shuffled as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SHARDS_AT_ONCE = 8
"""8,192 windows, 1 GB: with the group that is read ahead, what a loader asks of memory."""


def epoch_groups(
    shard_rows: Sequence[int], seed: int, epoch: int, shards_at_once: int = SHARDS_AT_ONCE
) -> list[npt.NDArray[np.int64]]:
    """The rows of each group in the order to use them; together every row once.

    Equal arguments give equal orders. `shard_rows` are the lengths of the shards in the order of the part.
    """
    random = np.random.default_rng((seed, epoch))
    if len(shard_rows) <= shards_at_once:
        return [random.permutation(sum(shard_rows))] if shard_rows else []
    ends: list[int] = np.cumsum(shard_rows, dtype=np.int64).tolist()
    drawn = random.permutation(len(shard_rows))
    groups: list[npt.NDArray[np.int64]] = []
    for begin in range(0, len(drawn), shards_at_once):
        chosen: list[int] = np.sort(drawn[begin : begin + shards_at_once]).tolist()
        rows: npt.NDArray[np.int64] = np.concatenate(
            [np.arange(ends[x] - shard_rows[x], ends[x]) for x in chosen]
        )
        groups.append(random.permutation(rows))
    return groups


def epoch_order(
    shard_rows: Sequence[int], seed: int, epoch: int, shards_at_once: int = SHARDS_AT_ONCE
) -> npt.NDArray[np.int64]:
    """All rows of a part in the order of one epoch, int64 [N]: its groups one after another."""
    groups = epoch_groups(shard_rows, seed, epoch, shards_at_once)
    return np.concatenate([np.empty(0, np.int64), *groups])
