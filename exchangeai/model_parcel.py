"""What is handed over when a model changes hands: its file, the signature beside it, its card and figures.

In a folder or below an S3 prefix lie one `NAME.onnx`, `NAME.onnx.sig`, `card.md` and the card's figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchangeai.errors import ContractViolation, InvalidArgument, NotFound, TooLarge
from exchangeai.model_file import CARD_FILE
from exchangeai.signatures import SUFFIX
from exchangeai.store import BlockingStore

MODEL_SUFFIX = ".onnx"
MAX_CARD_BYTES = 1024 * 1024
MAX_FIGURES = 64
MAX_FIGURES_BYTES = 8 * 1024 * 1024
_FIGURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(svg|png)")
_ACTIVE = re.compile(rb"<\s*(script|foreignobject|iframe|embed|object|!entity)|\son\w+\s*=|javascript:", re.I)
"""What makes a picture a program when a browser opens it."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A model and what travels with it."""

    data: bytes
    signature: bytes = b""
    """OpenSSF model signature; empty for none."""
    card: str = ""
    """Markdown; empty for none."""
    figures: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """SVG or PNG by the names that the card links to."""


def check_card(card: str, figures: Mapping[str, bytes]) -> None:
    """Refuse what a card may not bring. Raises TooLarge, or ContractViolation that names the figure."""
    size = sum(map(len, figures.values()))
    if len(card.encode()) > MAX_CARD_BYTES or len(figures) > MAX_FIGURES or size > MAX_FIGURES_BYTES:
        raise TooLarge(
            f"a card may have {MAX_CARD_BYTES >> 20} MiB of text and {MAX_FIGURES} figures of together "
            f"{MAX_FIGURES_BYTES >> 20} MiB"
        )
    if figures and not card:
        raise ContractViolation("figures came without the card that shows them")
    for name, content in figures.items():
        if not _FIGURE_NAME.fullmatch(name):
            raise ContractViolation(
                f"a card's figure is named {name[:80]!r}; names are of letters, digits, '.', '_' and '-' and "
                "end in .svg or .png"
            )
        if name.endswith(".svg") and _ACTIVE.search(content):
            raise ContractViolation(f"the card's figure {name} holds a program; a figure is only a picture")


def read_parcel(source: Path) -> Parcel:
    """The parcel in a folder, or of a file: its signature and card are those beside it.

    A card is taken only when the folder has one model, because it would not say which one it is of.
    Raises NotFound or InvalidArgument.
    """
    if not source.exists():
        raise NotFound(f"there is no file or folder {source}")
    folder = source if source.is_dir() else source.parent
    names = [x.name for x in folder.iterdir() if x.is_file() and not x.name.startswith(".")]
    return _put_together(
        names, lambda name: (folder / name).read_bytes(), None if source.is_dir() else source.name
    )


def fetch_parcel(store: BlockingStore, prefix: str) -> Parcel:
    """The parcel below `bucket/prefix`, or of the object `bucket/…/NAME.onnx`. Raises as `read_parcel`."""
    folder, _, only = (
        prefix.rpartition("/") if prefix.endswith(MODEL_SUFFIX) else (prefix.rstrip("/"), "", "")
    )
    start = f"{folder}/"
    names = [x.removeprefix(start) for x in store.list(start)]
    return _put_together(
        [x for x in names if x and "/" not in x], lambda name: store.get(start + name), only or None
    )


def write_parcel(parcel: Parcel, stem: str, write: Callable[[str, bytes], None]) -> list[str]:
    """Write the parcel's files, the model last, so that who sees it sees the others; returns their names."""
    files = {x: parcel.figures[x] for x in sorted(parcel.figures)}
    if parcel.card:
        files[CARD_FILE] = parcel.card.encode()
    if parcel.signature:
        files[f"{stem}{MODEL_SUFFIX}{SUFFIX}"] = parcel.signature
    files[f"{stem}{MODEL_SUFFIX}"] = parcel.data
    for name, data in files.items():
        write(name, data)
    return list(files)


def _put_together(names: Iterable[str], read: Callable[[str], bytes], only: str | None) -> Parcel:
    there = set(names)
    models = sorted(x for x in there if x.endswith(MODEL_SUFFIX))
    if only is None:
        if len(models) != 1:
            raise InvalidArgument(
                f"there are {len(models)} model files (*{MODEL_SUFFIX}) in this place; name one of them"
            )
        only = models[0]
    elif only not in there:
        raise NotFound(f"there is no {only} in this place")
    signature = read(only + SUFFIX) if only + SUFFIX in there else b""
    card, figures = "", dict[str, bytes]()
    if CARD_FILE in there and models in ([only], []):
        try:
            card = read(CARD_FILE).decode()
        except UnicodeDecodeError as e:
            raise InvalidArgument(f"{CARD_FILE} is no UTF-8 text") from e
        figures = {x: read(x) for x in sorted(there) if _FIGURE_NAME.fullmatch(x) and x in card}
    return Parcel(data=read(only), signature=signature, card=card, figures=figures)
