"""The model file's contract: what a manifest says survives, and what it may not say is refused."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from exchangeai.errors import ContractViolation
from exchangeai.facts import Task
from exchangeai.model_file import (
    MANIFEST_KEY,
    Manifest,
    model_digest,
    pack_window,
    parse_model,
    read_manifest,
    unpack_window,
    write_manifest,
)
from exchangeai.testing.models import synthetic_window, tiny_graph, tiny_manifest, tiny_model
from services.inference.vetting import vet

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "models").glob("*.onnx"))


@pytest.mark.parametrize("task", list(Task))
def test_a_manifest_survives_the_file(task: Task) -> None:
    graph = tiny_graph(classes=("a", "b"), task=task)
    manifest = replace(
        tiny_manifest(graph, classes=("a", "b"), task=task), temperature=1.5, extra={"note": "für Köln"}
    )
    assert read_manifest(parse_model(write_manifest(graph, manifest))) == manifest


def test_writing_again_replaces_the_manifest_and_keeps_other_entries() -> None:
    graph = tiny_graph()
    graph.metadata_props.add(key="other", value="kept")
    manifest = tiny_manifest(graph)
    write_manifest(graph, replace(manifest, name="first"))
    model = parse_model(write_manifest(graph, manifest))
    assert [p.key for p in model.metadata_props] == ["other", MANIFEST_KEY]
    assert read_manifest(model).name == manifest.name


def test_equal_models_are_equal_bytes_and_other_weights_another_digest() -> None:
    assert tiny_model() == tiny_model()
    assert model_digest(tiny_model()) != model_digest(tiny_model(seed=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("leads", ("II", "I", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")),
        ("unit", "uV"),
        ("sampling_rate_hz", 100.0),
        ("window_samples", 1000),
        ("version", 2),
    ],
)
def test_a_manifest_off_the_tensor_contract_is_refused_by_name(field: str, value: object) -> None:
    graph = tiny_graph()
    data = write_manifest(graph, replace(tiny_manifest(graph), **{field: value}))
    with pytest.raises(ContractViolation, match=field):
        read_manifest(parse_model(data))


def test_a_model_without_classes_is_refused() -> None:
    graph = tiny_graph()
    with pytest.raises(ContractViolation, match="classes"):
        read_manifest(parse_model(write_manifest(graph, replace(tiny_manifest(graph), classes=()))))


def test_no_manifest_two_manifests_and_broken_json_are_refused() -> None:
    graph = tiny_graph()
    with pytest.raises(ContractViolation, match="no manifest"):
        read_manifest(graph)
    text = msgspec.json.encode(tiny_manifest(graph)).decode()
    for _ in range(2):
        graph.metadata_props.add(key=MANIFEST_KEY, value=text)
    with pytest.raises(ContractViolation, match="no manifest"):
        read_manifest(graph)
    del graph.metadata_props[:]
    graph.metadata_props.add(key=MANIFEST_KEY, value=text[:-2])
    with pytest.raises(ContractViolation, match="malformed"):
        read_manifest(graph)


def test_a_later_field_is_no_obstacle() -> None:
    graph = tiny_graph()
    tree = {**msgspec.json.decode(msgspec.json.encode(tiny_manifest(graph))), "added_later": 1}
    graph.metadata_props.add(key=MANIFEST_KEY, value=msgspec.json.encode(tree).decode())
    assert isinstance(read_manifest(graph), Manifest)


def test_a_golden_window_survives_packing_and_a_bomb_does_not_unpack() -> None:
    window = synthetic_window()
    assert np.array_equal(unpack_window(pack_window(window)), window)
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    for packed in (bomb, pack_window(window)[:400], "not base64!", pack_window(window[:6])):
        with pytest.raises(ContractViolation, match="golden record"):
            unpack_window(packed)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_files_written_by_earlier_versions_still_give_their_answers(path: Path) -> None:
    assert vet(path.read_bytes()).golden is not None


def test_there_are_golden_files() -> None:
    assert [p.stem for p in GOLDEN] == ["tiny_multi_label", "tiny_single_label"]
