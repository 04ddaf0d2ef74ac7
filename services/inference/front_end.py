"""Builds graph nodes that turn the tensor contract into what a foreign model takes, and its answer back.

Every step is an ordinary ONNX operator, so that any runtime gives the same answer. Works for opset 13 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from exchangeai.errors import ContractViolation
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import SAMPLING_RATE_HZ, WINDOW_SAMPLES
from exchangeai.signal.resample import anti_alias, ratio

MAX_PHASES = 1000
"""Of the resampling filter: 257 Hz needs 257 of them."""
MAX_NEIGHBOURS = 1 << 21
"""Elements that the moving median of one lead of one ECG may gather."""
UNITS_PER_MV = {"mV": 1.0, "uV": 1000.0, "V": 0.001}
_LEAST = 1e-6
"""Below it a deviation or span is taken for it: a flat lead has none."""
_REDUCTIONS_TAKE_INPUTS_FROM = 18


class Builder:
    """Nodes and constants of a graph that grows from its input; every method returns a tensor's name."""

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Append a node with one output."""
        output = name or f"around/{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, value: npt.ArrayLike, kind: type[Any] = np.int64) -> str:
        """A constant tensor."""
        name = f"around/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(value, np.float32)

    def part(self, x: str, axis: int, begin: int, end: int) -> str:
        """Elements `begin` to `end` of an axis."""
        places = ([begin], [end], [axis])
        return self.node("Slice", x, *(self.constant(v) for v in places))

    def extreme(self, op: str, x: str, axes: Sequence[int]) -> str:
        """ReduceMax or ReduceMin, axes kept."""
        if self._opset >= _REDUCTIONS_TAKE_INPUTS_FROM:
            return self.node(op, x, self.constant(axes), keepdims=1)
        return self.node(op, x, axes=list(axes), keepdims=1)

    def mean(self, x: str, axes: Sequence[int], count: int, *, keep: bool = True) -> str:
        """The mean over axes that have `count` elements together."""
        total = self.node("ReduceSum", x, self.constant(axes), keepdims=int(keep))
        return self.node("Mul", total, self.number(1 / count))

    def chosen_leads(self, x_BLT: str, leads: Sequence[str]) -> str:
        """The standard leads in another order, or fewer of them."""
        if tuple(leads) == STANDARD_12:
            return x_BLT
        places = [STANDARD_12.index(lead) for lead in leads]
        return self.node("Gather", x_BLT, self.constant(places), axis=1)

    def resampled(self, x_BLT: str, leads: int, rate_hz: float) -> tuple[str, int]:
        """From 500 Hz to another rate, as `exchangeai.signal.resample` does: (tensor, samples of 10 s).

        One convolution with a filter for each phase of the output: sample n = m up + r lies n down / up
        samples of the input from the beginning, so each phase r is a filter of its own with stride `down`.
        """
        factor = ratio(SAMPLING_RATE_HZ, rate_hz)
        up, down = factor.numerator, factor.denominator
        if factor == 1:
            return x_BLT, WINDOW_SAMPLES
        if up > MAX_PHASES:
            raise ContractViolation(
                f"a rate of {rate_hz:g} Hz is {factor} of {SAMPLING_RATE_HZ:g} Hz, which takes too large a "
                "filter; state a rate of at most three decimals"
            )
        taps, half = anti_alias(up, down)
        wanted = -(-WINDOW_SAMPLES * up // down)
        periods, before = -(-wanted // up), -(-half // up)
        last = ((up - 1) * down + half) // up
        inputs = np.arange(-before, last + 1)
        at = half + np.arange(up)[:, None] * down - inputs[None] * up
        weights = np.where((at >= 0) & (at < len(taps)), taps[np.clip(at, 0, len(taps) - 1)], 0.0)
        after = max(0, (periods - 1) * down + last - (WINDOW_SAMPLES - 1))
        flat = self.node("Reshape", x_BLT, self.constant([-1, 1, WINDOW_SAMPLES]))
        padded = self.node("Pad", flat, self.constant([0, 0, before, 0, 0, after]), mode="reflect")
        kernel = self.constant(weights[:, None], np.float32)
        phases = self.part(self.node("Conv", padded, kernel, strides=[down]), 2, 0, periods)
        ordered = self.node("Transpose", phases, perm=[0, 2, 1])
        whole = self.node("Reshape", ordered, self.constant([-1, leads, periods * up]))
        return self.part(whole, 2, 0, wanted), wanted

    def without_baseline(self, x_BLT: str, leads: int, samples: int, width: int) -> str:
        """Minus the moving median over an odd `width` of samples; at the ends the signal is mirrored.

        Raises ContractViolation when that takes too much memory.
        """
        if samples * width > MAX_NEIGHBOURS:
            raise ContractViolation(
                f"a moving median over {width} of {samples} samples takes too much memory; state a shorter "
                "baseline_s, or none"
            )
        around = np.arange(samples)[:, None] + np.arange(width) - width // 2
        period = np.mod(around, 2 * samples)
        places = np.where(period < samples, period, 2 * samples - 1 - period)
        index, count = self.constant(places, np.int32), self.constant([width // 2 + 1])
        rows: list[str] = []
        # Lead by lead: the neighbourhoods of all leads at once would be a hundred times the signal.
        for lead in range(leads):
            near = self.node("Gather", self.part(x_BLT, 1, lead, lead + 1), index, axis=2)
            highest = f"around/highest_{len(self.nodes)}"
            # The least of the upper half and the middle; sorting them would take twice the time.
            self.nodes.append(
                helper.make_node("TopK", [near, count], [highest, f"{highest}_places"], axis=3, sorted=0)
            )
            median = self.extreme("ReduceMin", highest, [3])
            rows.append(self.node("Squeeze", median, self.constant([3])))
        return self.node("Sub", x_BLT, self.node("Concat", *rows, axis=1))

    def windows(self, x_BLT: str, samples: int, wanted: int) -> tuple[str, int]:
        """Pad with zeros, or cut evenly spaced windows that cover all.

        Returns ([windows * batch, L, wanted], windows); windows of one record are `batch` apart.
        """
        if wanted > samples:
            pads = self.constant([0, 0, 0, 0, 0, wanted - samples])
            return self.node("Pad", x_BLT, pads), 1
        if wanted == samples:
            return x_BLT, 1
        count = -(-samples // wanted)
        begins = [round(i * (samples - wanted) / (count - 1)) for i in range(count)]
        parts = [self.part(x_BLT, 2, begin, begin + wanted) for begin in begins]
        return self.node("Concat", *parts, axis=0), count

    def standardised(self, x_BLT: str, axes: Sequence[int], count: int) -> str:
        """Mean 0 and standard deviation 1 over the axes."""
        centred = self.node("Sub", x_BLT, self.mean(x_BLT, axes, count))
        variance = self.mean(self.node("Mul", centred, centred), axes, count)
        deviation = self.node("Max", self.node("Sqrt", variance), self.number(_LEAST))
        return self.node("Div", centred, deviation)

    def spanned(self, x_BLT: str, axes: Sequence[int]) -> str:
        """From -1 to 1 over the axes."""
        low, high = self.extreme("ReduceMin", x_BLT, axes), self.extreme("ReduceMax", x_BLT, axes)
        span = self.node("Max", self.node("Sub", high, low), self.number(_LEAST))
        share = self.node("Div", self.node("Sub", x_BLT, low), span)
        return self.node("Sub", self.node("Mul", share, self.number(2.0)), self.number(1.0))

    def given(self, x_BLT: str, mean: Sequence[float], deviation: Sequence[float]) -> str:
        """(x - mean) / deviation, for all leads or for each."""

        def column(values: Sequence[float]) -> str:
            return self.constant(np.asarray(values)[None, :, None], np.float32)

        return self.node("Div", self.node("Sub", x_BLT, column(mean)), column(deviation))
