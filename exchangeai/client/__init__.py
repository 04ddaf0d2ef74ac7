"""The platform from a notebook or a service: connect, predict, infer, upload.

    from exchangeai.client import connect

    with connect("localhost:50051") as client:
        answer = client.predict("ecg.edf", "ptbxl-superclasses")
        answer.findings["NORM"].probability

Deadlines and retries are right by default. A call has one deadline for all its tries, and is tried again only
where that is safe and useful (`exchangeai.rpc.patience`). Several addresses, or a name that stands for
several, are asked in turn, and a replica that goes is left out. So a roll-out drops no call:

* a replica that drains says so to its connections (GOAWAY); gRPC sends the next call to another, and sends
  again what the replica had not begun;
* what was cut off is tried again here, on another replica, within the call's deadline;
* a name is looked up again when a connection is lost, so new replicas get calls.

It needs no more than the base installation: no reader of formats, no model runtime, no pandas.
"""

from exchangeai.client.answers import Answer, ModelInfo, Outcome, RawOutputs
from exchangeai.client.asynchronous import AsyncClient, connect_async
from exchangeai.client.synchronous import Client, connect

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ModelInfo",
    "Outcome",
    "RawOutputs",
    "connect",
    "connect_async",
]
