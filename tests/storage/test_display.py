"""Strangers' text is shown without acting: on a terminal, in a page, in XML, in UTF-8."""

import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody.storage.display import REPLACEMENT, escaped, shown

ANY = st.text(st.characters(codec=None, categories=None))  # surrogates too


@given(ANY)
def test_any_text_becomes_one_line_that_can_be_written(text: str):
    line = shown(text)
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in line)


@given(ANY)
def test_xml_takes_what_is_shown(text: str):
    assert ElementTree.fromstring(f"<a>{escaped(text)}</a>").text in (shown(text), None)


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"))))
def test_letters_marks_and_signs_stay(text: str):
    assert shown(text) == text


@given(ANY, st.integers(0, 20))
def test_nothing_is_longer_than_allowed(text: str, most: int):
    assert len(shown(text, most)) <= max(3, most)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Flöte 歌 نی", "Flöte 歌 نی"),
        ("\x1b[2J\x1b]0;owned\x07", f"{REPLACEMENT}[2J{REPLACEMENT}]0;owned{REPLACEMENT}"),
        ("one\ntwo\tthree\u2028four", "one two three four"),
        ("take\u202e3pm.dim", f"take{REPLACEMENT}3pm.dim"),  # a direction override hides what a file is
        ("caf\udce9.mid", f"caf{REPLACEMENT}.mid"),  # a file name in Latin-1
        ("\x9b31mred", f"{REPLACEMENT}31mred"),
        (12, "12"),
    ],
)
def test_examples(text: object, line: str):
    assert shown(text) == line


def test_long_text_is_cut():
    assert shown("a" * 50, most=10) == "aaaaaaa..."


def test_markup_is_text():
    assert escaped('<b a="1">&') == "&lt;b a=&quot;1&quot;&gt;&amp;"
