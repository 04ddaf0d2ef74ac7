"""The README is true: its commands exist, its folders exist, its snippet is Python."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [README, *(p.read_text("utf-8") for p in sorted((ROOT / "docs").glob("*.md")))]


def targets() -> set[str]:
    found = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return set(found)


def test_each_make_command_of_the_documents_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page, re.MULTILINE)}
    assert {"run", "test", "demo"} <= named
    assert named <= targets()


def test_make_lists_its_targets() -> None:
    command = ["make", "--silent", "--no-print-directory", "help"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines()} == targets()


@pytest.mark.parametrize(
    "path",
    sorted({p for p in re.findall(r"`((?:[a-z_]+/)+[a-z_./]*)`", README) if "<" not in p and p != "data/"}),
)
def test_each_path_of_the_readme_exists(path: str) -> None:
    # Some are named relative to the folder before them in the same row.
    assert any((base / path).exists() for base in (ROOT, ROOT / "exchangeai", ROOT / "benchmarks"))


def test_each_variable_of_the_operations_page_is_known() -> None:
    import dataclasses
    import importlib
    import typing

    from exchangeai.__main__ import SERVICES
    from exchangeai.config import PREFIX

    def variables(kind: type, prefix: str) -> set[str]:
        found: set[str] = set()
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            name, hint = prefix + field.name.upper(), hints[field.name]
            nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
            found |= variables(hint, name + "_") if nested else {name}
        return found

    known = {
        v
        for service in SERVICES
        for v in variables(importlib.import_module(f"services.{service}.main").Config, PREFIX)
    }
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert set(re.findall(r"`(EXCHANGEAI_[A-Z_]+)`", page)) <= known


def test_the_snippets_are_python() -> None:
    for snippet in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        ast.parse(snippet)


def test_reading_as_the_pages_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for page in (README, (ROOT / "docs" / "formats.md").read_text("utf-8")):
        [snippet] = re.findall(r"```python\n(from exchangeai import read_ecg.*?)```", page, re.DOTALL)
        subprocess.run([sys.executable, "-c", snippet], check=True, timeout=60)
