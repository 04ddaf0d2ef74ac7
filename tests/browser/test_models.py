"""The page Models in a real browser: each change is looked up through gRPC, not only read off the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from exchangeai.errors import NotReady
from exchangeai.rpc import invoke, open_channel
from exchangeai.testing.models import synthetic_window, tiny_model
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import model_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub
from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

NAME = "roll-out"
ME = "Dr Example"


@pytest.fixture(scope="module")
def stub(platform: Platform) -> Iterator[Any]:
    """The inference service, with three versions of a name in quarantine."""
    with open_channel(platform.addresses["inference"]) as channel:
        stub: Any = InferenceServiceStub(channel)
        for seed in (1, 2, 3):
            request = pb.ImportModelRequest(name=NAME, chunk=tiny_model(name=NAME, seed=seed))
            invoke(stub.ImportModel, iter([request]), timeout_s=60)
        yield stub


def serving(stub: Any) -> pb.Serving:
    """How the name is served, by the service's own word."""
    found = invoke(stub.ListServing, pb.ListServingRequest()).serving
    return next(x for x in found if x.name == NAME)


def state(stub: Any, version: int) -> str:
    """The state of a version, by the service's own word."""
    models = invoke(stub.ListModels, pb.ListModelsRequest()).models
    found = next(x for x in models if (x.name, x.version) == (NAME, version))
    return model_pb2.ModelState.Name(found.state).removeprefix("MODEL_STATE_").lower()


def predicted(stub: Any, version: int = 0) -> int:
    """The version that answers."""
    tensor = pb.EcgTensor(shape=(1, 12, 5000), values_mv=synthetic_window(1).astype("<f4").tobytes())
    request = pb.PredictRequest(model_name=NAME, model_version=version, tensor=tensor)
    return invoke(stub.Predict, request, timeout_s=20).provenance.model_version


def ask(page: Page, word: str, version: int) -> None:
    """Press the button of a version; the question is there then."""
    page.get_by_role("button", name=f"{word}: version {version} of {NAME}", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(NAME)


def confirmed(page: Page, said: str) -> None:
    """Confirm; what the page says of it then."""
    page.click("#serving-confirm")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#serving-done")).to_have_text(said)


def row(page: Page, version: int) -> Any:
    """The row of a version."""
    panel = page.locator(".panel").filter(has=page.get_by_role("heading", name=NAME, exact=True))
    return panel.locator("tbody tr").filter(has_text=re.compile(f"^{version}"))


def test_a_version_goes_from_quarantine_to_champion_and_back(
    page: Page, platform: Platform, stub: Any
) -> None:
    page.goto(platform.ui_url + "/models")
    expect(row(page, 1)).to_contain_text("quarantined")
    assert state(stub, 1) == "quarantined"

    ask(page, "Approve", 1)
    page.click("#serving-leave")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert state(stub, 1) == "quarantined"

    # Without a name nothing happens; the reason stands beside the field, and the question stays.
    ask(page, "Approve", 1)
    page.click("#serving-confirm")
    expect(page.get_by_role("alert").filter(has_text="Your name")).to_be_visible()
    assert state(stub, 1) == "quarantined"
    page.get_by_label("Your name").fill(ME)
    confirmed(page, f"Version 1 of {NAME} is approved.")
    assert state(stub, 1) == "approved"
    assert serving(stub).changed_by == ME
    assert predicted(stub) == 1
    for version in (2, 3):
        invoke(stub.ApproveModel, pb.ApproveModelRequest(name=NAME, version=version), timeout_s=30)
    expect(row(page, 3)).to_contain_text("answers")  # by itself: others change things too

    for version in (1, 2):
        ask(page, "Make champion", version)
        confirmed(page, f"Version {version} of {NAME} is the champion.")
        expect(row(page, version)).to_contain_text("champion")
        assert (serving(stub).champion, predicted(stub)) == (version, version)
    assert list(serving(stub).previous)[-1] == 1

    ask(page, "Canary", 3)
    page.get_by_label("Share of the ECGs, %").fill("")
    page.click("#serving-confirm")
    expect(page.get_by_role("alert").filter(has_text="how many percent")).to_be_visible()
    assert serving(stub).canary == 0
    page.get_by_label("Share of the ECGs, %").fill("20")
    confirmed(page, f"Version 3 of {NAME} answers 20 % of the ECGs.")
    expect(row(page, 3)).to_contain_text("canary 20%")
    assert (serving(stub).canary, serving(stub).canary_share) == (3, pytest.approx(0.2))

    ask(page, "Shadow", 1)
    confirmed(page, f"Version 1 of {NAME} runs as shadow.")
    expect(row(page, 1)).to_contain_text("shadow")
    assert serving(stub).shadow == 1

    page.get_by_role("button", name=f"Roll back to version 1: version 1 of {NAME}").click()
    expect(page.get_by_role("dialog")).to_contain_text("A canary ends")
    confirmed(page, f"{NAME} is back at version 1.")
    expect(row(page, 1)).to_contain_text("champion")
    assert (serving(stub).champion, serving(stub).canary, predicted(stub)) == (1, 0, 1)

    ask(page, "Deprecate", 2)
    confirmed(page, f"Version 2 of {NAME} is deprecated.")
    expect(row(page, 2)).to_contain_text("deprecated")
    assert state(stub, 2) == "deprecated"
    with pytest.raises(NotReady, match="deprecated"):
        predicted(stub, version=2)

    # Somebody else withdraws the version while the question is open: the service's reason is shown.
    ask(page, "Make champion", 3)
    invoke(stub.DeprecateModel, pb.DeprecateModelRequest(name=NAME, version=3, by="another"))
    page.click("#serving-confirm")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("deprecated")
    assert serving(stub).champion == 1
    page.click("#serving-leave")
    expect(row(page, 3)).to_contain_text("deprecated")
    expect(page.get_by_text("by another.")).to_be_visible()
