"""The models that come with the repository: small, vetted, described by their recipes and cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchangeai.model_file import CARD_FILE, MEMBERS_KEY, model_digest
from services.inference.vetting import vet
from services.trainer import recipe
from services.trainer.job import MODEL_FILE

MODELS = Path(__file__).resolve().parents[2] / "models"
LARGEST_BYTES = 20 * 10**6


@pytest.mark.parametrize(
    "folder", sorted(x.parent for x in MODELS.glob(f"*/{MODEL_FILE}")), ids=lambda x: x.name
)
def test_a_delivered_model_is_what_its_card_and_recipe_say(folder: Path) -> None:
    data = (folder / MODEL_FILE).read_bytes()
    assert len(data) <= LARGEST_BYTES
    manifest = vet(data)
    wanted = recipe.load(folder.name)
    assert manifest.name == wanted.name
    assert manifest.architecture == f"{len(wanted.seeds)} x {wanted.architecture}"
    assert (manifest.task, manifest.licence) == (wanted.task, wanted.licence)
    assert len(manifest.extra[MEMBERS_KEY].split()) == len(wanted.seeds)
    if wanted.labels.classes:
        assert {c.name for c in manifest.classes} == set(wanted.labels.classes)
    assert manifest.test is not None
    assert manifest.conformal is not None
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    assert f"digest: sha256:{model_digest(data)}" in card
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in card


def test_there_are_delivered_models() -> None:
    assert (MODELS / "ptbxl_all71" / MODEL_FILE).is_file()
