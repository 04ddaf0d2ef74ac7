"""CPSC 2018 as the PhysioNet Challenges 2020 and 2021 publish it: codes out of the headers' comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exchangeai.errors import InvalidArgument

SUMMARY = "CPSC 2018: the folder with the .hea files of the PhysioNet Challenge 2020/2021 (Liu et al. 2018)."
CLASSES = {
    "426783006": "NORMAL",
    "164889003": "AF",
    "270492004": "IAVB",
    "164909002": "LBBB",
    "59118001": "RBBB",
    "284470004": "PAC",
    "164884008": "PVC",
    "429622005": "STD",
    "164931005": "STE",
}
"""SNOMED CT codes of the set's nine classes."""
_PREFIXES = ("#Dx:", "# Dx:")


def rows(source: Path) -> Iterator[dict[str, str]]:
    """One row for each header, sorted by name; the set tells nothing of patients."""
    headers = sorted(source.rglob("*.hea"))
    if not headers:
        raise InvalidArgument("there is no .hea file below the folder; name the one with the set's records")
    for path in headers:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        stated = [line for line in lines if line.startswith(_PREFIXES)]
        if not stated:
            raise InvalidArgument(f"{path.name} has no line #Dx; is it of the Challenge's edition?")
        codes = stated[0].partition(":")[2].split(",")
        labels = [CLASSES[x.strip()] for x in codes if x.strip() in CLASSES]
        yield {"recording": path.stem, "labels": ";".join(labels)}
