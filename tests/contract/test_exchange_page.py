"""docs/exchange.md names the test that proves each layer of the threat model; every one is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import msgspec

from services.inference.mapping import Mapping, read_mapping
from tests.contract import corpus_operators, corpus_sizes
from tests.contract.corpus_parts import SPOILT
from tests.contract.model_corpus import corpus

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "exchange.md").read_text("utf-8")
ROW = re.compile(r"^\|.*\|.*\|.*\| (.+) \|$", re.M)


def test_every_test_that_the_threat_model_names_is_there() -> None:
    crafted = {x.name for x in corpus()}
    cells = [x for x in ROW.findall(PAGE) if "`" in x]
    assert len(cells) > 20
    for token in re.findall(r"`([^`]+)`", " ".join(cells)):
        file, _, name = token.partition("::")
        if not file.endswith(".py"):
            assert token in crafted or _has(TESTS / "contract" / "test_exchange.py", token), token
            continue
        found = list(TESTS.rglob(file))
        assert len(found) == 1, token
        assert not name or _has(found[0], name.rstrip("*")), token


def _has(file: Path, name: str) -> bool:
    return re.search(rf"^(async )?def {re.escape(name)}", file.read_text("utf-8"), re.M) is not None


def test_the_numbers_of_files_are_right() -> None:
    told = [int(x) for x in re.findall(r"\((\d+) files\)", PAGE)]
    by_module = {
        module: [x for _, _, x, _ in SPOILT if x.__module__ == module.__name__]
        for module in (corpus_operators, corpus_sizes)
    }
    external = [x for x in by_module[corpus_operators] if x.__name__.startswith("external_")]
    assert told == [len(external), len(by_module[corpus_sizes])]


def test_the_mapping_file_of_the_page_names_every_field() -> None:
    text = PAGE.split("```toml\n")[1].split("```")[0]
    said = msgspec.toml.decode(text)
    assert set(said) == {x.name for x in fields(Mapping)}
    assert read_mapping(text).classes == ("CD", "HYP", "MI", "STTC")
