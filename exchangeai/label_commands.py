"""The command `labels`: a plain label table out of what a public data set publishes."""

from __future__ import annotations

import argparse
import csv
import sys
from contextlib import ExitStack

from exchangeai.errors import ExchangeaiError
from exchangeai.plugins import modules_in

PUBLISHED = "exchangeai.tables.published"


def labels(arguments: argparse.Namespace) -> int:
    """Write the table; 1 when the source is not what the set publishes."""
    rows = modules_in(PUBLISHED)[arguments.set].rows(arguments.source)
    try:
        first = next(rows)
        with ExitStack() as stack:
            out = sys.stdout
            if arguments.out is not None:
                out = stack.enter_context(arguments.out.open("w", newline="", encoding="utf-8"))
            writer = csv.DictWriter(out, list(first), lineterminator="\n")
            writer.writeheader()
            writer.writerow(first)
            writer.writerows(rows)
    except ExchangeaiError as e:
        print(f"exchangeai labels: {e}", file=sys.stderr)
        return 1
    return 0
