"""The command `models`: verify, sign and wrap model files offline; import and export them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exchangeai.config import StoreConfig, from_env
from exchangeai.errors import (
    ContractViolation,
    ExchangeaiError,
    InvalidArgument,
    NotFound,
    ReaderCrashed,
    TooLarge,
)
from exchangeai.facts import SignatureVerdict
from exchangeai.model_file import model_digest
from exchangeai.model_parcel import MODEL_SUFFIX, Parcel, fetch_parcel, read_parcel, write_parcel
from exchangeai.sandbox import Sandbox
from exchangeai.signatures import SUFFIX, Judgement, judge, read_trusted_keys, sign
from exchangeai.store import BlockingStore, open_blocking_store

REFUSED, WRONG = 1, 2
S3, TLS, PLAIN = "s3://", "grpcs://", "grpc://"
_VETTING, _WRAPPING = "services.inference.vetting", "services.inference.wrapping"
_SHOWN_CLASSES = 12


def models(options: argparse.Namespace) -> int:
    """Do what the arguments say; returns the exit status."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "verify": _verify,
        "sign": _sign,
        "wrap": _wrap,
        "import": _import,
        "export": _export,
    }
    try:
        return actions[options.action](options)
    except (ContractViolation, TooLarge) as e:
        print(f"refused: {e}", file=sys.stderr)
        return REFUSED
    except ExchangeaiError as e:
        print(f"exchangeai models {options.action}: {e}", file=sys.stderr)
    except OSError as e:
        print(f"exchangeai models {options.action}: {e.filename}: {e.strerror}", file=sys.stderr)
    except ModuleNotFoundError as e:
        print(f"exchangeai models: {e.name} is missing; install exchangeai[inference]", file=sys.stderr)
    return WRONG


def _verify(options: argparse.Namespace) -> int:
    parcel = read_parcel(options.file)
    signature = options.signature.read_bytes() if options.signature else parcel.signature
    digest = model_digest(parcel.data)
    judgement = judge(signature, digest, read_trusted_keys(options.keys))
    if options.require_signature and judgement.signature is not SignatureVerdict.TRUSTED:
        raise ContractViolation(f"no trusted key has signed the model; its signature is {_told(judgement)}")
    vetting: Any = importlib.import_module(_VETTING)
    manifest = vetting.read_verdict(_sandboxed(vetting.TARGET, parcel.data))
    names = [x.name for x in manifest.classes]
    more = f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    lines = {
        "name": manifest.name,
        "task": f"{manifest.task.value}, {len(names)} classes: {', '.join(names[:_SHOWN_CLASSES])}{more}",
        "digest": digest,
        "signature": _told(judgement),
        "licence": manifest.licence or "not stated",
        "verdict": "accepted: an import would take it into quarantine",
    }
    for what, text in lines.items():
        print(f"{what:<10} {_printable(text)}")
    return 0


def _sign(options: argparse.Namespace) -> int:
    data, pem = options.file.read_bytes(), options.key.read_text("ascii", "replace")
    secret = getpass.getpass("passphrase of the key: ") if "ENCRYPTED" in pem else None
    signature = sign(data, name=options.name, version=options.version, private_key=pem, passphrase=secret)
    beside = options.file.with_name(options.file.name + SUFFIX)
    beside.write_bytes(signature)
    print(f"{beside}: {options.name} version {options.version}, digest {model_digest(data)}")
    return 0


