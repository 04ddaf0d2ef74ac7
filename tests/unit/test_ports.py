"""A reserved port is free for its holder's server and for nobody else."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from exchangeai.ports import ReservedPort


def test_its_holder_listens_there_again_and_again_and_nobody_else_is_given_it() -> None:
    port = ReservedPort()
    for _ in range(2):
        with pytest.raises(OSError, match="in use"):
            ReservedPort(port.number)
        with socket.create_server(("127.0.0.1", port.number)) as server:
            with socket.create_connection(("127.0.0.1", port.number)) as one:
                server.accept()[0].close()  # who closes first leaves the port in TIME_WAIT
                assert one.recv(1) == b""
            with pytest.raises(OSError, match="in use"):
                ReservedPort(port.number)


def test_a_server_of_grpc_listens_there() -> None:
    port = ReservedPort()
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    assert server.add_insecure_port(f"127.0.0.1:{port.number}") == port.number
    server.stop(None)


def test_it_is_free_when_it_is_released_or_forgotten() -> None:
    first = ReservedPort()
    number = first.number
    first.release()
    second = ReservedPort(number)
    del second
    assert ReservedPort(number).number == number


def test_a_port_on_which_another_listens_is_refused() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, pytest.raises(OSError, match="in use"):
        ReservedPort(server.getsockname()[1])
