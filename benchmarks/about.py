"""Where a figure comes from: the machine and the commit, as every benchmark names them."""

from __future__ import annotations

import os
import platform
import subprocess


def about() -> dict[str, str]:
    """`machine` and `commit`."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": found.stdout.strip(),
    }
