"""Keyed pseudonyms: what replaces identifiers outside the ingest service.

HMAC-SHA256 with the secret of the site; without the secret nobody can try out identifiers. The prefix keeps
a patient's identifier and a file's name apart even where they are the same text.
"""

from __future__ import annotations

import hashlib
import hmac

from exchangeai.config import ConfigError

_MIN_SECRET_BYTES = 32


def patient_key(secret: str, identifier: str) -> str:
    """Key of a patient, 64 hex digits; equal identifiers of one site have equal keys."""
    return _key(secret, "patient:", identifier)


def name_key(secret: str, file_name: str) -> str:
    """Key of an uploaded file's name, 64 hex digits; joins label tables without keeping the name."""
    return _key(secret, "name:", file_name)


def check_secret(secret: str) -> None:
    """Raises ConfigError when the site's secret is no hexadecimal text of 32 bytes or more."""
    try:
        length = len(bytes.fromhex(secret))
    except ValueError:
        length = 0
    if length < _MIN_SECRET_BYTES:
        raise ConfigError(
            f"EXCHANGEAI_SITE_KEY must be {_MIN_SECRET_BYTES} or more bytes in hexadecimal; "
            "make one with `openssl rand -hex 32` and keep it, because patient keys depend on it"
        )


def _key(secret: str, prefix: str, text: str) -> str:
    return hmac.new(bytes.fromhex(secret), (prefix + text).encode(), hashlib.sha256).hexdigest()
