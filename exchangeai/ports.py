"""Ports of the loopback that stay free from the moment they are chosen until their server listens.

To ask for a free port and to close it again leaves a second in which another process may take it, another
platform that looks for the same one, or any connection that the system gives a port.
"""

from __future__ import annotations

import socket
import sys
import weakref

_HOST = "127.0.0.1"
_TRIES = 100


class ReservedPort:
    """A TCP port on which only a server of the holder will listen, as long as this object lives.

    A bound socket that does not listen keeps the system from giving the port away, and on Linux still lets a
    server listen there. It does not keep out another holder; the UDP port of the same number does.
    """

    def __init__(self, wanted: int = 0) -> None:
        """Take `wanted`, or any when it is 0. Raises OSError when it is not free."""
        tcp, udp = _bound(wanted)
        self.number = int(tcp.getsockname()[1])
        if sys.platform != "linux":
            tcp.close()
        self.release = weakref.finalize(self, _close, tcp, udp)
        """Give it back."""


def _bound(wanted: int) -> tuple[socket.socket, socket.socket]:
    tries = 1 if wanted else _TRIES
    while True:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        try:
            # As servers set it: a port that a server has just left is free.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((_HOST, wanted))
            udp.bind(tcp.getsockname())
        except OSError:
            _close(tcp, udp)
            tries -= 1
            if not tries:
                raise
        else:
            return tcp, udp


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        one.close()
