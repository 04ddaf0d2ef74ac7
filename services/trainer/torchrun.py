"""torchrun, killed with whoever started it: `python -m services.trainer.torchrun ARGUMENTS`."""

from __future__ import annotations

import sys
from typing import Any, cast

from exchangeai.orphans import die_with_parent


def main(arguments: list[str]) -> None:
    """Hand over to torch's launcher."""
    die_with_parent()
    from torch.distributed import run

    cast(Any, run).main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
