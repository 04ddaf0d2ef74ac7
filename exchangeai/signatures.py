"""Detached signatures of model files: OpenSSF Model Signing (OMS) with elliptic curve keys, offline.

A signature is a Sigstore bundle v0.3 (JSON) around a DSSE envelope around an in-toto statement with the
SHA-256 of the file, as the tool `model_signing` 1.x writes it with `sign key FILE --private_key KEY`. The
statements written here also name the model and its version, in a field of the predicate that other
verifiers ignore; a statement without it names the model by its subject, the file's name without `.onnx`.

Sources: https://github.com/ossf/model-signing-spec (v1.0), https://github.com/secure-systems-lab/dsse
(protocol 1.0.2), https://docs.sigstore.dev/about/bundle.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from Crypto.Hash import SHA256, SHA384, SHA512
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS

from exchangeai.errors import ContractViolation, InvalidArgument, NotFound
from exchangeai.facts import SignatureVerdict

SUFFIX = ".sig"
"""A signature lies beside its file: `model.onnx.sig`."""
MAX_BYTES = 64 * 1024
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
T = TypeVar("T")
_HASHES = {"NIST P-256": SHA256, "NIST P-384": SHA384, "NIST P-521": SHA512}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a signer says of a file."""

    name: str
    version: int
    """0 when the statement does not say it."""
    digest: str
    """SHA-256, hex, of the file."""


@dataclass(frozen=True, kw_only=True)
class TrustedKey:
    """A public key whose holder this site trusts."""

    name: str
    """Stem of its file: `muenster` for `muenster.pem`."""
    key: ECC.EccKey
    fingerprint: str
    """SHA-256, hex, of the key as PEM; the bundle says it as its hint."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is known of a file's signature, and what was signed when the signer is trusted."""

    signature: SignatureVerdict
    signed_by: str = ""
    statement: Statement | None = None


UNSIGNED = Judgement(signature=SignatureVerdict.UNSIGNED)


class _PublicKey(msgspec.Struct):
    hint: str | None = None


class _Material(msgspec.Struct, rename="camel"):
    public_key: _PublicKey | None = None
    tlog_entries: list[msgspec.Raw] = []


class _Signature(msgspec.Struct):
    sig: bytes
    keyid: str = ""


class _Envelope(msgspec.Struct, rename="camel"):
    payload: bytes
    payload_type: str
    signatures: list[_Signature]


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Envelope


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Resource(msgspec.Struct):
    name: str
    algorithm: str
    digest: str


class _Serialization(msgspec.Struct):
    method: str = "files"
    hash_type: str = "sha256"
    allow_symlinks: bool = False
    ignore_paths: list[str] = []


class _Model(msgspec.Struct):
    name: str
    version: int


class _Predicate(msgspec.Struct):
    resources: list[_Resource]
    serialization: _Serialization
    exchangeai: _Model | None = None


class _Statement(msgspec.Struct, rename="camel"):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicate_type: str
    predicate: _Predicate


def sign(data: bytes, *, name: str, version: int, private_key: str, passphrase: str | None = None) -> bytes:
    """A signature of a file's bytes that names the model and its version (from 1).

    `private_key` is PEM (SEC 1 or PKCS 8) on P-256, P-384 or P-521. Equal input gives equal bytes (RFC 6979).
    Raises InvalidArgument.
    """
    if version < 1:
        raise InvalidArgument("a signed model has a version from 1")
    key = _read_key(private_key, passphrase)
    if not key.has_private():
        raise InvalidArgument("this is a public key; sign with the private one")
    digest = hashlib.sha256(data)
    root = hashlib.sha256(digest.digest()).hexdigest()
    statement = _Statement(
        type=_STATEMENT,
        subject=[_Subject(name=f"{name}.onnx", digest={"sha256": root})],
        predicate_type=_PREDICATE,
        predicate=_Predicate(
            resources=[_Resource(name=".", algorithm="sha256", digest=digest.hexdigest())],
            serialization=_Serialization(),
            exchangeai=_Model(name=name, version=version),
        ),
    )
    payload = msgspec.json.encode(statement)
    signature = DSS.new(key, "deterministic-rfc6979", encoding="der").sign(_hashed(key, payload))
    bundle = _Bundle(
        media_type=_BUNDLE,
        verification_material=_Material(public_key=_PublicKey(hint=_fingerprint(key))),
        dsse_envelope=_Envelope(
            payload=payload, payload_type=_PAYLOAD, signatures=[_Signature(sig=signature)]
        ),
    )
    return msgspec.json.encode(bundle)


