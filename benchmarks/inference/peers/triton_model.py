"""Triton's C++ server with its stock Python backend: this is the model.py of its repository."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """One session; THREADS threads in it."""

    def initialize(self, args) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options)

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(x, "ecg").as_numpy() for x in requests]
        logits = self.session.run(
            ["logits"], {"ecg": np.concatenate(inputs) if len(inputs) > 1 else inputs[0]}
        )[0]
        found, at = [], 0
        for x in inputs:
            output = triton.Tensor("logits", logits[at : at + len(x)])
            found.append(triton.InferenceResponse([output]))
            at += len(x)
        return found
