"""The command `results`: recorded results as files for other systems."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from exchangeai.errors import ExchangeaiError
from exchangeai.plugins import names_in
from exchangeai.results import Chunk

FAILED = 1


def add_results(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("results", help="take recorded results out of the platform")
    parser.add_argument("action", choices=("export",), help="write them as files")
    parser.add_argument("--from", dest="source", required=True, metavar="HOST:PORT", help="inference service")
    formats = [x.replace("_", "-") for x in names_in("exchangeai.results")]
    parser.add_argument("--to", required=True, choices=formats, help="format to write")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--recording", default="", help="only of this recording's id")
    parser.add_argument("--model", default="", metavar="NAME[:VERSION]", help="only of this model")


def results(arguments: argparse.Namespace) -> int:
    """Write the files; exit status 0, or 1 with the reason."""
    from exchangeai.rpc.results import export_results

    name, _, version = arguments.model.partition(":")
    try:
        if version and not version.isdecimal():
            print(f"exchangeai results: the version {version!r} is no number", file=sys.stderr)
            return FAILED
        chunks = export_results(
            arguments.source,
            arguments.to.replace("-", "_"),
            recording_id=arguments.recording,
            model_name=name,
            model_version=int(version or 0),
        )
        count = write(chunks, arguments.out)
    except (ExchangeaiError, OSError) as e:
        print(f"exchangeai results: {e}", file=sys.stderr)
        return FAILED
    print(f"{count} file{'' if count == 1 else 's'} in {arguments.out}")
    return 0


def write(chunks: Iterable[Chunk], folder: Path) -> int:
    """Write files, each of which appears whole or not at all; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, parts in groupby(chunks, lambda x: x.file):
        partial = folder / f".{name}.part"
        with ExitStack() as stack:
            stack.callback(partial.unlink, missing_ok=True)
            with partial.open("wb") as out:
                for part in parts:
                    out.write(part.data)
            partial.replace(folder / name)
        count += 1
    return count
