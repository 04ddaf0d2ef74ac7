"""The Dockerfile lints, names only what exists, and makes images that need no privilege."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"
TEXT = DOCKERFILE.read_text()
SERVICES = {p.parent.name for p in (ROOT / "services").glob("*/__init__.py")}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_lint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    result = subprocess.run(
        [str(hadolint), str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_one_target_for_each_service() -> None:
    targets = set(re.findall(r'^FROM base AS (\w+)\nCMD \["(?:\1)"\]$', TEXT, re.MULTILINE))
    assert targets == SERVICES
    assert TEXT.rstrip().endswith("FROM ${SERVICE}")


def test_every_service_has_an_extra() -> None:
    assert SERVICES - {"ingest"} <= set(EXTRAS)
    assert "formats" in EXTRAS
    assert '"$SERVICE" = ingest ]; then extra=formats' in TEXT


def test_runs_without_privilege_and_gets_signals() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", TEXT, re.MULTILINE)
    assert 'ENTRYPOINT ["exchangeai", "serve"]' in TEXT


def test_pins_are_the_projects_own() -> None:
    (torch,) = (r for r in EXTRAS["trainer"] if r.startswith("torch"))
    assert f" {torch};" in TEXT
    lock = (ROOT / "requirements.lock").read_text()
    (setuptools,) = re.findall(r"setuptools==[\d.]+", TEXT)
    assert f"\n{setuptools} " in lock
    assert "--require-hashes" in TEXT


def test_context_and_copies_meet() -> None:
    allowed = re.findall(
        r"^!(\S+)$", DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(), re.MULTILINE
    )
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / source).exists() for source in copied)
