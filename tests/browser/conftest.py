"""A browser on the running platform, and ECG files to drop into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from exchangeai.rpc import invoke, open_channel
from exchangeai.testing.models import synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2, inference_service_pb2_grpc
from services.local import Platform

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop running in this thread; the asyncio tests of other modules need it gone.
    path = shutil.which("chromium")
    assert path, "Chromium is not installed; `make test` does it"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def asked() -> list[str]:
    """Every address that the page asked for."""
    return []


@pytest.fixture
def page(browser: Browser, asked: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    opened.on("request", lambda r: asked.append(r.url))
    yield opened
    context.close()


@pytest.fixture(scope="session")
def csv_ecg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ten-second twelve-lead ECG in mV at 500 Hz, which the file does not say."""
    path = tmp_path_factory.mktemp("ecg") / "synthetic.csv"
    header = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    np.savetxt(path, synthetic_window(seed=3).T, fmt="%.4f", delimiter=",", header=header, comments="")
    return path


@pytest.fixture(scope="session")
def tiny(platform: Platform) -> str:
    """A model that may predict, imported and approved as a person would."""
    with open_channel(platform.addresses["inference"]) as channel:
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        data = tiny_model()
        parts = (
            inference_service_pb2.ImportModelRequest(
                name="tiny" if at == 0 else "", chunk=data[at : at + 65536]
            )
            for at in range(0, len(data), 65536)
        )
        model = invoke(stub.ImportModel, parts, timeout_s=60).model
        approve = inference_service_pb2.ApproveModelRequest(name="tiny", version=model.version)
        invoke(stub.ApproveModel, approve)
        assert isinstance(channel, grpc.Channel)
    return f"tiny:{model.version}"


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """Two busy cores answer later than an idle machine."""
    expect.set_options(timeout=30_000)
