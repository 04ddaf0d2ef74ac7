"""Vets each file in a child process of its own: one that a model took over must not judge the next."""

from __future__ import annotations

from exchangeai.sandbox import Sandbox
from services.inference import vetting


class Vetter:
    """Runs `services.inference.vetting.vet_bytes` on one file at a time."""

    def __init__(self, target: str = vetting.TARGET) -> None:
        self._sandbox = Sandbox(target, timeout_s=vetting.TIMEOUT_S, memory_bytes=vetting.MEMORY_BYTES)

    async def start(self) -> None:
        """Start a child now, so that the first file need not wait for imports."""
        await self._sandbox.start()

    async def vet(self, data: bytes) -> bytes:
        """The verdict. Raises ContractViolation or TooLarge, or ReaderCrashed (see `vetting.refusal`)."""
        try:
            return await self._sandbox.call(data)
        finally:
            await self._sandbox.close()

    async def close(self) -> None:
        """End the child."""
        await self._sandbox.close()
