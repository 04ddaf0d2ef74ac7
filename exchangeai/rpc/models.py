"""The inference service's door for commands that exchange models: import and export, over TLS where asked."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from exchangeai.errors import NotFound, TooLarge
from exchangeai.facts import SignatureVerdict
from exchangeai.model_parcel import Parcel, check_card
from exchangeai.rpc.client import invoke, open_channel, stream
from exchangeai.signatures import MAX_BYTES as MAX_SIGNATURE_BYTES
from exchangeai.v1 import inference_service_pb2 as pb
from exchangeai.v1 import model_pb2
from exchangeai.v1.inference_service_pb2_grpc import InferenceServiceStub

CHUNK_BYTES = 1 << 20
TRANSFER_S = 600.0
MAX_MODEL_BYTES = 512 << 20
_VERDICTS: dict[int, SignatureVerdict] = {
    model_pb2.SIGNATURE_VERDICT_TRUSTED: SignatureVerdict.TRUSTED,
    model_pb2.SIGNATURE_VERDICT_UNKNOWN_KEY: SignatureVerdict.UNKNOWN_KEY,
}


@dataclass(frozen=True, kw_only=True)
class ExchangedModel:
    """What a service says of a model that it took in."""

    name: str
    version: int
    digest: str
    quarantined: bool
    signature: SignatureVerdict
    signed_by: str


class Models:
    """The verbs of exchange, in values."""

    def __init__(self, stub: InferenceServiceStub) -> None:
        self._stub: Any = stub

    def take_in(self, name: str, parcel: Parcel) -> ExchangedModel:
        """Send a model under a name. Raises what the service raises; the message says what is wrong."""
        model = invoke(self._stub.ImportModel, _requests(name, parcel), timeout_s=TRANSFER_S).model
        return ExchangedModel(
            name=model.name,
            version=model.version,
            digest=model.digest,
            quarantined=model.state == model_pb2.MODEL_STATE_QUARANTINED,
            signature=_VERDICTS.get(model.signature, SignatureVerdict.UNSIGNED),
            signed_by=model.signed_by,
        )

    def give_out(self, name: str, version: int = 0) -> tuple[int, Parcel]:
        """(version, model with its signature and card); version 0 is the newest.

        The service may be anybody's: what it sends is bounded, and names of figures are checked. Raises
        NotFound, TooLarge or ContractViolation.
        """
        data, signature = bytearray(), b""
        request = pb.ExportModelRequest(name=name, version=version)
        for answer in stream(self._stub.ExportModel, request, timeout_s=TRANSFER_S):
            version, signature = answer.version or version, answer.signature or signature
            data += answer.chunk
            if len(data) > MAX_MODEL_BYTES or len(signature) > MAX_SIGNATURE_BYTES:
                raise TooLarge(f"the service sends a model of more than {MAX_MODEL_BYTES >> 20} MiB")
        try:
            about = invoke(self._stub.GetModelCard, pb.GetModelCardRequest(name=name, version=version))
            card, figures = about.markdown, dict(about.figures)
        except NotFound:
            card, figures = "", {}
        check_card(card, figures)
        return version, Parcel(data=bytes(data), signature=signature, card=card, figures=figures)


@contextmanager
def open_models(address: str, *, tls: bool = False, ca_file: str = "") -> Generator[Models]:
    """Connect to the inference service at `host:port`; the connection is made with the first call."""
    with open_channel(address, tls=tls, ca_file=ca_file) as channel:
        yield Models(InferenceServiceStub(channel))


def _requests(name: str, parcel: Parcel) -> Iterator[pb.ImportModelRequest]:
    first = pb.ImportModelRequest(
        name=name, signature=parcel.signature, card=parcel.card, figures=dict(parcel.figures)
    )
    for begin in range(0, max(len(parcel.data), 1), CHUNK_BYTES):
        first.chunk = parcel.data[begin : begin + CHUNK_BYTES]
        yield first
        first = pb.ImportModelRequest()
