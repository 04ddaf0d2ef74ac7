"""Plug-ins are modules in an agreed folder; being there is the registration, the file name is the key."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules_in(package: str) -> dict[str, ModuleType]:
    """Import and return the plug-in modules of a package by name, sorted.

    Sub-packages and modules whose name begins with an underscore are shared parts, not plug-ins.
    """
    folder = importlib.import_module(package)
    names = sorted(
        x.name for x in pkgutil.iter_modules(folder.__path__) if not x.ispkg and not x.name.startswith("_")
    )
    return {name: importlib.import_module(f"{package}.{name}") for name in names}
