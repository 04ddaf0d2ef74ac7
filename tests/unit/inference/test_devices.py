"""The device is what the setting says, or it is told why not; a model that a GPU refuses runs without."""

from __future__ import annotations

from typing import Any, cast

import onnxruntime
import pytest

from exchangeai.config import ConfigError
from exchangeai.errors import ContractViolation
from exchangeai.model_file import model_digest
from exchangeai.testing.models import tiny_model
from services.inference import devices, loading
from services.inference.devices import Device, chosen, placement
from services.inference.sessions import Session

WITHOUT_GPU = "CUDAExecutionProvider" not in cast(Any, onnxruntime).get_available_providers()


def test_the_processor_is_always_there_and_other_words_are_refused() -> None:
    assert chosen("cpu") is Device.CPU
    with pytest.raises(ConfigError, match="cpu, cuda, tensorrt"):
        chosen("gpu")


@pytest.mark.skipif(not WITHOUT_GPU, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_this_onnxruntime_cannot_use_is_told_at_the_start(device: str) -> None:
    with pytest.raises(ConfigError, match="onnxruntime-gpu"):
        chosen(device)


@pytest.mark.skipif(not WITHOUT_GPU, reason="this onnxruntime has CUDA")
def test_a_model_that_the_gpu_does_not_take_answers_from_the_processor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = tiny_model()
    with pytest.raises(ContractViolation):
        Session(data, threads=1, device=Device.CUDA)
    _, session = loading.open_model(data, model_digest(data), True, 1, Device.CUDA)
    assert session is not None
    assert session.device is Device.CPU
    assert session.most_windows == placement(Device.CPU).most_windows
    assert "runs on the processor" in caplog.text


def test_what_a_gpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Recorded:
        def __init__(self, _data: bytes, options: Any, providers: Any) -> None:
            asked.append((options.intra_op_num_threads, providers))

        def get_providers(self) -> list[str]:
            return [x for x, _ in asked[-1][1]]

    monkeypatch.setattr(cast(Any, onnxruntime), "InferenceSession", Recorded)
    devices.opened(b"", 1, Device.TENSORRT)
    (threads, providers) = asked[0]
    assert threads == 1
    assert [x for x, _ in providers] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert dict(providers)["CUDAExecutionProvider"]["use_tf32"] == "0"
