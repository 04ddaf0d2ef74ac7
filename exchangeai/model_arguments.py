"""The arguments of the command `exchangeai models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SOURCE = (
    "a file NAME.onnx, with NAME.onnx.sig and, where it is alone, card.md beside it; a folder; "
    "s3://BUCKET/PREFIX of the S3 store that EXCHANGEAI_STORE_URL, _ACCESS_KEY and _SECRET_KEY name; or "
    "grpcs://HOST:PORT/NAME or …/NAME/VERSION of another instance"
)
_ADDRESS = "the inference service; grpcs://HOST:PORT for TLS"


def add_models(commands: Any) -> None:
    """Add the command with its actions."""
    parser = commands.add_parser(
        "models",
        help="list architectures; verify, sign, wrap, import and export models",
        description="Exit status: 0 done, 1 the model is refused, 2 wrong usage or no connection.",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="architectures: key, parameters, GFLOPs a window, and the paper")

    verify = actions.add_parser("verify", help="vet a model file as an import would, without any service")
    verify.add_argument("file", type=Path, metavar="FILE", help="a model file, or the folder that has one")
    verify.add_argument("--signature", type=Path, metavar="FILE", help="default: FILE.sig, where it is there")
    verify.add_argument("--keys", type=Path, metavar="FOLDER", help="public keys (PEM) that are trusted")
    verify.add_argument(
        "--require-signature", action="store_true", help="refuse what no trusted key has signed"
    )

    sign = actions.add_parser("sign", help="write FILE.sig, an OpenSSF model signature")
    sign.add_argument("file", type=Path, metavar="FILE")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key, PEM")
    sign.add_argument("--name", required=True, help="under which it may be imported")
    sign.add_argument("--version", type=int, required=True, help="above those that were signed before it")

    wrap = actions.add_parser("wrap", help="make a foreign ONNX model one of ours; docs/exchange.md says how")
    wrap.add_argument("file", type=Path, metavar="FILE")
    wrap.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="TOML that says what it takes and gives; without it, the metadata that ExChanGeAI writes do",
    )
    wrap.add_argument("--name", default="", help="default: that of the mapping, then of the file")
    wrap.add_argument("--out", type=Path, required=True, metavar="FILE", help="model file to write")

    take = actions.add_parser("import", help="send a model to an instance, where it waits for approval")
    take.add_argument("source", metavar="SOURCE", help=_SOURCE)
    take.add_argument("--to", required=True, metavar="HOST:PORT", help=_ADDRESS)
    take.add_argument("--name", default="", help="default: that of the source")

    give = actions.add_parser("export", help="fetch a model with its signature and card")
    give.add_argument("name", metavar="NAME")
    give.add_argument("--version", type=int, default=0, help="default: the newest")
    give.add_argument("--from", dest="address", required=True, metavar="HOST:PORT", help=_ADDRESS)
    give.add_argument("--out", required=True, metavar="FOLDER", help="folder, or s3://BUCKET/PREFIX")
    for action in (take, give):
        action.add_argument(
            "--ca",
            default="",
            metavar="FILE",
            help="authority of TLS certificates; default: the system's",
        )
