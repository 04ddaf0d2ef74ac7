"""Which of many files belong to one WFDB record: header, segments, signal files, annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exchangeai.formats._wfdb_header import members_of

_HEAD_BYTES = 1 << 16


def records_among(
    names: Sequence[str], heads: Mapping[str, bytes], claimed: Callable[[str], bool]
) -> list[tuple[str, ...]]:
    """The files of each record that has a header; files that belong to none are left out.

    A header takes what it names from its own folder, segments take theirs, and unrecognised binary files of a
    header's own stem (annotations) come with it. A file that two records name is in both.
    `claimed` says whether some reader recognises a file alone.
    """
    members: dict[str, list[str]] = {}
    for name in names:
        wanted = members_of(heads[name])
        if wanted is not None:
            folder = name[: _base_at(name)]
            members[name] = [folder + x for x in wanted if folder + x in heads and folder + x != name]
    segments = {x for found in members.values() for x in found if x in members}
    roots = [x for x in members if x not in segments]
    records = {root: _all_below(root, members) for root in roots}
    # Headers that only name each other have no root, yet they are one (bad) record.
    reached = {x for found in records.values() for x in found}
    for name in members:
        if name not in reached:
            records[name] = _all_below(name, members)
            reached.update(records[name])
    _add_companions(names, heads, records, members, claimed)
    return [tuple(x) for x in records.values()]


def _all_below(root: str, members: Mapping[str, Sequence[str]]) -> dict[str, None]:
    found = {root: None}
    waiting = [root]
    while waiting:
        for name in members.get(waiting.pop(), ()):
            if name not in found:
                found[name] = None
                waiting.append(name)
    return found


def _add_companions(
    names: Sequence[str],
    heads: Mapping[str, bytes],
    records: Mapping[str, dict[str, None]],
    headers: Mapping[str, Sequence[str]],
    claimed: Callable[[str], bool],
) -> None:
    """Annotations of a whole record; those of a segment cannot be read through the whole (guide 5.5)."""
    by_stem = {_stem(root): root for root in records}
    taken = {x for found in records.values() for x in found}
    for name in names:
        root = by_stem.get(_stem(name))
        if root is None or name in taken or name in headers:
            continue
        binary = any(b < 9 or 13 < b < 32 for b in heads[name][:_HEAD_BYTES])
        if binary and not claimed(name):
            records[root][name] = None


def _base_at(name: str) -> int:
    return max(name.rfind("/"), name.rfind("\\")) + 1


def _stem(name: str) -> str:
    """The name with its folder but without its suffix."""
    dot = name.rfind(".")
    return name[:dot] if dot > _base_at(name) else name
