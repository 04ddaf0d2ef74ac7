"""The memory budget of loaded models: who stays, and who goes when another needs the room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from exchangeai.errors import NotReady


class Budget:
    """Sizes of loaded models in the order of their last use; 0 bytes means no bound.

    A size is that of the file times the sessions that hold it, which is what its weights take: measured
    growth of the process would count what its neighbours do meanwhile.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        """What the loaded models take."""
        return sum(self._sizes.values())

    def hold(self, key: str, size_bytes: int) -> None:
        """Count a model that was loaded."""
        self._sizes[key] = size_bytes
        self._sizes.move_to_end(key)

    def touch(self, key: str) -> None:
        """Note that a model was used."""
        if key in self._sizes:
            self._sizes.move_to_end(key)

    def release(self, key: str) -> None:
        """Stop counting a model."""
        self._sizes.pop(key, None)

    def make_room(self, key: str, size_bytes: int, keep: Callable[[str], bool]) -> list[str]:
        """The least recently used models that must go for one to fit; those to `keep` stay.

        Raises NotReady when it does not fit even then; nothing is changed in either case.
        """
        if not self._limit:
            return []
        free = self._limit - self.used_bytes + self._sizes.get(key, 0)
        going: list[str] = []
        for other, size in self._sizes.items():
            if free >= size_bytes:
                break
            if other != key and not keep(other):
                going.append(other)
                free += size
        if free < size_bytes:
            raise NotReady(
                f"it takes {size_bytes} bytes of memory and {max(free, 0)} of the {self._limit} for models "
                "can be freed; raise model_memory_bytes or deprecate models"
            )
        return going