def judge(signature: bytes, data_digest: str, keys: Iterable[TrustedKey]) -> Judgement:
    """What a signature says of the file with this SHA-256 (hex); no bytes are no signature.

    Raises ContractViolation when the signature is damaged, is one of another file, or claims a trusted key
    that did not make it: such a file was tampered with, which is worse than none having signed it.
    """
    if not signature:
        return UNSIGNED
    if len(signature) > MAX_BYTES:
        raise ContractViolation(f"the signature is larger than {MAX_BYTES} bytes, so it is none")
    bundle = _decode(signature, _Bundle)
    envelope, material = bundle.dsse_envelope, bundle.verification_material
    if bundle.media_type != _BUNDLE or envelope.payload_type != _PAYLOAD or len(envelope.signatures) != 1:
        raise ContractViolation("the signature is no OpenSSF model signature (a Sigstore bundle v0.3)")
    statement = _read_statement(envelope.payload)
    if statement.digest != data_digest:
        raise ContractViolation(
            "the signature is one of another file: the digest that was signed is not this file's; "
            "the file was changed or swapped"
        )
    hint = material.public_key.hint if material.public_key is not None else None
    candidates = [x for x in keys if not hint or x.fingerprint == hint]
    for candidate in candidates:
        try:
            DSS.new(candidate.key, "fips-186-3", encoding="der").verify(
                _hashed(candidate.key, envelope.payload), envelope.signatures[0].sig
            )
        except ValueError:
            continue
        return Judgement(signature=SignatureVerdict.TRUSTED, signed_by=candidate.name, statement=statement)
    if hint and candidates:
        raise ContractViolation(
            f"the signature is wrong: it claims the trusted key {candidates[0].name!r}, which did not make it"
        )
    return Judgement(signature=SignatureVerdict.UNKNOWN_KEY)


def read_trusted_keys(folder: Path | None) -> tuple[TrustedKey, ...]:
    """The trust list: every `*.pem` and `*.pub` of the folder, a public key each; no folder, no keys.

    Raises NotFound for a folder that is not there, InvalidArgument for a file that is no such key: a trust
    list that is read in part would say "unknown" of somebody who is trusted.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder} with trusted keys")
    found: list[TrustedKey] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".pem", ".pub") or not path.is_file():
            continue
        try:
            key = _read_key(path.read_text("ascii"), None)
        except (InvalidArgument, UnicodeDecodeError) as e:
            raise InvalidArgument(f"{path.name}, in the folder of trusted keys, is no key: {e}") from e
        if key.has_private():
            raise InvalidArgument(
                f"{path.name}, in the folder of trusted keys, is a private key: keep it elsewhere, and put "
                "the public one there"
            )
        found.append(TrustedKey(name=path.stem, key=key, fingerprint=_fingerprint(key)))
    return tuple(found)


def _read_statement(payload: bytes) -> Statement:
    statement = _decode(payload, _Statement)
    predicate = statement.predicate
    if statement.type != _STATEMENT or statement.predicate_type != _PREDICATE:
        raise ContractViolation(
            f"the signature states {statement.predicate_type[:80]!r}, not {_PREDICATE}; sign the file anew"
        )
    if len(statement.subject) != 1 or [x.name for x in predicate.resources] != ["."]:
        raise ContractViolation("the signature is not one of a single file; sign the .onnx file itself")
    resource, subject = predicate.resources[0], statement.subject[0]
    try:
        root = hashlib.sha256(bytes.fromhex(resource.digest)).hexdigest()
    except ValueError as e:
        raise ContractViolation("the signature's digest is no digest") from e
    if resource.algorithm != "sha256" or subject.digest.get("sha256") != root:
        raise ContractViolation("the signature contradicts itself: its digests do not belong together")
    named = predicate.exchangeai
    if named is not None and named.version < 1:
        raise ContractViolation("the signature names a version below 1")
    return Statement(
        name=named.name if named is not None else subject.name.removesuffix(".onnx"),
        version=named.version if named is not None else 0,
        digest=resource.digest,
    )


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise ContractViolation("the signature is damaged: it cannot be read") from e


def _read_key(pem: str, passphrase: str | None) -> ECC.EccKey:
    try:
        key = ECC.import_key(pem, passphrase)
    except (ValueError, IndexError, TypeError) as e:
        raise InvalidArgument(
            "this is no elliptic curve key in PEM, or its passphrase is another; make one with "
            "`openssl ecparam -name prime256v1 -genkey -noout`"
        ) from e
    if key.curve not in _HASHES:
        raise InvalidArgument(f"keys on the curve {key.curve} cannot sign; take P-256, P-384 or P-521")
    return key


def _hashed(key: ECC.EccKey, payload: bytes) -> SHA256.SHA256Hash | SHA384.SHA384Hash | SHA512.SHA512Hash:
    # DSSE's pre-authentication encoding: lengths stand before both parts, so none can pass for another.
    head = f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(payload)} "
    return _HASHES[key.curve].new(head.encode() + payload)


def _fingerprint(key: ECC.EccKey) -> str:
    # Of the very text that OpenSSL writes, line breaks and all: so does the OpenSSF tool.
    body = base64.b64encode(key.public_key().export_key(format="DER")).decode()
    lines = ["-----BEGIN PUBLIC KEY-----", *textwrap.wrap(body, 64), "-----END PUBLIC KEY-----", ""]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
