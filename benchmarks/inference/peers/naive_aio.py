"""A grpc.aio server of a few lines, as one writes it first: parse, run in the event loop, answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import grpc
import numpy as np
import onnxruntime

from exchangeai.inference import grpc_service_pb2 as pb
from exchangeai.inference import grpc_service_pb2_grpc as stubs


class Naive(stubs.GRPCInferenceServiceServicer):
    """Answers ModelInfer."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(model), options)

    async def ModelInfer(self, request, context):
        shape = list(request.inputs[0].shape)
        ecg = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(shape)
        logits = self.session.run(["logits"], {"ecg": ecg})[0]
        output = pb.ModelInferResponse.InferOutputTensor(name="logits", datatype="FP32", shape=logits.shape)
        return pb.ModelInferResponse(
            model_name=request.model_name, outputs=[output], raw_output_contents=[logits.tobytes()]
        )


async def main(port: int, model: Path) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 256 << 20)])
    stubs.add_GRPCInferenceServiceServicer_to_server(Naive(model), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
