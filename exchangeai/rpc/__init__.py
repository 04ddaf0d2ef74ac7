"""How calls travel: one server, one client, one table of errors."""

from exchangeai.rpc.client import invoke, open_channel, stream
from exchangeai.rpc.server import Server

__all__ = ["Server", "invoke", "open_channel", "stream"]
