"""XML documents and the zip archives that hold them: the same content always gives the same bytes."""

import io
import zipfile
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from melody.storage.display import shown

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_EPOCH = (1980, 1, 1, 0, 0, 0)


def add(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """Add a child and return it; in names of attributes `_` stands for `-`. XML forbids what `shown` replaces."""
    child = SubElement(parent, tag, {name.replace("_", "-"): shown(value) for name, value in attributes.items()})
    if text is not None:
        child.text = shown(text)
    return child


def document(root: Element, doctype: bytes = b"") -> bytes:
    """Return an indented document in UTF-8."""
    indent(root, " ")
    body: bytes = tostring(root, "utf-8")
    return _DECLARATION + doctype + body + b"\n"


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of files by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
