"""KServe's Python server with a model over onnxruntime."""

from __future__ import annotations

import sys

import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer


class Onnx(Model):
    """One session on two threads."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        ecg = payload.inputs[0].as_numpy()
        logits = self.session.run(["logits"], {"ecg": ecg})[0]
        output = InferOutput(name="logits", shape=list(logits.shape), datatype="FP32")
        output.set_data_from_numpy(logits, binary_data=True)
        return InferResponse(response_id="", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    port, path, name = sys.argv[1:4]
    ModelServer(http_port=int(port) + 1, grpc_port=int(port), enable_docs_url=False).start([Onnx(name, path)])
