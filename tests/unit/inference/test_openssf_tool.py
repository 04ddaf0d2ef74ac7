"""Our signatures verify with the OpenSSF tool, and its with ours; runs where `model_signing` is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC

from exchangeai.facts import SignatureVerdict
from exchangeai.model_file import model_digest
from exchangeai.signatures import judge, read_trusted_keys, sign

signing: Any = pytest.importorskip("model_signing.signing")
verifying: Any = pytest.importorskip("model_signing.verifying")
DATA = b"the bytes of a model"


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_both_ways(curve: str, tmp_path: Path) -> None:
    key = ECC.generate(curve=curve)
    private, public = tmp_path / "private.key", tmp_path / "site.pem"
    private.write_text(str(key.export_key(format="PEM", use_pkcs8=False)))
    public.write_text(str(key.public_key().export_key(format="PEM")))
    model, signature = tmp_path / "guest.onnx", tmp_path / "guest.onnx.sig"
    model.write_bytes(DATA)
    signature.write_bytes(sign(DATA, name="guest", version=3, private_key=private.read_text()))
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)
    model.write_bytes(DATA + b".")
    with pytest.raises(ValueError, match=r".+"):
        verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)
    signing.Config().use_elliptic_key_signer(private_key=private).sign(model, signature)
    judgement = judge(signature.read_bytes(), model_digest(DATA + b"."), read_trusted_keys(tmp_path))
    assert (judgement.signature, judgement.signed_by) == (SignatureVerdict.TRUSTED, "site")
    assert judgement.statement is not None
    assert judgement.statement.name == "guest"
