"""What a child process gives up before it touches untrusted bytes: the network, and all files but its own.

Everything here is on top of the limits that always hold: systems that do not offer it (old kernels,
containers that forbid it) run without. Landlock needs Linux 5.13, for TCP 6.7.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_QUESTION = 1
_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_WRITE_FILE, _REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 1, 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_TCP = 0b11
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_WRITING = _READING | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_OF_FILES = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE
"""Rights that a rule on a single file may grant."""
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files each version of Landlock knows."""


def leave_the_network() -> None:
    """Move into a network namespace without interfaces; most containers forbid it, which is fine."""
    try:
        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    except (OSError, AttributeError):
        return


def confine_files(*, readable: Iterable[str | Path], writable: Iterable[str | Path]) -> bool:
    """Allow this process files beneath these paths only, and no TCP; whether the system offers that.

    Irreversible, and inherited by what the process starts.
    """
    if sys.platform != "linux":
        return False
    kernel = ctypes.CDLL(None, use_errno=True)
    version = kernel.syscall(_CREATE_RULESET, None, 0, _VERSION_QUESTION)
    if version < 1:
        return False
    handled = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    wanted = struct.pack("<QQ", handled, _TCP) if version >= 4 else struct.pack("<Q", handled)
    rules = kernel.syscall(_CREATE_RULESET, wanted, ctypes.c_size_t(len(wanted)), 0)
    if rules < 0:
        return False
    try:
        for paths, rights in ((readable, _READING), (writable, _WRITING)):
            for path in paths:
                _allow(kernel, rules, Path(path), rights & handled)
        kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return kernel.syscall(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def python_paths() -> list[Path]:
    """Where this interpreter finds its libraries; parts of them are only loaded when they are needed."""
    found = {Path(x).resolve() for x in (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/proc/self")}
    # Of a folder that holds more than libraries (a checkout) only the packages in use.
    libraries = {Path(x).resolve() for x in sys.path if "site-packages" in x or "dist-packages" in x}
    ours = {Path(__file__).resolve().parent}
    devices = {Path(x) for x in ("/dev/null", "/dev/urandom", "/etc/localtime", "/sys/devices/system/cpu")}
    return sorted(x for x in found | libraries | ours | devices if x.exists())


def _allow(kernel: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        granted = rights if path.is_dir() else rights & _OF_FILES
        rule = struct.pack("<Qi", granted, place)
        kernel.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(place)
