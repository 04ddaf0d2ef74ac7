"""Leads, recordings and configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchangeai.config import BusConfig, ConfigError, StoreConfig, from_env, masked, to_env
from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12, canonical_lead, derive_limb_leads
from exchangeai.recording import Lead, Patient, Recording, from_bytes, source_digest, to_bytes


def mv(values: list[float]) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


@pytest.mark.parametrize("written", ["{}", " {} ", "Lead {}", "ECG {}", "EKG {}-Ref", "lead {} (Einthoven)"])
def test_leads_are_found_under_their_aliases(written: str) -> None:
    for name in STANDARD_12:
        assert canonical_lead(written.format(name.lower())) == name


def test_foreign_leads_keep_their_names() -> None:
    for name in ("MLII", "V3R", "V7", "x", "ECG"):
        assert canonical_lead(name) == name


def test_limb_leads_follow_einthoven_and_goldberger() -> None:
    one, two = mv([0.1, 0.5]), mv([0.3, -0.1])
    derived = derive_limb_leads({"I": one, "II": two})
    np.testing.assert_allclose(derived["III"], [0.2, -0.6], atol=1e-7)
    np.testing.assert_allclose(derived["aVR"] + derived["aVL"] + derived["aVF"], [0, 0], atol=1e-7)
    assert set(derive_limb_leads({"I": one, "II": two, "III": one})) == {"aVR", "aVL", "aVF"}
    assert derive_limb_leads({"I": one}) == {}
    assert derive_limb_leads({"I": one, "II": two[:1]}) == {}


def recording(values: list[float]) -> Recording:
    return Recording(
        format="test",
        leads=(
            Lead(name="I", samples=mv(values), sampling_rate_hz=599.88),
            Lead(name="I", samples=mv([]), sampling_rate_hz=12.8),
        ),
        patient=Patient(sex="F", age_years=90, patient_key="k"),
        warnings=("odd",),
        source_digest="d",
    )


@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=False), max_size=50))
def test_a_recording_comes_back_to_the_bit(values: list[float]) -> None:
    stored = to_bytes(recording(values))
    read = from_bytes(stored)
    assert to_bytes(read) == stored
    np.testing.assert_array_equal(read.leads[0].samples, mv(values))
    assert read.patient == recording(values).patient
    assert read.leads[1].sampling_rate_hz == 12.8


@pytest.mark.parametrize("data", [b"", b"no zip", to_bytes(recording([1.0]))[:-30]])
def test_bytes_that_are_no_recording_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        from_bytes(data)


def test_a_digest_knows_where_files_end() -> None:
    assert source_digest({"a": b"12", "b": b"3"}) != source_digest({"a": b"1", "b": b"23"})
    assert source_digest({"b": b"3", "a": b"12"}) == source_digest({"a": b"12", "b": b"3"})


@dataclass(frozen=True, kw_only=True)
class Config:
    """A service's."""

    bus: BusConfig
    store: StoreConfig = field(default_factory=lambda: StoreConfig(url="s3://x"))
    site_key: str = ""
    keep: bool = True
    work_dir: Path = Path("work")
    limit: int | None = None


def test_config_comes_from_the_environment() -> None:
    env = {
        "EXCHANGEAI_BUS_URL": "nats://n",
        "EXCHANGEAI_BUS_REPLICAS": "3",
        "EXCHANGEAI_KEEP": "no",
        "EXCHANGEAI_STORE_URL": "s3://y",
        "EXCHANGEAI_LIMIT": "7",
        "EXCHANGEAI_WORK_DIR": "/w",
    }
    config = from_env(Config, env)
    assert (config.bus.url, config.bus.replicas, config.keep) == ("nats://n", 3, False)
    assert (config.store.url, config.limit, config.work_dir) == ("s3://y", 7, Path("/w"))
    assert from_env(BusConfig, to_env(config.bus, "B_"), "B_") == config.bus


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"EXCHANGEAI_STORE_URL": "s3://x"}, "EXCHANGEAI_BUS_URL"),
        ({"EXCHANGEAI_BUS_URL": "n", "EXCHANGEAI_STORE_URL": "s", "EXCHANGEAI_KEEP": "maybe"}, "KEEP"),
        ({"EXCHANGEAI_BUS_URL": "n", "EXCHANGEAI_BUS_REPLICAS": "x"}, "BUS_REPLICAS"),
    ],
)
def test_a_config_error_names_the_variable(env: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        from_env(Config, env)


def test_secrets_are_masked() -> None:
    config = Config(
        bus=BusConfig(url="n", password="p1"),
        store=StoreConfig(url="s", secret_key="p2", access_key="shown"),
        site_key="p3",
    )
    shown = str(masked(config))
    assert not [x for x in ("p1", "p2", "p3") if f"'{x}'" in shown]
    assert "shown" in shown
