"""Writers, one format per module: a de-identified recording becomes files that other programs read.

A plug-in is a module here with `write(recording, name) -> Written`; its file name is the format's name. Only
what a `Recording` holds is written, so no writer can tell who somebody is.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from exchangeai.plugins import modules_in
from exchangeai.writers._written import Written

__all__ = ["Written", "writers"]


@cache
def writers() -> dict[str, ModuleType]:
    """The format plug-ins by name."""
    return modules_in(__name__)
