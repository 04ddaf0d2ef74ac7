"""Which failed calls are tried again, and when, without a server."""

from __future__ import annotations

import grpc
import pytest

from exchangeai.rpc.patience import Patience


class Failed(grpc.RpcError):
    """A call that has ended."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("code", "first_s"),
    [
        (grpc.StatusCode.UNAVAILABLE, 0.05),
        (grpc.StatusCode.CANCELLED, 0.05),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 0.1),
    ],
)
def test_pauses_double_up_to_two_seconds(code: grpc.StatusCode, first_s: float) -> None:
    patience = Patience(1000, Clock(), lambda: 1.0)
    pauses = [patience.pause_s(Failed(code)) for _ in range(9)]
    assert pauses == [min(2.0, first_s * 2**i) for i in range(9)]


def test_pauses_are_random_but_at_least_half() -> None:
    shortest = Patience(1000, Clock(), lambda: 0.0).pause_s(Failed(grpc.StatusCode.RESOURCE_EXHAUSTED))
    assert shortest == pytest.approx(0.05)


def test_no_pause_goes_beyond_the_deadline() -> None:
    clock = Clock()
    patience = Patience(1.0, clock, lambda: 1.0)
    clock.now_s += 0.97
    assert patience.left_s == pytest.approx(0.03)
    assert patience.pause_s(Failed(grpc.StatusCode.UNAVAILABLE)) is None
    clock.now_s += 1
    assert patience.left_s == 0


@pytest.mark.parametrize(
    "code", sorted(set(grpc.StatusCode) - {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, key=str)
)
def test_what_cannot_help_is_not_tried(code: grpc.StatusCode) -> None:
    details = "Received message larger than max (9 vs. 4)"
    assert Patience(1000, Clock()).pause_s(Failed(code, details)) is None
