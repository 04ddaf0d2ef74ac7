"""The rules by which a vetted model is let in: whose signature, under which name, as which version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exchangeai.errors import ContractViolation
from exchangeai.facts import ModelFact, SignatureVerdict
from exchangeai.signatures import Judgement

MAX_VERSION = 1_000_000


def admit(
    name: str,
    digest: str,
    judgement: Judgement,
    known: Iterable[ModelFact],
    ancestors: dict[str, int],
    *,
    require_signature: bool,
) -> int:
    """The version under which the file comes in; that of a known fact when it is there already.

    `known` are the facts of all models, `ancestors` the digests that known versions of this name were
    trained from, and those versions. Raises ContractViolation:

    * unsigned, or signed by a key outside the trust list, where a signature is required;
    * unsigned, where an earlier version of the name is signed by a trusted key: signatures are not lost
      on the way, they are taken off;
    * renamed: a trusted signature names another model;
    * downgraded: it names a version that is not above the newest known one, or the file is one that a
      known version of the name was trained from.
    """
    mine = sorted((x for x in known if x.name == name), key=lambda x: x.version)
    statement = judgement.statement
    trusted = judgement.signature is SignatureVerdict.TRUSTED
    if require_signature and not trusted:
        raise ContractViolation(_untrusted(judgement))
    if statement is not None and statement.name != name:
        raise ContractViolation(
            f"the model was renamed: it is signed as {statement.name[:80]!r}, not as {name!r}; import it "
            "under the name that was signed"
        )
    same = next((x for x in mine if x.digest == digest), None)
    if same is not None and (statement is None or statement.version in (0, same.version)):
        return same.version
    newest = mine[-1].version if mine else 0
    signed_version = statement.version if statement is not None else 0
    if signed_version and signed_version <= newest:
        raise ContractViolation(
            f"the model is downgraded: it is signed as version {signed_version}, and version {newest} of "
            f"{name!r} is known here"
        )
    if digest in ancestors:
        raise ContractViolation(
            f"the model is downgraded: version {ancestors[digest]} of {name!r}, known here, was trained from "
            "it"
        )
    if not trusted and (signed := _signed_version(mine)):
        raise ContractViolation(
            f"the model has no trusted signature, but version {signed} of {name!r} has one: "
            f"{_untrusted(judgement)}"
        )
    if signed_version > MAX_VERSION:
        raise ContractViolation(f"the model is signed as version {signed_version}; {MAX_VERSION} is the last")
    return signed_version or newest + 1


def _untrusted(judgement: Judgement) -> str:
    if judgement.signature is SignatureVerdict.UNSIGNED:
        return "it is unsigned; have it signed by someone whom this site trusts"
    return "it is signed by a key that is not in the trust list of this site"


def _signed_version(mine: Sequence[ModelFact]) -> int:
    return max((x.version for x in mine if x.signature is SignatureVerdict.TRUSTED), default=0)
