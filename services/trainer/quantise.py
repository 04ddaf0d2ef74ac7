"""`python -m services.trainer.quantise RUN --out DIR`: a finished run's model with numbers of eight bits.

Weights become signed and activations unsigned bytes, with scales found on training windows (static
quantisation, Jacob et al. 2018; as pairs of quantise and dequantise nodes, which runtimes fuse). Temperature,
thresholds and bounds are fitted anew, and the model is judged beside the one that it was made of: what it
loses stands in its manifest and card. Writes the same files as a run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnxruntime import quantization  # pyright: ignore[reportMissingTypeStubs]
from onnxruntime.quantization import shape_inference  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.dataset import Part, open_part
from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import Task
from exchangeai.int8 import INT8_MOST_LOSS
from exchangeai.metrics import Estimate
from exchangeai.model_file import INPUT, LOSS_KEY, model_digest, parse_model
from services.trainer.ensemble import joined, tempered
from services.trainer.evaluation import onnx_file
from services.trainer.evaluation.intervals import paired_difference
from services.trainer.evaluation.onnx_file import Windows
from services.trainer.evaluation.predictions import by_recording
from services.trainer.judge_anew import FinishedRun, finished, judge_anew

CALIBRATION_WINDOWS = 256
BATCH = 8
KINDS = ["Conv", "MatMul"]
"""What takes the time; but the first of them, which only resamples: an ECG has more than 8 bits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Quantise, judge, write; exit status 0, or 2 with the reason."""
    parser = argparse.ArgumentParser(prog="quantise", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its card")
    parser.add_argument(
        "--most-loss",
        type=float,
        default=INT8_MOST_LOSS,
        help="of macro-AUROC on validation (default: %(default)g)",
    )
    chosen = parser.parse_args(arguments)
    try:
        lost = quantise(finished(chosen.run), chosen.out, most_loss=chosen.most_loss)
    except ExchangeaiError as e:
        print(f"quantise: {e}", file=sys.stderr)
        return 2
    print(f"it loses {_words(lost)} of macro-AUROC")
    return 0


def quantise(run: FinishedRun, out: Path, *, most_loss: float = INT8_MOST_LOSS) -> Estimate:
    """Write the int8 model, its card and result; returns what it loses, on the test part where there is one.

    Raises InvalidArgument when it loses more than `most_loss` on validation, that cannot be told, or it
    predicts numbers.
    """
    if run.job.task is Task.REGRESSION:
        raise InvalidArgument("a model of numbers is not quantised: its loss is not one of AUROC")
    folder, described = run.job.data_folder, run.data_manifest
    small = quantised(parse_model(run.data), calibration(open_part(folder, described, "train")))
    graph = joined([small], run.job.task)
    everyone = range(len(run.job.classes))
    task, temperature = run.job.task, run.manifest.temperature

    def loss(part: str) -> Estimate:
        judged = open_part(folder, described, part)
        before, after = (
            by_recording(
                onnx_file.predictions(onnx_file.own(x, 0), judged, everyone, everyone), task, temperature
            )
            for x in (run.data, tempered(graph, temperature))
        )
        return paired_difference(before, after, task, seed=run.job.options.seed)

    # The test part decides nothing, this neither: it only tells.
    lost = loss("validation")
    if lost.value is None:
        raise InvalidArgument(
            "what the int8 form loses cannot be told: no class has both kinds of recordings in validation"
        )
    if lost.value > most_loss:
        raise InvalidArgument(
            f"on validation the int8 form loses {_words(lost)} of macro-AUROC, more than {most_loss:g}"
        )
    if described.parts["test"].recordings and (told := loss("test")).value is not None:
        lost = told
    judge_anew(
        out,
        run,
        lambda value: tempered(graph, value),
        architecture=f"{run.manifest.architecture} in int8",
        best_epoch=run.best_epoch,
        extra={**run.manifest.extra, LOSS_KEY: _words(lost)},
        parent_digest=model_digest(run.data),
    )
    return lost


def quantised(model: onnx.ModelProto, batches: Iterator[Windows]) -> onnx.ModelProto:
    """The graph with eight-bit convolutions and products of matrices; outputs as before.

    The scales of activations are found on the batches, float32 [B, 12, 5000] mV each.
    """
    with tempfile.TemporaryDirectory() as scratch:
        plain, prepared, made = (Path(scratch) / f"{x}.onnx" for x in ("plain", "prepared", "made"))
        plain.write_bytes(model.SerializeToString())
        cast(Any, shape_inference).quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        first = next(
            (x.name for x in parse_model(prepared.read_bytes()).graph.node if x.op_type in KINDS), ""
        )
        cast(Any, quantization).quantize_static(
            str(prepared),
            str(made),
            _Reader(batches),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            # Weights of seven bits: products of eight overflow on processors without instructions for them
            # (AVX2), where the model would answer otherwise than where it was judged.
            reduce_range=True,
            op_types_to_quantize=KINDS,
            nodes_to_exclude=[first],
        )
        return parse_model(made.read_bytes())


class _Reader(quantization.CalibrationDataReader):
    """Hands out windows, batch by batch."""

    def __init__(self, batches: Iterator[Windows]) -> None:
        self._batches = batches

    def get_next(self) -> Any:
        """The next batch by the input's name, or None."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def calibration(part: Part) -> Iterator[Windows]:
    """Windows from all over a part."""
    step = max(1, len(part) // CALIBRATION_WINDOWS)
    rows = np.arange(0, len(part), step)[:CALIBRATION_WINDOWS]
    for start in range(0, len(rows), BATCH):
        yield part.millivolts(rows[start : start + BATCH])


def _words(lost: Estimate) -> str:
    known = [f"{x:.4f}" for x in (lost.value, lost.low, lost.high) if x is not None]
    return known[0] + (f" [{', '.join(known[1:])}]" if known[1:] else "")


if __name__ == "__main__":
    sys.exit(main())
