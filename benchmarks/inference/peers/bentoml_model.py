"""BentoML with a form's file in and bytes out, which cost it least."""

from __future__ import annotations

import os
from pathlib import Path

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Onnx:
    """One session on two threads."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options)

    @bentoml.api
    def predict(self, ecg: Path) -> bytes:
        values = np.frombuffer(ecg.read_bytes(), np.float32).reshape(-1, 12, 5000)
        return self.session.run(["logits"], {"ecg": values})[0].tobytes()
