"""Plug-ins are modules in an agreed folder; being there is the registration, the file name is the key."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType


def modules_in(package: str) -> dict[str, ModuleType]:
    """Import and return the plug-in modules of a package by name, sorted.

    Sub-packages and modules whose name begins with an underscore are shared parts, not plug-ins.
    """
    return {name: importlib.import_module(f"{package}.{name}") for name in names_in(package)}


def names_in(package: str) -> list[str]:
    """The names alone, without importing any of them."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    found = pkgutil.iter_modules(folders or [])
    return sorted(x.name for x in found if not x.ispkg and not x.name.startswith("_"))
