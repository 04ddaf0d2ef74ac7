"""Recipes say what this program knows, or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchangeai.errors import InvalidArgument
from services.trainer import recipe


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_can_be_read(name: str) -> None:
    assert recipe.load(name).summary


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("max_epoch = 3", "do not exist.*max_epoch"),
        ('augmentations = ["flip"]', "augmentations.*flip"),
        ('max_epochs = "many"', "malformed"),
        ("int8 = true", ""),
    ],
)
def test_what_is_not_known_is_an_error(
    stated: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (recipe.FOLDER / "demo.toml").read_text()
    (tmp_path / "demo.toml").write_text(whole.partition("[options]")[0] + f"[options]\n{stated}\n")
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    if not said:
        assert recipe.load("demo").options.int8
        return
    with pytest.raises(InvalidArgument, match=said):
        recipe.load("demo")
