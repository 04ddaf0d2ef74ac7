"""What preprocessing makes of one recording, and how it is stored: windows, then measurements."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from exchangeai import recording as recordings
from exchangeai.errors import InvalidArgument
from exchangeai.measurements import Measurements, Quality
from exchangeai.signal import PREPROCESSING_VERSION, Windows, assess, measure, standardise
from exchangeai.signal import windows as windows_at_rest


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Measurements and quality of one recording, as stored beside its windows."""

    preprocessing_version: str
    windows: int
    quality: Quality
    measurements: Measurements


def windows_key(recording_id: str) -> str:
    """Object key of the windows."""
    return f"windows/{recording_id}.npz"


def analysis_key(recording_id: str) -> str:
    """Object key of measurements and quality; written after the windows."""
    return f"windows/{recording_id}.json"


def analyse(stored_recording: bytes) -> tuple[bytes, Analysis]:
    """Stored recording to stored windows and analysis; pure, takes some ms of one core for 10 s.

    Raises InvalidArgument when the recording cannot become the tensor contract.
    """
    recording = recordings.from_bytes(stored_recording)
    windows: Windows = standardise(recording)
    quality = assess(recording, windows)
    analysis = Analysis(
        preprocessing_version=PREPROCESSING_VERSION,
        windows=len(windows),
        quality=quality,
        measurements=measure(windows, quality),
    )
    return windows_at_rest.to_bytes(windows), analysis


def encode(analysis: Analysis) -> bytes:
    """JSON; equal analyses give equal bytes."""
    return msgspec.json.encode(analysis)


def decode(data: bytes) -> Analysis:
    """Read what `encode` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        return msgspec.json.decode(data, type=Analysis)
    except msgspec.MsgspecError as e:
        raise InvalidArgument("these bytes are not stored measurements") from e
