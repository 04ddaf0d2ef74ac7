"""What the stock clients offer beyond plain calls, tried on a server; prints what came, as JSON.

A program of its own, because the client's generated messages have the same names as ours.

    python tests/contract/triton_conformance.py ADDRESS MODEL INPUT.npy
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException


def main(address: str, model: str, path: str) -> dict[str, Any]:
    values = np.load(path)
    client: Any = triton.InferenceServerClient(address)

    def tensor(given: Any, datatype: str = "FP32") -> Any:
        made = triton.InferInput("ecg", list(given.shape), datatype)
        made.set_data_from_numpy(given)
        return made

    def logits(result: Any) -> Any:
        return result.as_numpy("logits").tolist()

    def error(call: Callable[[], Any]) -> list[str]:
        try:
            call()
        except InferenceServerException as e:
            return [str(e.status()), str(e.message())]
        return ["no error", ""]

    def batches() -> dict[str, Any]:
        rows = {n: logits(client.infer(model, [tensor(values[np.arange(n) % 3])])) for n in (1, 2, 7, 128)}
        return {str(n): [len(x), x[:1]] for n, x in rows.items()}

    def callbacks() -> list[Any]:
        came: queue.Queue[Any] = queue.Queue()
        for i in range(12):
            client.async_infer(
                model,
                [tensor(values[i % 3 : i % 3 + 1])],
                lambda result, error: came.put((result, error)),
                request_id=f"c{i}",
            )
        answers = [came.get(timeout=20) for _ in range(12)]
        found = {r.get_response().id: logits(r) for r, e in answers if e is None}
        return [found[f"c{i}"] for i in range(12)]

    def stream_of_microvolts() -> list[Any]:
        came: queue.Queue[Any] = queue.Queue()
        microvolts = np.round(values * 1000).astype(np.int16)
        client.start_stream(callback=lambda result, error: came.put((result, error)), stream_timeout=20)
        for i in range(9):
            wanted = [triton.InferRequestedOutput("logits")]
            client.async_stream_infer(
                model, [tensor(microvolts[i % 3 : i % 3 + 1], "INT16")], request_id=f"m{i}", outputs=wanted
            )
        answers = [came.get(timeout=20) for _ in range(9)]
        client.stop_stream()
        return [[r.get_response().id, logits(r), e] for r, e in answers]

    async def concurrently() -> dict[str, Any]:
        other: Any
        async with triton_aio.InferenceServerClient(address) as other:
            made = [tensor(values[i : i + 1]) for i in range(3)]

            async def one(i: int) -> list[Any]:
                found = await other.infer(model, [made[i % 3]], request_id=f"a{i}")
                return [found.get_response().id, logits(found)]

            async def requests() -> AsyncIterator[dict[str, Any]]:
                for i in range(10):
                    yield {"model_name": model, "inputs": [made[i % 3]], "request_id": f"s{i}"}

            unary = await asyncio.gather(*(one(i) for i in range(64)))
            stream = [[r.get_response().id, logits(r), e] async for r, e in other.stream_infer(requests())]
            return {
                "unary": unary,
                "stream": stream,
                "ready": [await other.is_server_ready(), await other.is_model_ready(model)],
                "index": len((await other.get_model_repository_index()).models),
            }

    pb: Any = messages

    def typed() -> list[Any]:
        """The client's own messages with typed contents, which its helper class never makes."""
        with grpc.insecure_channel(address) as channel:
            stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            answers: list[Any] = []
            for datatype, field, given in (
                ("FP32", "fp32_contents", values),
                ("INT16", "int_contents", np.round(values * 1000).astype(np.int16)),
            ):
                request = pb.ModelInferRequest(model_name=model, id="typed")
                request.inputs.add(name="ecg", datatype=datatype, shape=given.shape)
                getattr(request.inputs[0].contents, field).extend(given.ravel().tolist())
                answer = stub.ModelInfer(request)
                row = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(len(values), -1)
                answers.append([answer.id, row.tolist()])
            return answers

    plain, microvolts = tensor(values), np.round(values * 1000).astype(np.int16)
    return {
        "each": [logits(client.infer(model, [tensor(values[i : i + 1])])) for i in range(3)],
        "each_rounded": [
            logits(client.infer(model, [tensor(microvolts[i : i + 1].astype(np.float32) * np.float32(1e-3))]))
            for i in range(3)
        ],
        "batches": batches(),
        "callbacks": callbacks(),
        "stream_of_microvolts": stream_of_microvolts(),
        "aio": asyncio.run(concurrently()),
        "typed": typed(),
        "compressed": logits(client.infer(model, [plain], compression_algorithm="gzip")),
        "rows": logits(client.infer(model, [plain])),
        "sequence": logits(client.infer(model, [plain], sequence_id=7, sequence_start=True, priority=1)),
        "errors": {
            "ModelConfig": error(lambda: client.get_model_config(model)),
            "ModelStatistics": error(lambda: client.get_inference_statistics(model)),
            "LogSettings": error(client.get_log_settings),
            "TraceSetting": error(lambda: client.get_trace_settings(model)),
            "SystemSharedMemoryStatus": error(client.get_system_shared_memory_status),
            "CudaSharedMemoryStatus": error(client.get_cuda_shared_memory_status),
            "too_many": error(lambda: client.infer(model, [tensor(np.zeros((129, 12, 5000), np.float32))])),
            "parameter": error(lambda: client.infer(model, [plain], parameters={"assess_quality": "no"})),
            "twice": error(lambda: client.infer(model, [plain, plain])),
            "deadline": error(lambda: client.infer(model, [plain], client_timeout=1e-4)),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4])))
