"""The tensor contract at rest: int16 windows [n, 12, 5000] at 500 Hz, and how signals are cut into them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

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

    def __len__(self) -> int:
        return len(self.values)

    def millivolts(self) -> npt.NDArray[np.float32]:
        """float32 [n, 12, 5000], mV: what every model takes."""
        return to_millivolts(self.values, self.uv_per_lsb)

    def millivolts_of(self, chosen: slice) -> npt.NDArray[np.float32]:
        """Some of the windows, float32 [m, 12, 5000], mV."""
        return to_millivolts(self.values[chosen], self.uv_per_lsb)

    def continuous_mv(self, lead: str) -> npt.NDArray[np.float32]:
        """One lead over the whole recording, float32 [samples], mV, without padding."""
        row = STANDARD_12.index(lead)
        rows = [self.values[i, row, :n] for i, n in enumerate(self.valid_samples)]
        return to_millivolts(np.concatenate(rows), self.uv_per_lsb)


def to_millivolts(values: npt.NDArray[np.int16], uv_per_lsb: float) -> npt.NDArray[np.float32]:
    """Stored steps to float32 millivolts, same shape; the only place that knows the formula."""
    return values * np.float32(uv_per_lsb / 1000)


def cut(leads_mv: Mapping[str, npt.NDArray[np.floating]], derived: tuple[str, ...] = ()) -> Windows:
    """Quantise signals at 500 Hz and cut them into windows of 10 s, one after another.

    `leads_mv` maps standard names to finite samples in mV; a shorter lead is zero after its end.
    Raises EmptyFile when there is no sample.
    """
    length = max((x.size for x in leads_mv.values()), default=0)
    if length == 0:
        raise EmptyFile("the recording has no samples in any of the twelve standard leads")
    count, tail = divmod(length, WINDOW_SAMPLES)
    if tail >= MIN_TAIL_SAMPLES or count == 0:
        count += 1
    peak_uv = max(float(np.abs(x).max(initial=0)) for x in leads_mv.values()) * 1000
    uv_per_lsb = max(FINEST_UV_PER_LSB, float(np.ceil(peak_uv / np.iinfo(np.int16).max)))
    values = np.zeros((count, len(STANDARD_12), WINDOW_SAMPLES), np.int16)
    for row, name in enumerate(STANDARD_12):
        if name in leads_mv:
            steps = np.rint(leads_mv[name][: count * WINDOW_SAMPLES] * (1000 / uv_per_lsb)).astype(np.int16)
            for i in range(count):
                part = steps[i * WINDOW_SAMPLES : (i + 1) * WINDOW_SAMPLES]
                values[i, row, : part.size] = part
    starts = np.arange(count) * WINDOW_SAMPLES
    return Windows(
        values=values,
        uv_per_lsb=uv_per_lsb,
        valid_samples=np.minimum(length - starts, WINDOW_SAMPLES).astype(np.int32),
        missing=tuple(name for name in STANDARD_12 if name not in leads_mv),
        derived=derived,
    )


class _Header(msgspec.Struct, frozen=True):
    version: int
    uv_per_lsb: float
    missing: tuple[str, ...]
    derived: tuple[str, ...]


def to_bytes(windows: Windows) -> bytes:
    """Serialise as an uncompressed `.npz` without pickle; equal windows give equal bytes."""
    header = _Header(1, windows.uv_per_lsb, windows.missing, windows.derived)
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
    if header.version != 1:
        raise InvalidArgument(f"windows version {header.version} is newer than this program")
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
    )
