"""Writing a part shard by shard: cut off anywhere, it goes on and ends in the same bytes."""

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from exchangeai.dataset import ShardWriter
from exchangeai.errors import NotFound
from exchangeai.facts import Task
from exchangeai.signal import windows as windows_at_rest
from exchangeai.signal.windows import Windows
from exchangeai.store import ObjectStore
from services.preprocess import shards
from services.preprocess.request import RequestedRecording
from services.preprocess.shards import PartProgress, PartWriter, Placed

WINDOWS = (1, 3, 1, 7, 2, 1, 12, 1, 1, 4)
"""Of each recording; a shard of 5 rows ends within some of them."""


class FolderStore:
    """The verbs that a part writer uses, over a folder and windows in memory."""

    def __init__(self, folder: Path, gone: frozenset[int] = frozenset()) -> None:
        folder.mkdir()
        self.folder = folder
        self.gone = gone

    async def get(self, key: str) -> bytes:
        number = int(key.removeprefix("windows/r").removesuffix(".npz"))
        if number in self.gone:
            raise NotFound("deleted")
        count = WINDOWS[number]
        values = np.random.default_rng(number).integers(-999, 999, (count, 12, 5000)).astype(np.int16)
        valid = np.full(count, 5000, np.int32)
        return windows_at_rest.to_bytes(Windows(values=values, uv_per_lsb=1.0, valid_samples=valid))

    async def put_file(self, key: str, path: Path) -> None:
        (self.folder / key.replace("/", "_")).write_bytes(path.read_bytes())

    def digests(self) -> dict[str, str]:
        return {x.name: hashlib.sha256(x.read_bytes()).hexdigest() for x in self.folder.iterdir()}


class CutOff(Exception):
    """Stands for the end of the process."""


async def write(
    store: FolderStore, work: Path, begin: PartProgress, *, cut_off_after: int = -1
) -> list[PartProgress]:
    work.mkdir()
    told: list[PartProgress] = []

    async def shipped(now: PartProgress) -> None:
        told.append(now)
        if len(now.shards) == cut_off_after:
            raise CutOff

    typed = cast("ObjectStore", store)
    writer = PartWriter(typed, work, "d", "train", 2, Task.MULTI_LABEL, begin, shipped)
    places = [
        Placed(
            index=i,
            recording=RequestedRecording(
                row=i, recording_id=f"r{i}", patient_key=f"p{i}", part="train", labels=(i % 2,)
            ),
            skip=begin.skip if i == begin.next_index else 0,
        )
        for i in range(begin.next_index, len(WINDOWS))
    ]
    try:
        for at in range(0, len(places), 2):
            await writer.add(await writer.load(places[at : at + 2]))
        await writer.finish()
    except CutOff:
        pass
    return told


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_SHARD_ROWS", 5)


@pytest.mark.parametrize("cut_off_after", [1, 2, 3, 5, 6])
async def test_a_build_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path, cut_off_after: int) -> None:
    whole, cut = FolderStore(tmp_path / "whole"), FolderStore(tmp_path / "cut")
    expected = await write(whole, tmp_path / "a", PartProgress())
    assert sum(x.rows for x in expected[-1].shards) == sum(WINDOWS)
    told = await write(cut, tmp_path / "b", PartProgress(), cut_off_after=cut_off_after)
    before = cut.digests()
    resumed = await write(cut, tmp_path / "c", told[-1])
    assert resumed[-1] == expected[-1]
    assert resumed[-1].finished
    assert cut.digests() == whole.digests()
    assert set(before) < set(cut.digests())


async def test_windows_that_are_gone_are_told(tmp_path: Path) -> None:
    told = await write(FolderStore(tmp_path / "s", frozenset({3, 9})), tmp_path / "a", PartProgress())
    assert told[-1].gone == ("r3", "r9")
    assert sum(x.rows for x in told[-1].shards) == sum(WINDOWS) - 7 - 4


async def test_numeric_targets_become_float32_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(ShardWriter, "add", lambda self, row: written.append(row.label))  # type: ignore[misc]

    async def shipped(_now: PartProgress) -> None:
        return

    store = cast("ObjectStore", FolderStore(tmp_path / "s"))
    writer = PartWriter(store, tmp_path, "d", "train", 2, Task.REGRESSION, PartProgress(), shipped)
    recording = RequestedRecording(
        row=1, recording_id="r0", patient_key="p", part="train", values=(1.5, None)
    )
    await writer.add(await writer.load([Placed(index=0, recording=recording)]))
    assert written[0].dtype == np.float32
    np.testing.assert_array_equal(written[0], np.array([1.5, np.nan], np.float32))
