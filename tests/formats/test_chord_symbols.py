"""Chord symbols of MusicXML: every kind, degrees, basses and spellings, as melody's chords read them."""

from xml.etree.ElementTree import fromstring

import pytest

from melody.formats.notation.chord_symbols import SUFFIXES, symbol_of
from melody.music.chords import (
    AUG,
    DIM,
    DIM_SEVENTH,
    HALF_DIM,
    MAJOR,
    MAJOR_SEVENTH,
    MINOR,
    MINOR_SEVENTH,
    SEVENTH,
    SUS,
    Chord,
    parse_chord,
)  # fmt: skip

KINDS = {
    "major": MAJOR, "minor": MINOR, "augmented": AUG, "diminished": DIM, "dominant": SEVENTH,
    "major-seventh": MAJOR_SEVENTH, "minor-seventh": MINOR_SEVENTH, "diminished-seventh": DIM_SEVENTH,
    "augmented-seventh": AUG, "half-diminished": HALF_DIM, "major-minor": MINOR, "major-sixth": MAJOR,
    "minor-sixth": MINOR, "dominant-ninth": SEVENTH, "major-ninth": MAJOR_SEVENTH, "minor-ninth": MINOR_SEVENTH,
    "dominant-11th": SEVENTH, "major-11th": MAJOR_SEVENTH, "minor-11th": MINOR_SEVENTH, "dominant-13th": SEVENTH,
    "major-13th": MAJOR_SEVENTH, "minor-13th": MINOR_SEVENTH, "suspended-fourth": SUS, "power": MAJOR,
}  # fmt: skip


def symbol(kind: str, text: str = "", root: str = "A", alter: str = "", more: str = "") -> str | None:
    """The symbol of a harmony element."""
    raised = f"<root-alter>{alter}</root-alter>" if alter else ""
    shown = f' text="{text}"' if text else ""
    inside = f"<root><root-step>{root}</root-step>{raised}</root><kind{shown}>{kind}</kind>{more}"
    return symbol_of(fromstring(f"<harmony>{inside}</harmony>"))


def degree(value: int, what: str, alter: int = 0) -> str:
    inside = (
        f"<degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter><degree-type>{what}</degree-type>"
    )
    return f"<degree>{inside}</degree>"


@pytest.mark.parametrize(("kind", "quality"), KINDS.items())
def test_every_kind_is_a_chord(kind: str, quality: int) -> None:
    found = symbol(kind)
    assert found is not None
    assert parse_chord(found) == Chord(9, quality, 9)


def test_every_kind_has_a_test() -> None:
    assert set(SUFFIXES) - {"suspended-second"} == set(KINDS)
    assert parse_chord(symbol("suspended-second") or "") == parse_chord("Asus2")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"kind": "minor-seventh", "text": "m7"}, "Am7"),
        ({"kind": "minor-seventh", "text": "min7"}, "Amin7"),  # as it is shown
        ({"kind": "minor", "text": "maj7"}, "Am"),  # unless that is another chord
        ({"kind": "major", "root": "B", "alter": "-1"}, "Bb"),
        ({"kind": "major", "root": "F", "alter": "1.0"}, "F#"),
        ({"kind": "none"}, "N.C."),
        ({"kind": "other", "text": "7alt"}, "A7alt"),
        ({"kind": "other", "text": "?!"}, None),
        ({"kind": "Neapolitan"}, None),
        ({"kind": "major", "root": "H"}, None),
        ({"kind": "dominant", "more": "<bass><bass-step>F</bass-step><bass-alter>1</bass-alter></bass>"}, "A7/F#"),
        ({"kind": "major", "more": "<bass><bass-step>A</bass-step></bass>"}, "A"),
        ({"kind": "major", "more": "<inversion>1</inversion>"}, "A/C#"),
        ({"kind": "dominant", "more": "<inversion>3</inversion>"}, "A7/G"),
        ({"kind": "major", "more": "<inversion>3</inversion>"}, "A"),
        ({"kind": "dominant", "more": degree(9, "add", -1)}, "A7b9"),
        ({"kind": "dominant", "more": degree(5, "alter", 1)}, "A7#5"),
        ({"kind": "major", "more": degree(9, "add")}, "Aadd9"),
        ({"kind": "major", "more": degree(7, "add")}, "A7"),
        ({"kind": "minor", "more": degree(7, "add", 1)}, "Ammaj7"),
        ({"kind": "diminished", "more": degree(7, "add", -1)}, "Adim7"),
        ({"kind": "suspended-fourth", "more": degree(7, "add")}, "A7sus4"),
        ({"kind": "major", "more": degree(3, "subtract")}, "Ano3"),
        ({"kind": "major", "more": degree(99, "add")}, "A"),  # what cannot be is left away
    ],
)
def test_symbols_as_they_are_spelled(arguments: dict[str, str], expected: str | None) -> None:
    found = symbol(**arguments)
    assert found == expected
    if found not in (None, "N.C."):
        parse_chord(found)


def test_no_root_or_nothing_at_all_is_no_chord() -> None:
    for inside in ("", "<kind>major</kind>", "<function>V</function><kind>major</kind>", "<root/><kind/>"):
        assert symbol_of(fromstring(f"<harmony>{inside}</harmony>")) is None
