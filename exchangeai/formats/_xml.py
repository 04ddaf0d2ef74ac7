"""XML of ECG devices, parsed without entities, without a network and within limits of depth and size."""

from __future__ import annotations

import codecs
import re
from typing import Any

from lxml import etree as _lxml_etree  # pyright: ignore[reportAttributeAccessIssue, reportMissingTypeStubs, reportUnknownVariableType]

from exchangeai.errors import InvalidHeader, Truncated

etree: Any = _lxml_etree  # pyright: ignore[reportUnknownVariableType]
"""The library has no types."""

_PROLOG_BYTES = 8192
_DECLARED = re.compile(rb"^(<\?xml[^>]*?\bencoding\s*=\s*[\"'])([^\"']+)([\"'])")
_NOT_ROOT = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ROOT = re.compile(r"<([A-Za-z_][\w.\-]*:)?([A-Za-z_][\w.\-]*)")
_WRONG_NAMES = {b"iso8859-1": b"iso-8859-1", b"utf16": b"utf-16", b"utf8": b"utf-8"}
"""Encodings as devices misspell them."""
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))


def root_name(data: bytes) -> str | None:
    """Local name of the root element, or None when the bytes do not begin like XML. Cheap: for sniffing."""
    head = _prolog(data)
    if head is None:
        return None
    at = 0
    while skipped := _NOT_ROOT.match(head, at):
        at = skipped.end()
    root = _ROOT.match(head, at)
    return root[2] if root else None


def parse_available(data: bytes, *, strict: bool) -> tuple[Any, list[str]]:
    """The root element, and a warning where the document is cut: elements that were open end at the cut.

    The reader must find out which of them are whole. When `strict`, or where nothing is left, a cut document
    is Truncated; otherwise as `parse_xml`.
    """
    try:
        return parse_xml(data), []
    except Truncated:
        if strict:
            raise
        root: Any = etree.fromstring(_respelled(data), _parser(recover=True))
        if root is None:
            raise
        _refuse_entities(root)
        return root, [CUT]


CUT = "the file is truncated: the XML ends before its root element does; what is whole is read"
"""The warning of `parse_available`."""


def parse_xml(data: bytes) -> Any:
    """The root element (`lxml.etree._Element`), without comments and processing instructions.

    A DOCTYPE that only names a DTD is allowed (GE MUSE writes one) and not followed. Raises InvalidHeader for
    declarations of entities, nesting deeper than 256 and texts over 10 MB; Truncated for a document without
    its end.
    """
    head = _prolog(data) or ""
    if "<!ENTITY" in head:
        raise InvalidHeader(
            "the XML declares entities, which are never followed; export the file without them"
        )
    try:
        root: Any = etree.fromstring(_respelled(data), _parser())
    except etree.XMLSyntaxError as e:
        # libxml2 says in words what it missed; its text may quote the file, so it is not passed on.
        cut = e.code in (5, 77) or not data.rstrip().endswith(b">")
        if cut and b"\0" not in data[:_PROLOG_BYTES]:
            raise Truncated("the XML document ends before its root element does; send the whole file") from e
        raise InvalidHeader("the XML is not well-formed or nested too deeply; export the file again") from e
    except (ValueError, LookupError) as e:
        raise InvalidHeader("the XML states an encoding that its bytes contradict; export it as UTF-8") from e
    _refuse_entities(root)
    return root


def _refuse_entities(root: Any) -> None:
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise InvalidHeader(
            "the XML declares entities, which are never followed; export the file without them"
        )


def _parser(*, recover: bool = False) -> Any:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        recover=recover,
    )


def _prolog(data: bytes) -> str | None:
    head = data[:_PROLOG_BYTES]
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return head.decode(encoding, "replace")
    if head[:4] in (b"<\0?\0", b"\0<\0?"):
        return head.decode("utf-16-le" if head[0] else "utf-16-be", "replace")
    return head.decode("latin-1") if head.lstrip()[:1] == b"<" else None


def _respelled(data: bytes) -> bytes:
    data = data.lstrip() if data[:1].isspace() else data
    declared = _DECLARED.match(data)
    right = _WRONG_NAMES.get(declared[2].lower()) if declared else None
    return _DECLARED.sub(rb"\1" + right + rb"\3", data, count=1) if right else data
