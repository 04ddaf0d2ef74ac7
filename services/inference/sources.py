"""Where the ECG of a request comes from: a stored recording, files read in the sandbox, or a tensor."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from exchangeai.bus import Bus
from exchangeai.errors import InvalidArgument, NotFound, NotReady
from exchangeai.facts import PreprocessedFact, RecordingFact
from exchangeai.formats import ReadOptions, ReadResult
from exchangeai.leads import STANDARD_12
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.model_file import Scope
from exchangeai.recording import Lead, Recording
from exchangeai.signal import PREPROCESSING_VERSION, assess, standardise
from exchangeai.signal import windows as stored_windows
from exchangeai.signal.windows import SAMPLING_RATE_HZ
from exchangeai.store import ObjectStore
from services.inference.gate import Admission, Ecg, admit

_T = TypeVar("_T")
Read = Callable[[Mapping[str, bytes], ReadOptions], Awaitable[list[ReadResult]]]
"""Reads untrusted files in a child process."""


class Sources:
    """Turns what a request names or carries into an `Ecg`. Numerics run on `threads`."""

    def __init__(self, bus: Bus, store: ObjectStore, read: Read, threads: Executor) -> None:
        self._recordings = bus.facts(RecordingFact)
        self._preprocessed = bus.facts(PreprocessedFact)
        self._store = store
        self._read = read
        self._threads = threads

    async def recording(self, recording_id: str) -> Ecg:
        """A recording that was ingested here.

        Raises NotFound (unknown), NotReady (still being preprocessed) or InvalidArgument (it could not be
        read or made into the tensor contract; the message says why).
        """
        preprocessed, known = await asyncio.gather(
            self._preprocessed.get(recording_id), self._recordings.get(recording_id)
        )
        if preprocessed is None:
            if known is None:
                raise NotFound("there is no recording with this id; upload it first, or send its files")
            if not known.value.readable:
                raise InvalidArgument(f"this recording could not be read: {known.value.error_message}")
            raise NotReady("the recording is still being preprocessed; ask again in a few seconds")
        fact = preprocessed.value
        if fact.error is not None or fact.quality is None:
            raise InvalidArgument(
                f"this recording cannot be predicted on: {fact.error or 'it has no windows'}"
            )
        data = await self._store.get(f"windows/{recording_id}.npz")
        windows = await self._off_loop(lambda: stored_windows.from_bytes(data))
        return Ecg(
            values_mv=windows.millivolts(),
            valid_samples=windows.valid_samples,
            quality=fact.quality,
            input_digest=recording_id,
            preprocessing_version=fact.preprocessing_version,
            age_years=known.value.patient.age_years if known is not None else None,
            recording_id=recording_id,
        )

    async def files(self, files: Mapping[str, bytes], options: ReadOptions) -> Ecg:
        """The files of one ECG; nothing is stored. Raises subclasses of UnreadableFile."""
        results = await self._read(files, options)
        if len(results) != 1:
            raise InvalidArgument(f"the files hold {len(results)} recordings; send one at a time")
        return await self._off_loop(lambda: _from_recording(results[0].recording))

    async def tensor(self, values_mv: npt.NDArray[np.float32], valid_samples: npt.NDArray[np.int32]) -> Ecg:
        """A checked tensor [n, 12, 5000] of consecutive windows; its digest is that of its bytes."""
        return await self._off_loop(lambda: _from_tensor(values_mv, valid_samples))

    async def judge_each(
        self, values_mv: npt.NDArray[np.float32], digest: str, scope: Scope | None
    ) -> list[tuple[Quality, Admission]]:
        """The quality of each window [n, 12, 5000], taken as an ECG of its own, and what the gate says.

        `digest` is that of all of them.
        """
        return await self._off_loop(
            lambda: [_judged(values_mv[i : i + 1], digest, scope) for i in range(len(values_mv))]
        )

    async def _off_loop(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def tensor_digest(values_mv: npt.NDArray[np.float32]) -> str:
    """SHA-256, hex, of the tensor's little-endian float32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(values_mv, "<f4").data).hexdigest()


def assess_tensor(values_mv: npt.NDArray[np.float32], valid_samples: npt.NDArray[np.int32]) -> Quality:
    """Judge consecutive windows as if they were a recording of twelve leads at 500 Hz."""
    parts = [window[:, :n] for window, n in zip(values_mv, valid_samples, strict=True)]
    signal_LT = np.concatenate(parts, axis=1)
    if signal_LT.shape[1] == 0:
        return Quality(
            verdict=Verdict.NOT_ANALYSABLE,
            reasons=("no sample of the tensor is marked as signal",),
            leads=tuple(LeadQuality(lead=name, flags=("missing",)) for name in STANDARD_12),
        )
    leads = tuple(
        Lead(name=name, samples=row, sampling_rate_hz=SAMPLING_RATE_HZ)
        for name, row in zip(STANDARD_12, signal_LT, strict=True)
    )
    recording = Recording(format="tensor", leads=leads)
    # Nothing is missing or derived in a tensor, which is all that `assess` takes from windows.
    empty = stored_windows.Windows(
        values=np.empty((0, len(STANDARD_12), 0), np.int16), uv_per_lsb=1.0, valid_samples=valid_samples
    )
    return assess(recording, empty)


def _judged(
    values_mv: npt.NDArray[np.float32], digest: str, scope: Scope | None
) -> tuple[Quality, Admission]:
    # Nobody says how much of the window is signal; zeros in all leads up to its end are not.
    signal = np.flatnonzero(values_mv.any(axis=(0, 1)))
    ecg = Ecg(
        values_mv=values_mv,
        valid_samples=np.array([signal[-1] + 1 if signal.size else 0], np.int32),
        quality=assess_tensor(values_mv, np.array([values_mv.shape[2]], np.int32)),
        input_digest=digest,
        preprocessing_version=PREPROCESSING_VERSION,
    )
    return ecg.quality, admit(scope, ecg)


def _from_recording(recording: Recording) -> Ecg:
    windows = standardise(recording)
    return Ecg(
        values_mv=windows.millivolts(),
        valid_samples=windows.valid_samples,
        quality=assess(recording, windows),
        input_digest=recording.source_digest,
        preprocessing_version=PREPROCESSING_VERSION,
        age_years=recording.patient.age_years,
    )


def _from_tensor(values_mv: npt.NDArray[np.float32], valid_samples: npt.NDArray[np.int32]) -> Ecg:
    return Ecg(
        values_mv=values_mv,
        valid_samples=valid_samples,
        quality=assess_tensor(values_mv, valid_samples),
        input_digest=tensor_digest(values_mv),
        preprocessing_version=PREPROCESSING_VERSION,
    )
