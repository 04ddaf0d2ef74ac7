"""The rules of admission one by one, and signatures without any service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from Crypto.PublicKey import ECC

from exchangeai.errors import ContractViolation, InvalidArgument, NotFound
from exchangeai.facts import ModelFact, ModelState, SignatureVerdict
from exchangeai.model_file import model_digest
from exchangeai.signatures import UNSIGNED, Judgement, Statement, TrustedKey, judge, read_trusted_keys, sign
from services.inference.admission import MAX_VERSION, admit

DATA = b"the bytes of a model"
DIGEST = model_digest(DATA)
KEYS = {curve: ECC.generate(curve=curve) for curve in ("P-256", "P-384", "P-521")}
UNKNOWN = Judgement(signature=SignatureVerdict.UNKNOWN_KEY)


def _pem(key: ECC.EccKey) -> str:
    return str(key.export_key(format="PEM"))


def _trust(folder: Path, **keys: ECC.EccKey) -> tuple[TrustedKey, ...]:
    for name, key in keys.items():
        (folder / f"{name}.pem").write_text(_pem(key.public_key()))
    return read_trusted_keys(folder)


@pytest.mark.parametrize("curve", KEYS)
def test_what_is_signed_is_verified_on_every_curve(curve: str, tmp_path: Path) -> None:
    keys = _trust(tmp_path, site=KEYS[curve])
    signature = sign(DATA, name="guest", version=3, private_key=_pem(KEYS[curve]))
    assert sign(DATA, name="guest", version=3, private_key=_pem(KEYS[curve])) == signature
    statement = Statement(name="guest", version=3, digest=DIGEST)
    expected = Judgement(signature=SignatureVerdict.TRUSTED, signed_by="site", statement=statement)
    assert judge(signature, DIGEST, keys) == expected
    assert judge(signature, DIGEST, ()) == UNKNOWN
    assert judge(b"", DIGEST, keys) == UNSIGNED


def test_a_signature_of_the_openssf_tool_is_verified() -> None:
    """Made by `python -m model_signing sign key guest.onnx --private_key …`, model-signing 1.1.1."""
    folder = Path(__file__).parents[2] / "golden" / "signatures"
    digest = model_digest((folder / "guest.onnx").read_bytes())
    judgement = judge((folder / "guest.onnx.sig").read_bytes(), digest, read_trusted_keys(folder))
    assert (judgement.signature, judgement.signed_by) == (SignatureVerdict.TRUSTED, "site")
    assert judgement.statement == Statement(name="guest", version=0, digest=digest)


def test_every_flipped_byte_of_what_is_signed_is_noticed(tmp_path: Path) -> None:
    keys = _trust(tmp_path, site=KEYS["P-256"])
    signature = sign(DATA, name="guest", version=3, private_key=_pem(KEYS["P-256"]))
    for at in range(0, len(signature), 7):
        spoilt = bytearray(signature)
        spoilt[at] ^= 1
        try:
            judgement = judge(bytes(spoilt), DIGEST, keys)
        except ContractViolation:
            continue
        # What is left are the hint, which nobody signs, and white space and unused fields.
        assert judgement.signature is not SignatureVerdict.TRUSTED or judgement.statement == Statement(
            name="guest", version=3, digest=DIGEST
        )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x.update(mediaType="application/x"), "no OpenSSF"),
        (lambda x: x["dsseEnvelope"].update(payloadType="text/plain"), "no OpenSSF"),
        (lambda x: x["dsseEnvelope"].update(signatures=[]), "no OpenSSF"),
        (lambda x: x["dsseEnvelope"].update(payload="AAAA"), "damaged"),
        (lambda x: x["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), "claims the trusted key"),
        (lambda x: x.pop("dsseEnvelope"), "damaged"),
    ],
)
def test_a_bundle_of_another_kind_is_refused(change: Any, says: str, tmp_path: Path) -> None:
    keys = _trust(tmp_path, site=KEYS["P-256"])
    bundle = json.loads(sign(DATA, name="guest", version=3, private_key=_pem(KEYS["P-256"])))
    change(bundle)
    with pytest.raises(ContractViolation, match=says):
        judge(json.dumps(bundle).encode(), DIGEST, keys)


def test_a_trust_list_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    assert read_trusted_keys(None) == ()
    with pytest.raises(NotFound):
        read_trusted_keys(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no key")
    assert read_trusted_keys(tmp_path) == ()
    for text, says in (("no key", "no key"), (_pem(KEYS["P-256"]), "private key")):
        (tmp_path / "site.pem").write_text(text)
        with pytest.raises(InvalidArgument, match=says):
            read_trusted_keys(tmp_path)
    (tmp_path / "site.pem").write_text(_pem(ECC.generate(curve="P-192").public_key()))
    with pytest.raises(InvalidArgument, match="curve"):
        read_trusted_keys(tmp_path)


def test_what_cannot_sign_says_so() -> None:
    for pem, version in ((_pem(KEYS["P-256"].public_key()), 1), ("no key", 1), (_pem(KEYS["P-256"]), 0)):
        with pytest.raises(InvalidArgument):
            sign(DATA, name="guest", version=version, private_key=pem)


def _known(version: int, digest: str, signature: SignatureVerdict = SignatureVerdict.UNSIGNED) -> ModelFact:
    return ModelFact(
        name="guest",
        version=version,
        digest=digest,
        state=ModelState.QUARANTINED,
        origin="import",
        signature=signature,
    )


def _trusted(version: int, name: str = "guest") -> Judgement:
    statement = Statement(name=name, version=version, digest="new")
    return Judgement(signature=SignatureVerdict.TRUSTED, signed_by="site", statement=statement)


SIGNED = _known(4, "four", SignatureVerdict.TRUSTED)
PLAIN = _known(2, "two")


@pytest.mark.parametrize(
    ("judgement", "known", "require", "outcome"),
    [
        (UNSIGNED, [], False, 1),
        (UNSIGNED, [PLAIN], False, 3),
        (UNSIGNED, [PLAIN], True, "unsigned"),
        (UNKNOWN, [PLAIN], False, 3),
        (UNKNOWN, [], True, "not in the trust list"),
        (UNSIGNED, [PLAIN, SIGNED], False, "version 4 of 'guest' has one"),
        (UNSIGNED, [_known(4, "new", SignatureVerdict.TRUSTED)], False, 4),
        (_trusted(9), [PLAIN, SIGNED], True, 9),
        (_trusted(0), [PLAIN, SIGNED], True, 5),
        (_trusted(4), [SIGNED], False, "downgraded: it is signed as version 4"),
        (_trusted(2), [_known(2, "new")], False, 2),
        (_trusted(1), [_known(2, "new")], False, "downgraded"),
        (_trusted(3, "other"), [], False, "renamed"),
        (_trusted(MAX_VERSION + 1), [], False, "the last"),
    ],
)
def test_rules(judgement: Judgement, known: list[ModelFact], require: bool, outcome: int | str) -> None:
    def asked() -> int:
        return admit("guest", "new", judgement, known, {}, require_signature=require)

    if isinstance(outcome, int):
        assert asked() == outcome
    else:
        with pytest.raises(ContractViolation, match=outcome):
            asked()


def test_an_ancestor_is_a_downgrade() -> None:
    with pytest.raises(ContractViolation, match="version 4 of 'guest', known here, was trained from it"):
        admit("guest", "new", _trusted(9), [SIGNED], {"new": 4}, require_signature=False)


def test_facts_from_before_signatures_are_read() -> None:
    old = b'{"name":"x","version":1,"digest":"d","state":"approved","origin":"here"}'
    fact = msgspec.json.decode(old, type=ModelFact)
    assert (fact.signature, fact.signed_by) == (SignatureVerdict.UNSIGNED, "")
