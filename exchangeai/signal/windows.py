"""The tensor contract at rest: int16 windows [n, 12, 5000] at 500 Hz, and how signals are cut into them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidArgument
from exchangeai.leads import STANDARD_12

SAMPLING_RATE_HZ = 500.0
WINDOW_SAMPLES = 5000
"""10 s."""
MIN_TAIL_SAMPLES = 500
"""A last window with less than 1 s of signal is left out unless it is the only one."""
FINEST_UV_PER_LSB = 1.0
"""As fine as ECG recorders store; a step grows by whole µV only when a value is beyond ±32.767 mV."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Samples of one lead in one window that the file has no value for."""

    window: int
    lead: str
    samples: int
    """At 500 Hz: bridged by a straight line, or zero after the lead's end."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A recording as the tensor contract."""

    values: npt.NDArray[np.int16]
    """int16 [n, 12, 5000]; leads I II III aVR aVL aVF V1-V6; zero where a lead is missing and in padding."""
    uv_per_lsb: float
    """Microvolts per step, the same for all leads and windows; exact in float32."""
    valid_samples: npt.NDArray[np.int32]
    """int32 [n]: how many samples of each window are signal; the rest is zero padding at its end."""
    missing: tuple[str, ...] = ()
    """Leads that the recording does not have and that do not follow from others; their rows are zero."""
    derived: tuple[str, ...] = ()
    """Leads computed from I and II."""
    stride_samples: int = WINDOW_SAMPLES
    """From the beginning of one window to that of the next; below 5000 they overlap."""
    gaps: tuple[Gap, ...] = ()
    """In order of windows, then leads; leads that are missing have none."""

    def __len__(self) -> int:
        return len(self.values)

    def millivolts(self) -> npt.NDArray[np.float32]:
        """float32 [n, 12, 5000], mV: what every model takes."""
        return to_millivolts(self.values, self.uv_per_lsb)

    def millivolts_of(self, chosen: slice) -> npt.NDArray[np.float32]:
        """Some of the windows, float32 [m, 12, 5000], mV."""
        return to_millivolts(self.values[chosen], self.uv_per_lsb)

    def continuous_mv(self, *leads: str) -> npt.NDArray[np.float32]:
        """Leads over the whole recording, float32 [leads, samples], mV, without padding."""
        rows = [STANDARD_12.index(x) for x in leads]
        parts = [x[rows, : self.stride_samples] for x in self.values[:-1]]
        parts += [x[rows, :n] for x, n in zip(self.values[-1:], self.valid_samples[-1:], strict=True)]
        return to_millivolts(np.concatenate(parts, axis=-1), self.uv_per_lsb)


def to_millivolts(values: npt.NDArray[np.int16], uv_per_lsb: float) -> npt.NDArray[np.float32]:
    """Stored steps to float32 millivolts, same shape; the only place that knows the formula."""
    return values * np.float32(uv_per_lsb / 1000)


def cut(
    leads_mv: Mapping[str, npt.NDArray[np.floating]],
    derived: tuple[str, ...] = (),
    absent: Mapping[str, npt.NDArray[np.bool_]] = MappingProxyType({}),
    stride_samples: int = WINDOW_SAMPLES,
) -> Windows:
    """Quantise signals at 500 Hz and cut them into windows of 10 s.

    `leads_mv` maps standard names to finite samples in mV; a shorter lead is zero after its end. `absent`
    says, for leads with gaps, which samples of the longest lead's length they have no value for.
    Raises EmptyFile when there is no sample, InvalidArgument for a stride that is not within 1 and 5000.
    """
    if not 1 <= stride_samples <= WINDOW_SAMPLES:
        raise InvalidArgument(
            f"windows cannot begin every {stride_samples} samples; say 1 to {WINDOW_SAMPLES}"
        )
    length = max((x.size for x in leads_mv.values()), default=0)
    if length == 0:
        raise EmptyFile("the recording has no samples in any of the twelve standard leads")
    starts = _starts(length, stride_samples)
    values = np.zeros((len(starts), len(STANDARD_12), WINDOW_SAMPLES), np.int16)
    mv = np.empty(values.shape[1:], np.float32)
    uv_per_lsb = FINEST_UV_PER_LSB
    # Without holding the whole recording twice; the step is known when the largest value is.
    for start in starts:
        _take(leads_mv, start, mv)
        peak_uv = float(max(np.maximum.reduce(mv, axis=None), -np.minimum.reduce(mv, axis=None))) * 1000
        uv_per_lsb = max(uv_per_lsb, float(np.ceil(peak_uv / np.iinfo(np.int16).max)))
    for window, start in zip(values, starts, strict=True):
        if len(starts) > 1:
            _take(leads_mv, start, mv)
        mv *= np.float32(1000 / uv_per_lsb)
        window[:] = np.rint(mv, out=mv)
    return Windows(
        values=values,
        uv_per_lsb=uv_per_lsb,
        valid_samples=np.minimum(length - starts, WINDOW_SAMPLES).astype(np.int32),
        missing=tuple(name for name in STANDARD_12 if name not in leads_mv),
        derived=derived,
        stride_samples=stride_samples,
        gaps=_gaps(absent, starts),
    )


