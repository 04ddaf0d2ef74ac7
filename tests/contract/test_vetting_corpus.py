"""Every crafted model file is refused with the reason, nothing of a pickle runs, and the vetter lives on."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.errors import ContractViolation, ExchangeaiError, ReaderCrashed
from exchangeai.sandbox import Sandbox
from exchangeai.testing.models import tiny_model
from services.inference.vetter import Vetter
from services.inference.vetting import TARGET, read_verdict, refusal, vet
from tests.contract.corpus_parts import Crafted
from tests.contract.model_corpus import corpus

CORPUS = {x.name: x for x in corpus()}
MEMORY_BYTES = 1 << 30
PATIENCE_S, LITTLE_S = 20.0, 2.0
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


async def _vetted(sandbox: Sandbox, crafted: Crafted) -> str:
    try:
        async with sandbox.session(timeout_s=LITTLE_S if crafted.kills else PATIENCE_S) as session:
            await session.call(crafted.data)
    except ReaderCrashed as e:
        return str(refusal(e))
    except ExchangeaiError as e:
        return str(e)
    return "accepted"


@pytest.fixture(scope="module")
def reasons() -> dict[str, str]:
    """What one vetter says of all of them, one after the other, and of a good one after each that kills."""

    async def vet_all() -> dict[str, str]:
        sandbox = Sandbox(TARGET, timeout_s=PATIENCE_S, memory_bytes=MEMORY_BYTES)
        good = tiny_model(name="good")
        found: dict[str, str] = {}
        try:
            for name, crafted in CORPUS.items():
                found[name] = await _vetted(sandbox, crafted)
                if crafted.kills:
                    assert read_verdict(await sandbox.call(good)).name == "good"
            assert read_verdict(await sandbox.call(good)).name == "good"
        finally:
            await sandbox.close()
        return found

    return asyncio.run(vet_all())


@pytest.mark.parametrize("name", CORPUS)
def test_a_crafted_file_is_refused_with_its_reason(reasons: dict[str, str], name: str) -> None:
    assert re.search(CORPUS[name].says, reasons[name]), reasons[name]
    assert len(reasons[name]) < 400


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 80


class _Creates:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path, by_shell: bool) -> None:
        self.path, self.by_shell = path, by_shell

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (os.system, (f"touch {self.path}",)) if self.by_shell else (open, (self.path, "w"))


def _pickles(planted: Path) -> Iterator[tuple[str, bytes]]:
    for protocol in PROTOCOLS:
        yield f"open_{protocol}", pickle.dumps(_Creates(planted, False), protocol)
    for protocol in (0, 2, 5):
        yield f"system_{protocol}", pickle.dumps({"state_dict": [_Creates(planted, True)]}, protocol)
    payload = pickle.dumps(_Creates(planted, True))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", b"3\n")
    yield "torch_checkpoint", zipped.getvalue()
    array = io.BytesIO()
    np.save(array, np.array([_Creates(planted, False)], object), allow_pickle=True)
    yield "npy_of_objects", array.getvalue()
    yield "gzipped", gzip.compress(payload)
    yield "pickle_before_a_model", payload + tiny_model()
    # A field of ONNX that may hold anything, here the producer's name.
    yield "pickle_in_a_field", b"\x12" + bytes([len(payload)]) + payload


def test_pickles_are_refused_and_never_loaded(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    found = dict(_pickles(planted))
    assert len(found) >= 10
    for name, data in found.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
        with pytest.raises(ContractViolation, match="not an ONNX model"):
            # In this process, which might create the file, unlike the sandbox.
            vet(data)
        assert not planted.exists(), name
    # The payload is one: loaded, it does what was feared.
    pickle.loads(found["open_5"]).close()
    assert planted.exists()


def test_memory_beyond_the_limit_kills_no_service() -> None:
    """Weights that unpack to more than the vetter may use."""

    async def starve() -> None:
        sandbox = Sandbox(TARGET, timeout_s=PATIENCE_S, memory_bytes=64 << 20)
        try:
            with pytest.raises(ExchangeaiError):
                await sandbox.call(CORPUS["metadata_bomb"].data * 6)
            assert read_verdict(await sandbox.call(tiny_model())).name == "tiny"
        finally:
            await sandbox.close()

    asyncio.run(starve())


def test_each_file_is_vetted_in_a_process_of_its_own() -> None:
    """What takes over the process that vets it cannot say "accepted" of the next file."""

    async def pids() -> list[bytes]:
        vetter = Vetter("exchangeai.testing.sandbox_targets:act")
        try:
            return [await vetter.vet(b"nap") for _ in range(2)]
        finally:
            await vetter.close()

    assert len(set(asyncio.run(pids()))) == 2
