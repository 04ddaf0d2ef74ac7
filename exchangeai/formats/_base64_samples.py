"""Samples that XML of devices holds as base64."""

from __future__ import annotations

import binascii
import string

from exchangeai.errors import InvalidHeader

_NOT_BASE64 = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/"))


def base64_bytes(text: str | None, *, strict: bool) -> bytes:
    """The bytes of a base64 text with blanks and line ends anywhere.

    A damaged text gives the bytes of its whole groups of four characters; `strict` raises InvalidHeader.
    """
    written = (text or "").encode("ascii", "replace")
    try:
        return binascii.a2b_base64(written)
    except binascii.Error as e:
        if strict:
            raise InvalidHeader("the samples of a lead are no valid base64; export the file again") from e
        whole = written.translate(None, _NOT_BASE64)
        return binascii.a2b_base64(whole[: len(whole) // 4 * 4])
