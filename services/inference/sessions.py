"""One loaded model: onnxruntime over bytes, and the proof that it gives the answers its file promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import ContractViolation
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import INPUT, OUTPUTS, WINDOW_SAMPLES, Manifest, unpack_window
from services.inference import devices
from services.inference.devices import Device

RUNTIME_VERSION: str = cast(Any, onnxruntime).__version__

MEASURED_RUNS = 4
LEAST_GAIN = 1.15
"""By which all cores must be faster than one to be used."""
QUICK_S = 3e-4
"""A model that answers a window sooner than this costs less than handing the window to a thread."""


class Session:
    """A model in memory; safe to run from several threads at once."""

    def __init__(self, data: bytes, *, threads: int, device: Device = Device.CPU) -> None:
        """Build it from the file's bytes. Raises ContractViolation when onnxruntime refuses them."""
        self.device = device
        self.most_windows = devices.placement(device).most_windows
        """That one run should take."""
        self._session = _opened(data, 1, device)
        on_processor = device is Device.CPU
        self._wide: Any = _opened(data, threads, device) if threads > 1 and on_processor else None
        inputs = [x.name for x in self._session.get_inputs()]
        self.shapes: Mapping[str, tuple[int | None, ...]] = {
            x.name: tuple(d if isinstance(d, int) else None for d in x.shape)
            for x in self._session.get_outputs()
        }
        """Outputs by name in the contract's order; None for a free size."""
        if inputs != [INPUT] or set(self.shapes) != set(OUTPUTS):
            raise ContractViolation(
                f"the model's inputs are {inputs[:8]} and outputs {sorted(self.shapes)[:8]}"
            )
        self.shapes = {name: self.shapes[name] for name in OUTPUTS}
        self.window_s = float("inf")
        """Seconds that a window takes one core; unknown until `settle_width` has measured it."""

    def run(
        self, ecg_BLT: npt.NDArray[np.float32], outputs: Sequence[str] = OUTPUTS, *, wide: bool = False
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Run on float32 [batch, 12, 5000] in mV, on one core or, where that pays, on all.

        Raises ContractViolation when the graph fails on it.
        """
        chosen = self._wide if wide and self._wide is not None else self._session
        try:
            values = chosen.run(list(outputs), {INPUT: ecg_BLT})
        except Exception as e:  # as in _opened
            raise ContractViolation(f"the model fails on a valid input ({type(e).__name__})") from e
        return dict(zip(outputs, values, strict=True))

    def settle_width(self, clock: Callable[[], float] = time.perf_counter) -> bool:
        """Whether all cores answer one window sooner than one does, by measurement; else they are let go."""
        window = np.zeros((1, len(STANDARD_12), WINDOW_SAMPLES), np.float32)

        def fastest_s(*, wide: bool) -> float:
            took_s: list[float] = []
            for _ in range(MEASURED_RUNS):
                begun_s = clock()
                self.run(window, wide=wide)
                took_s.append(clock() - begun_s)
            return min(took_s)

        self.window_s = fastest_s(wide=False)
        if self._wide is not None and self.window_s < LEAST_GAIN * fastest_s(wide=True):
            self._wide = None
        return self._wide is not None


def _opened(data: bytes, threads: int, device: Device) -> Any:
    try:
        return devices.opened(data, threads, device)
    except Exception as e:  # onnxruntime's exceptions have no common base but this one
        raise ContractViolation(f"onnxruntime refuses the model ({type(e).__name__})") from e


def reproduce_golden(session: Session, manifest: Manifest) -> None:
    """Run the golden record and compare: |difference| <= tolerance * max(1, |expected|).

    It goes in a batch of two, so a model that mixes the records of a batch is found as well. The tolerance is
    the device's; on a processor a manifest may ask for a stricter one, never for a looser one.
    Raises ContractViolation that says how far off the model is.
    """
    golden = manifest.golden
    if golden is None:
        raise ContractViolation("the model's manifest carries no golden record")
    classes = len(manifest.classes)
    if len(golden.logits) != classes or len(golden.probabilities) != classes:
        raise ContractViolation("the golden record does not have one value for each class")
    window = unpack_window(golden.window)
    batch = np.stack([np.zeros((len(STANDARD_12), WINDOW_SAMPLES), np.float32), window])
    outputs = session.run(batch)
    for name, value in outputs.items():
        if value.dtype != np.float32 or value.ndim < 2 or value.shape[0] != 2:
            raise ContractViolation(
                f"output {name!r} is {value.dtype} {list(value.shape)} for a batch of two"
            )
    detector, embedding = manifest.novelty, outputs.get("embedding")
    if detector is not None and (embedding is None or embedding.shape != (2, detector.features)):
        raise ContractViolation(
            f"the model's novelty detector is for {detector.features} features, its embedding is "
            f"{None if embedding is None else list(embedding.shape)} for a batch of two"
        )
    most = devices.placement(session.device).tolerance
    tolerance = min(golden.tolerance, most) if session.device is Device.CPU else most
    for name, expected in (("logits", golden.logits), ("probabilities", golden.probabilities)):
        if outputs[name].shape != (2, classes):
            raise ContractViolation(f"output {name!r} is {list(outputs[name].shape)}, not [2, {classes}]")
        wanted = np.asarray(expected, np.float64)
        error = np.abs(outputs[name][1].astype(np.float64) - wanted) / np.maximum(1.0, np.abs(wanted))
        if not np.all(error <= tolerance):  # also true of NaN
            raise ContractViolation(
                f"the model does not reproduce its golden record: {name} differ by "
                f"{float(np.max(error)):.3g}, allowed are {tolerance:.3g}"
            )
