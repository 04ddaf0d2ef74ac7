"""Who may know whom (.importlinter), and the rules of the house that a machine can see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("exchangeai", "services", "demo", "tests", "benchmarks", "protos")
GENERATED = ("exchangeai/v1/", "exchangeai/events/", "exchangeai/inference/")
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
MAX_LINES = 400


def _modules() -> list[Path]:
    found = (p.relative_to(ROOT) for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))
    return sorted(p for p in found if not p.as_posix().startswith(GENERATED))


MODULES = _modules()
NAMES = [p.as_posix() for p in MODULES]


def test_import_contracts_are_kept() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run(
        [str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_is_short_named_and_says_what_it_does(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert not {part.removesuffix(".py") for part in path.parts} & BANNED
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":")), "the first sentence is not finished"


def test_every_service_is_in_the_independence_contract() -> None:
    rules = (ROOT / ".importlinter").read_text()
    contract = rules.split("[importlinter:contract:services]")[1].split("[importlinter:", 1)[0]
    for service in (ROOT / "services").glob("*/__init__.py"):
        assert f"services.{service.parent.name}\n" in contract
