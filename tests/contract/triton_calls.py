"""Calls an inference server with the stock client and prints what came, as JSON; a program of its own.

Its own process, because the client's generated messages have the same names as ours.

    python tests/contract/triton_calls.py ADDRESS MODEL INPUT.npy
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException


def main(address: str, model: str, path: str) -> dict[str, Any]:
    values = np.load(path)
    client: Any = triton.InferenceServerClient(address)

    def infer(
        values: Any = values,
        name: str = "ecg",
        datatype: str = "FP32",
        outputs: tuple[str, ...] = (),
        model: str = model,
        version: str = "",
    ) -> Any:
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        wanted = [triton.InferRequestedOutput(x) for x in outputs] or None
        return client.infer(
            model, [tensor], model_version=version, outputs=wanted, request_id="my-id", client_timeout=10
        )

    def error(call: Callable[[], Any]) -> list[str]:
        try:
            call()
        except InferenceServerException as e:
            return [str(e.status()), e.message()]
        return ["no error", ""]

    whole = infer()
    response = whole.get_response()
    metadata = client.get_model_metadata(model)
    server = client.get_server_metadata()
    # Exactly what a stock client does by default: no deadline at all.
    plain = triton.InferInput("ecg", list(values.shape), "FP32")
    plain.set_data_from_numpy(values)

    def streamed() -> list[list[Any]]:
        came: queue.Queue[Any] = queue.Queue()
        client.start_stream(callback=lambda result, error: came.put((result, error)))
        for i in range(20):
            asked = "nobody" if i == 7 else model
            client.async_stream_infer(asked, [plain], request_id=f"s{i}")
        answers = [came.get(timeout=10) for _ in range(20)]
        client.stop_stream()
        return [
            [
                e.message() if e else "",
                r.get_response().id if r else "",
                r.as_numpy("logits").tolist() if r else [],
            ]
            for r, e in answers
        ]

    def repository() -> list[Any]:
        def listed() -> list[Any]:
            index = client.get_model_repository_index().models
            return [[x.name, x.version, x.state, x.reason] for x in index if x.name == model]

        first = listed()
        client.unload_model(model)
        gone = [listed(), client.is_model_ready(model), error(infer)]
        client.load_model(model)
        return [first, gone, listed(), client.is_model_ready(model)]

    async def asynchronously() -> list[Any]:
        async with triton_aio.InferenceServerClient(address) as other:
            found = await asyncio.gather(*(other.infer(model, [plain]) for _ in range(8)))
            return [np.asarray(x.as_numpy("logits")).tolist() for x in found if x is not None]

    microvolts = np.round(values * 1000).astype(np.int16)
    return {
        "stream": streamed(),
        "repository": repository(),
        "aio": asyncio.run(asynchronously()),
        "logits": whole.as_numpy("logits").tolist(),
        "int16": infer(microvolts, datatype="INT16").as_numpy("logits").tolist(),
        "rounded": infer(microvolts.astype(np.float32) * np.float32(1e-3)).as_numpy("logits").tolist(),
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "other_ready": client.is_model_ready("nobody"),
        "other_version_ready": client.is_model_ready(model, "77"),
        "server": [server.name, server.version],
        "metadata": {
            "name": metadata.name,
            "versions": list(metadata.versions),
            "inputs": [[x.name, x.datatype, list(x.shape)] for x in metadata.inputs],
            "outputs": [[x.name, x.datatype, list(x.shape)] for x in metadata.outputs],
        },
        "answer": {
            "id": response.id,
            "model": [response.model_name, response.model_version],
            "parameters": {k: v.string_param for k, v in response.parameters.items()},
            "outputs": {x.name: list(x.shape) for x in response.outputs},
            "probabilities": whole.as_numpy("probabilities").tolist(),
        },
        "without_deadline": client.infer(model, [plain]).as_numpy("probabilities").tolist(),
        "not_assessed": client.infer(model, [plain], parameters={"assess_quality": False})
        .get_response()
        .parameters["quality"]
        .string_param,
        "subset": [x.name for x in infer(outputs=("probabilities", "logits")).get_response().outputs],
        "errors": {
            "model": error(lambda: infer(model="nobody")),
            "version": error(lambda: infer(version="77")),
            "version_word": error(lambda: infer(version="latest")),
            "input_name": error(lambda: infer(name="x")),
            "shape": error(lambda: infer(values[:, :, :1000])),
            "rank": error(lambda: infer(values[0])),
            "dtype": error(lambda: infer(values.astype(np.float64), datatype="FP64")),
            "output": error(lambda: infer(outputs=("attention",))),
            "load": error(lambda: client.load_model("nobody")),
            "unload": error(lambda: client.unload_model("nobody")),
            "nan": error(lambda: infer(values * np.float32("nan"))),
            "metadata": error(lambda: client.get_model_metadata("nobody")),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4])))
