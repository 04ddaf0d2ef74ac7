"""Leads that are shorter than their file declares: accepted with a warning, or refused."""

from __future__ import annotations

from collections.abc import Iterable

from exchangeai.errors import Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE


def shortfall(found_and_declared: Iterable[tuple[int, int]], *, strict: bool) -> list[str]:
    """Warnings for leads with fewer samples than declared, none when all are whole; by pairs of counts.

    Raises Truncated when one holds less than half of what was declared, or when `strict`.
    """
    short = [(found, declared) for found, declared in found_and_declared if found < declared]
    if not short:
        return []
    share = min(found / declared for found, declared in short)
    if strict or share < MIN_LENGTH_SHARE:
        raise Truncated(
            f"a lead holds {share:.0%} of the samples that the file declares; send the whole file"
            + ("" if share < MIN_LENGTH_SHARE else ", or read it without `strict`")
        )
    return [f"the file is truncated: a lead holds {share:.0%} of the samples that it declares"]
