"""Keys of patients and names."""

from __future__ import annotations

import pytest

from exchangeai.config import ConfigError
from exchangeai.keys import check_secret, name_key, patient_key

SECRET, OTHER = "00" * 32, "01" * 32


def test_keys_depend_on_secret_purpose_and_text() -> None:
    keys = {
        patient_key(SECRET, "4711"),
        patient_key(OTHER, "4711"),
        patient_key(SECRET, "4712"),
        name_key(SECRET, "4711"),
    }
    assert len(keys) == 4
    assert all(len(x) == 64 for x in keys)
    assert patient_key(SECRET, "4711") == patient_key(SECRET, "4711")


@pytest.mark.parametrize("secret", ["", "00" * 31, "not hexadecimal " * 8])
def test_weak_secrets_are_refused(secret: str) -> None:
    with pytest.raises(ConfigError, match="EXCHANGEAI_SITE_KEY"):
        check_secret(secret)
    check_secret(SECRET)
