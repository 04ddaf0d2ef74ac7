"""Calls an inference server over HTTP with the stock client and prints what came, as JSON.

python tests/contract/triton_http_calls.py ADDRESS MODEL INPUT.npy
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def main(address: str, model: str, path: str) -> dict[str, Any]:
    values = np.load(path)
    client: Any = triton.InferenceServerClient(address, concurrency=4)

    def infer(given: Any, datatype: str = "FP32", *, binary: bool = True, **more: Any) -> Any:
        tensor = triton.InferInput("ecg", list(given.shape), datatype)
        tensor.set_data_from_numpy(given, binary_data=binary)
        wanted = [triton.InferRequestedOutput("logits", binary_data=binary)]
        return client.infer(more.pop("model", model), [tensor], outputs=wanted, **more)

    def error(call: Callable[[], Any]) -> str:
        try:
            call()
        except InferenceServerException as e:
            return str(e)
        return "no error"

    microvolts = np.round(values * 1000).astype(np.int16)
    whole = triton.InferInput("ecg", list(values.shape), "FP32")
    whole.set_data_from_numpy(values)
    everything = client.infer(model, [whole], request_id="my-id")
    pending = [client.async_infer(model, [whole], request_id=f"a{i}") for i in range(8)]
    # They hold the client's connections until they are asked for.
    asynchronous = [x.get_result().as_numpy("logits").tolist() for x in pending]
    index = [x for x in client.get_model_repository_index() if x["name"] == model]
    answer = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "other_ready": client.is_model_ready("nobody"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata(model),
        "index": index,
        "response": {k: v for k, v in everything.get_response().items() if k != "outputs"},
        "outputs": {x["name"]: x["shape"] for x in everything.get_response()["outputs"]},
        "binary": infer(values).as_numpy("logits").tolist(),
        "json": infer(values, binary=False).as_numpy("logits").tolist(),
        "int16": infer(microvolts, "INT16").as_numpy("logits").tolist(),
        "int16_json": infer(microvolts, "INT16", binary=False).as_numpy("logits").tolist(),
        "gzip": infer(values, request_compression_algorithm="gzip").as_numpy("logits").tolist(),
        "asynchronous": asynchronous,
        "errors": {
            "model": error(lambda: infer(values, model="nobody")),
            "shape": error(lambda: infer(values[:, :, :1000])),
            "dtype": error(lambda: infer(values.astype(np.float64), "FP64")),
            "nan": error(lambda: infer(values * np.float32("nan"))),
        },
    }
    client.unload_model(model)
    answer["unloaded"] = [client.is_model_ready(model), error(lambda: infer(values))]
    client.load_model(model)
    answer["loaded"] = client.is_model_ready(model)
    return answer


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4])))