def _wrap(options: argparse.Namespace) -> int:
    mapping = options.mapping.read_text("utf-8", "replace") if options.mapping else ""
    name = options.name or _plain_name(options.file.stem)
    wrapping: Any = importlib.import_module(_WRAPPING)
    request = msgspec.msgpack.encode((options.file.read_bytes(), mapping, name))
    wrapped = _sandboxed(wrapping.TARGET, request)
    options.out.write_bytes(wrapped)
    print(f"{options.out}: digest {model_digest(wrapped)}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from exchangeai.rpc.models import open_models

    name, parcel = _fetched(options.source, options.ca)
    name = options.name or name
    address, tls = _address(options.to)
    with open_models(address, tls=tls, ca_file=options.ca) as service:
        model = service.take_in(name, parcel)
    judgement = Judgement(signature=model.signature, signed_by=model.signed_by)
    print(f"{model.name} version {model.version}, digest {model.digest}")
    print(f"signature  {_told(judgement)}")
    if model.quarantined:
        print("It is in quarantine: a person must approve it before it predicts.")
    return 0


def _export(options: argparse.Namespace) -> int:
    from exchangeai.rpc.models import open_models

    address, tls = _address(options.address)
    with open_models(address, tls=tls, ca_file=options.ca) as service:
        version, parcel = service.give_out(options.name, options.version)
    stem = f"{options.name}.{version}"
    if options.out.startswith(S3):
        prefix = options.out.removeprefix(S3).rstrip("/")
        store = _store(prefix)
        written = write_parcel(parcel, stem, lambda name, data: store.put(f"{prefix}/{name}", data))
    else:
        folder = Path(options.out)
        folder.mkdir(parents=True, exist_ok=True)
        written = write_parcel(parcel, stem, lambda name, data: _written(folder / name, data))
    for name in written:
        print(f"{options.out.rstrip('/')}/{name}")
    return 0


def _fetched(source: str, ca_file: str) -> tuple[str, Parcel]:
    """(name, model) of what the command line calls SOURCE."""
    if source.startswith(S3):
        prefix = source.removeprefix(S3)
        return _name_of(Path(prefix.rstrip("/"))), fetch_parcel(_store(prefix), prefix)
    if source.startswith((TLS, PLAIN)):
        from exchangeai.rpc.models import open_models

        name, version = _asked(source)
        address, tls = _address(source)
        with open_models(address, tls=tls, ca_file=ca_file) as service:
            return name, service.give_out(name, version)[1]
    path = Path(source)
    parcel = read_parcel(path)
    return _name_of(path.resolve()), parcel


def _asked(source: str) -> tuple[str, int]:
    parts = [x for x in urlsplit(source).path.split("/") if x]
    if len(parts) not in (1, 2) or (len(parts) == 2 and not parts[1].isdecimal()):
        raise InvalidArgument(f"{source} names no model: it must be {TLS}HOST:PORT/NAME or …/NAME/VERSION")
    return parts[0], int(parts[1]) if len(parts) == 2 else 0


def _address(text: str) -> tuple[str, bool]:
    """(host:port, whether TLS) of `host:port`, `grpc://host:port/…` or `grpcs://host:port/…`."""
    if "://" not in text:
        return text, False
    parts = urlsplit(text)
    if parts.scheme not in ("grpc", "grpcs") or not parts.netloc:
        raise InvalidArgument(f"{text} is no address; give HOST:PORT, or {TLS}HOST:PORT for TLS")
    return parts.netloc, parts.scheme == "grpcs"


def _name_of(path: Path) -> str:
    """`guest` of `guest.onnx` and of `guest.3.onnx`; the folder's for `guest/model.onnx` and for a folder."""
    if path.suffix != MODEL_SUFFIX:
        return _plain_name(path.name)
    if path.stem == "model":
        return _plain_name(path.parent.name)
    return _plain_name(re.sub(r"\.\d+$", "", path.stem))


def _plain_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63] or "model"


def _store(prefix: str) -> BlockingStore:
    bucket = prefix.partition("/")[0]
    if not bucket:
        raise NotFound(f"{S3} names no bucket")
    config = from_env(StoreConfig, os.environ, "EXCHANGEAI_STORE_")
    return open_blocking_store(config, frozenset({bucket}))


def _written(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _sandboxed(target: str, payload: bytes) -> bytes:
    vetting: Any = importlib.import_module(_VETTING)

    async def call() -> bytes:
        sandbox = Sandbox(target, timeout_s=vetting.TIMEOUT_S, memory_bytes=vetting.MEMORY_BYTES)
        try:
            return await sandbox.call(payload)
        except ReaderCrashed as e:
            raise vetting.refusal(e) from e
        finally:
            await sandbox.close()

    return asyncio.run(call())


def _told(judgement: Judgement) -> str:
    match judgement.signature:
        case SignatureVerdict.TRUSTED:
            said = judgement.statement
            what = f" as {said.name} version {said.version or 'unknown'}" if said is not None else ""
            return f"trusted: signed by {judgement.signed_by}{what}"
        case SignatureVerdict.UNKNOWN_KEY:
            return "by a key that is not in the trust list"
        case SignatureVerdict.UNSIGNED:
            return "none: the model is unsigned"


def _printable(text: str) -> str:
    """A file may put control characters of terminals into its names."""
    return "".join(x if x.isprintable() else "�" for x in text)
