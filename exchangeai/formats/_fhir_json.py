"""FHIR JSON: parsed within limits, its resources found, its values, of whatever type, accessed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, cast

from exchangeai.errors import InvalidHeader, Truncated
from exchangeai.formats._xml_fields import number

Json = dict[str, Any]

_MAX_RESOURCES = 100_000


def resources(data: bytes) -> Iterator[tuple[str, Json]]:
    """Every resource of a document, or of one document a line, with the URL that its Bundle gives it.

    Bundles and contained resources are entered. Raises Truncated and InvalidHeader.
    """
    waiting: list[tuple[str, Any]] = [("", x) for x in reversed(_documents(data))]
    seen = 0
    while waiting:
        url, value = waiting.pop()
        resource = mapping(value)
        if not text(resource.get("resourceType")):
            continue
        seen += 1
        if seen > _MAX_RESOURCES:
            raise InvalidHeader(f"the file holds more than {_MAX_RESOURCES} resources; send parts of it")
        yield url, resource
        inner = [("#" + text(mapping(x).get("id")), x) for x in items(resource.get("contained"))]
        for entry in items(resource.get("entry")):
            held = mapping(entry)
            inner.append((text(held.get("fullUrl")), held.get("resource")))
        waiting.extend(reversed(inner))


def mapping(value: Any) -> Json:
    """A JSON object, or an empty one in the place of anything else."""
    return cast(Json, value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A JSON array; a single value as an array of one, None as an empty one."""
    if isinstance(value, list):
        return cast(list[Any], value)
    return [] if value is None else [value]


def text(value: Any) -> str:
    """A JSON string without blanks around it, or ""."""
    return value.strip() if isinstance(value, str) else ""


def decimal(value: Any) -> float | None:
    """A finite number, also one written as a string; else None."""
    if isinstance(value, str):
        return number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _documents(data: bytes) -> list[Any]:
    try:
        return [_parsed(data)]
    except json.JSONDecodeError as e:
        lines = [x for x in data.splitlines() if x.strip()]
        # Bulk export is one resource a line.
        if len(lines) > 1 and e.msg == "Extra data":
            try:
                return [_parsed(x) for x in lines]
            except json.JSONDecodeError as wrong:
                raise InvalidHeader("a line is no JSON; export the file again") from wrong
        if not data.rstrip().endswith(b"}"):
            raise Truncated("the JSON ends before its document does; send the whole file") from e
        raise InvalidHeader("the file is no well-formed JSON; export it again") from e


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError:
        raise
    except RecursionError as e:
        raise InvalidHeader("the JSON is nested too deeply to be FHIR; export the file again") from e
    except ValueError as e:
        # Bytes that are no Unicode, numbers of thousands of digits.
        raise InvalidHeader("the JSON holds text or numbers that are not valid; export the file again") from e
