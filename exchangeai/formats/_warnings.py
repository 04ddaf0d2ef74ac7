"""Warnings about channels, one sentence for all of them."""

from __future__ import annotations

from collections.abc import Sequence


def in_words(channels: Sequence[int], what: str) -> list[str]:
    """No warning for no channel, else one that counts them from 1 as the file does.

    >>> in_words([2, 4], "not a voltage")
    ['channels 2, 4: not a voltage']
    """
    if not channels:
        return []
    shown = ", ".join(str(x) for x in channels[:12]) + (", ..." if len(channels) > 12 else "")
    return [f"channel{'s' if len(channels) > 1 else ''} {shown}: {what}"]
