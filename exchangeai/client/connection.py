"""Where the service is and how it is reached, for both kinds of client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from exchangeai.errors import InvalidArgument

TIMEOUT_S = 30.0
"""Of a call with all its tries."""
WAIT_S = 10.0
"""How long `connect` waits for a service that starts."""
POLL_S = 0.1
READY = "ready"
"""What the service is asked for its health as: readiness probes ask the same."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The addresses of a service and how it is trusted."""

    addresses: tuple[str, ...]
    tls: bool
    ca_file: str
    server_name: str
    token: str = field(repr=False)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def connection(
    address: str | Sequence[str], *, tls: bool, ca_file: str, server_name: str, token: str
) -> Connection:
    """Check what was given. Raises InvalidArgument."""
    addresses = (address,) if isinstance(address, str) else tuple(address)
    hosts = {x.rpartition(":")[0] for x in addresses}
    if token and not tls:
        raise InvalidArgument("a token is sent over TLS only, or anybody on the way could take it: tls=True")
    if ca_file and not tls:
        raise InvalidArgument("`ca_file` says whom to trust over TLS; add tls=True")
    if tls and not server_name and len(addresses) > 1:
        # They are connected to by number, so the name in their certificates must be said.
        if len(hosts) > 1:
            raise InvalidArgument("say `server_name`: the name that all these servers' certificates carry")
        server_name = hosts.pop()
    return Connection(addresses=addresses, tls=tls, ca_file=ca_file, server_name=server_name, token=token)
