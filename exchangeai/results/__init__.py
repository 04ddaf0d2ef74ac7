"""Recorded answers, and the formats in which other systems take them.

A format is a module here with `writer() -> ResultWriter`; its file name is the format's name.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from exchangeai.plugins import modules_in
from exchangeai.results._places import ANY, fact_key, fact_pattern, object_key, object_prefix
from exchangeai.results._result import Chunk, Result, ResultWriter, decode, encode

__all__ = [
    "ANY",
    "Chunk",
    "Result",
    "ResultWriter",
    "decode",
    "encode",
    "fact_key",
    "fact_pattern",
    "formats",
    "object_key",
    "object_prefix",
]


@cache
def formats() -> dict[str, ModuleType]:
    """The format plug-ins by name."""
    return modules_in(__name__)
