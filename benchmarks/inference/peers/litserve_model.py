"""LitServe with a form's file in and bytes out, which cost it least."""

# LitServe compares the annotation of a request with the class, so annotations must not become text here.
import sys

import litserve
import numpy as np
import onnxruntime
from fastapi import Request, Response


class Onnx(litserve.LitAPI):
    """One session on two threads."""

    def setup(self, device) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(sys.argv[2], options)

    def decode_request(self, request: Request):
        return np.frombuffer(request["ecg"].file.read(), np.float32).reshape(-1, 12, 5000)

    def predict(self, ecg):
        return self.session.run(["logits"], {"ecg": ecg})[0]

    def encode_response(self, logits) -> Response:
        return Response(content=logits.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    litserve.LitServer(Onnx(), accelerator="cpu").run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False
    )