def _take(leads_mv: Mapping[str, npt.NDArray[np.floating]], start: int, out: npt.NDArray[np.float32]) -> None:
    """A window of the twelve leads, zero where there is nothing."""
    for row, name in zip(out, STANDARD_12, strict=True):
        part = leads_mv[name][start : start + row.size] if name in leads_mv else ()
        row[: len(part)] = part
        row[len(part) :] = 0


def _starts(length: int, stride_samples: int) -> npt.NDArray[np.int64]:
    """Of all windows that are full, and of one more for what they leave over, if that is worth it."""
    full = max(0, (length - WINDOW_SAMPLES) // stride_samples + 1)
    covered = (full - 1) * stride_samples + WINDOW_SAMPLES if full else 0
    more = full == 0 or length - covered >= MIN_TAIL_SAMPLES
    return np.arange(full + more, dtype=np.int64) * stride_samples


def _gaps(absent: Mapping[str, npt.NDArray[np.bool_]], starts: npt.NDArray[np.int64]) -> tuple[Gap, ...]:
    return tuple(
        Gap(window=i, lead=name, samples=count)
        for i, start in enumerate(starts)
        for name in STANDARD_12
        if name in absent and (count := int(np.count_nonzero(absent[name][start : start + WINDOW_SAMPLES])))
    )


class _Header(msgspec.Struct, frozen=True):
    version: int
    uv_per_lsb: float
    missing: tuple[str, ...]
    derived: tuple[str, ...]
    stride_samples: int
    gaps: tuple[Gap, ...]


_VERSION = 2


def to_bytes(windows: Windows) -> bytes:
    """Serialise as an uncompressed `.npz` without pickle; equal windows give equal bytes."""
    header = _Header(
        version=_VERSION,
        uv_per_lsb=windows.uv_per_lsb,
        missing=windows.missing,
        derived=windows.derived,
        stride_samples=windows.stride_samples,
        gaps=windows.gaps,
    )
    out = io.BytesIO()
    np.savez(
        out,
        header=np.frombuffer(msgspec.json.encode(header), np.uint8),
        values=windows.values.astype("<i2", copy=False),
        valid_samples=windows.valid_samples.astype("<i4", copy=False),
    )
    return out.getvalue()


def from_bytes(data: bytes) -> Windows:
    """Read what `to_bytes` wrote. Raises InvalidArgument when the bytes are something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
            values: npt.NDArray[np.int16] = arrays["values"]
            valid_samples: npt.NDArray[np.int32] = arrays["valid_samples"]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as e:
        raise InvalidArgument(f"these bytes are not stored windows ({type(e).__name__})") from e
    if header.version != _VERSION:
        raise InvalidArgument(f"windows version {header.version} is not one that this program reads")
    if values.dtype != np.int16 or values.shape[1:] != (
        len(STANDARD_12),
        WINDOW_SAMPLES,
    ):
        raise InvalidArgument(f"stored windows are {values.dtype} {values.shape}, not int16 [n, 12, 5000]")
    return Windows(
        values=values,
        uv_per_lsb=header.uv_per_lsb,
        valid_samples=valid_samples,
        missing=header.missing,
        derived=header.derived,
        stride_samples=header.stride_samples,
        gaps=header.gaps,
    )
