"""The groups of an HDF5 file that hold samples, with what attributes and other data sets say of them.

The file is opened from memory and may name nothing outside itself: links to other files, virtual data sets
and external storage are refused before anything is read. Sizes are bounded by what the file declares.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py as _h5py  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import numpy.typing as npt

from exchangeai.errors import ExchangeaiError, InvalidHeader, Truncated, UnsafeReference
from exchangeai.formats._hdf5_bytes import check_bytes
from exchangeai.formats._hdf5_values import Budget, attributes, dataset_value
from exchangeai.formats._named_facts import MAX_NAME, Value, is_fact, is_record, names_ecg, texts
from exchangeai.formats._named_values import no_samples, records_of
from exchangeai.formats._options import ReadOptions, ReadResult

h5py: Any = _h5py
"""The library has no types."""

_MAX_NODES = 20_000
_MAX_DEPTH = 16


@dataclass(kw_only=True)
class _Source:
    """A group that holds samples."""

    name: str
    facts: dict[str, Value]
    signals: dict[str, Value]

    @property
    def weight(self) -> int:
        """2 for tables of samples and arrays named as ECG, 1 for other arrays."""
        tables = any(
            isinstance(x, np.ndarray) and x.ndim > 1 and min(x.shape) > 1 for x in self.signals.values()
        )
        return 2 if tables or any(map(names_ecg, self.signals)) else 1


@dataclass(kw_only=True)
class _Walk:
    matlab: bool
    budget: Budget
    nodes_left: int = _MAX_NODES
    seen: set[int] = field(default_factory=set[int])
    warnings: list[str] = field(default_factory=list[str])


def records_in(
    format_name: str, data: bytes, options: ReadOptions, *, reversed_axes: bool = False
) -> list[ReadResult]:
    """The recordings of all groups that hold samples; `reversed_axes` for MATLAB, which writes them so.

    Raises UnsafeReference for what points outside the file; InvalidHeader, Truncated, EmptyFile and
    MissingMetadata as for other containers.
    """
    walk = _Walk(matlab=reversed_axes, budget=Budget.of(len(data)))
    check_bytes(data)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            sources = list(_sources(file, "", {}, walk, 0))
    except ExchangeaiError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as e:
        if "truncated file" in str(e):
            raise Truncated("the HDF5 file is shorter than it declares; send the whole file") from e
        raise InvalidHeader(
            f"the structure of the HDF5 file is damaged ({type(e).__name__}); export it again"
        ) from e
    if not sources:
        raise no_samples(walk.warnings)
    best = max(x.weight for x in sources)
    chosen = [x for x in sources if x.weight == best]
    if len(chosen) < len(sources):
        walk.warnings.append(f"{len(sources) - len(chosen)} groups of the file hold no ECG and were left out")
    results: list[ReadResult] = []
    for source in chosen:
        values = source.facts | source.signals
        if len(chosen) > 1 and not any(map(is_record, values)):
            values["record_id"] = source.name
        results += records_of(format_name, values, options, source_bytes=len(data), warnings=walk.warnings)
    return results


def _sources(
    group: Any, name: str, inherited: dict[str, Value], walk: _Walk, depth: int
) -> Iterator[_Source]:
    """This group, if it holds samples, and those below it; facts of outer groups hold for inner ones."""
    if depth > _MAX_DEPTH:
        raise InvalidHeader("the groups of the HDF5 file are nested too deeply")
    facts = inherited | {x: y for x, y in attributes(group, walk.budget).items() if is_fact(x)}
    signals: dict[str, Value] = {}
    groups: list[tuple[str, Any]] = []
    for member in group:
        child = _member(group, str(member), walk)
        if child is None:
            continue
        if isinstance(child, h5py.Group):
            groups.append((str(member), child))
        elif isinstance(child, h5py.Dataset):
            _add(str(member)[:MAX_NAME], child, facts, signals, walk)
    if signals:
        yield _Source(name=name, facts=facts, signals=signals)
    for member, child in groups:
        yield from _sources(child, member, facts, walk, depth + 1)


def _member(group: Any, name: str, walk: _Walk) -> Any:
    """An object that the group itself holds, once; None for what is not followed."""
    walk.nodes_left -= 1
    if walk.nodes_left < 0:
        raise InvalidHeader(f"the HDF5 file holds more than {_MAX_NODES} objects; split it")
    if walk.matlab and name.startswith("#"):
        return None
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise UnsafeReference(
            "the HDF5 file points to another file; nothing was opened. Copy the data into one"
        )
    if not isinstance(link, h5py.HardLink):
        walk.warnings.append(
            "links within the HDF5 file are not followed; what they name is read in its place"
        )
        return None
    child = group[name]
    address = h5py.h5o.get_info(child.id).addr
    if address in walk.seen:
        return None
    walk.seen.add(address)
    return child


def _add(name: str, dataset: Any, facts: dict[str, Value], signals: dict[str, Value], walk: _Walk) -> None:
    """Put a data set among the facts or the signals, and its attributes among the facts."""
    value = dataset_value(dataset, walk.budget, walk.warnings, matlab=walk.matlab)
    if value is None:
        return
    said = {x: y for x, y in attributes(dataset, walk.budget).items() if is_fact(x)}
    if isinstance(value, dict):
        signals |= value
    elif not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or _is_said(name, value):
        facts[name] = value
    elif value.size > 1:
        unit = [y for x in ("unit", "units") if x in said for y in texts(said.pop(x))]
        if len(unit) == 1 and value.ndim == 1:
            # One array a lead: each may have a unit of its own.
            name = f"{name} [{unit[0]}]"
        elif unit:
            said["units"] = unit
        signals[name] = value
    facts |= {x: y for x, y in said.items() if not walk.matlab}


def _is_said(name: str, value: npt.NDArray[Any]) -> bool:
    """Whether numbers are a fact of the signal: one, or one for each record."""
    return is_fact(name) and sum(x > 1 for x in value.shape) < 2
