"""Variety for engraved pages: what corpora lack and printed music has, put into MEI by chance.

Repeats and double bars, slurs, fermatas, dynamics, articulation, words, other clefs, C and cut time. Slurs, signs and
words are there to be passed over; the rest is to be read.
"""

import random
from itertools import pairwise
from xml.etree import ElementTree as ET

MEI = "http://www.music-encoding.org/ns/mei"
ID = "{http://www.w3.org/XML/1998/namespace}id"
SYLLABLES = (
    "la",
    "lu",
    "Glo",
    "ri",
    "a",
    "when",
    "the",
    "King",
    "of",
    "day",
    "Herz",
    "und",
    "Nacht",
    "sleep",
    "my",
    "O",
)

TEMPOS = ("Allegro", "Andante con moto", "Lento", "\u2669 = 96", "\u2669 = 120", "\u266a = 160", "= 72")
WORDS = {
    "dynam": ("p", "f", "mf", "pp", "ff"),
    "dir": ("dolce", "cresc.", "Fine", "rit.", "a tempo"),
    "harm": ("Am", "G7", "C", "F#m", "Bb"),
}
BOTTOMS = {  # steps of the bottom line (C0 = 0) by shape, line and octave below
    ("G", "2", None): 30,
    ("G", "2", "8"): 23,
    ("F", "4", None): 18,
    ("C", "3", None): 24,
    ("C", "4", None): 22,
}


def varied(mei: str, draw: random.Random) -> str:
    """Return MEI with additions."""
    ET.register_namespace("", MEI)
    root = ET.fromstring(mei)
    measures = list(root.iter(f"{{{MEI}}}measure"))
    notes = list(root.iter(f"{{{MEI}}}note"))
    _bars(measures, draw)
    _meter(root, draw)
    _clef(root, notes, draw)
    for add, chance in CHANCES.items():
        if draw.random() < chance:
            add(measures, draw)
    return ET.tostring(root, encoding="unicode")


def _bars(measures: list[ET.Element], draw: random.Random) -> None:
    rate = draw.choice((0, 0, 0.08, 0.2))
    for measure, after in pairwise(measures):
        if draw.random() < rate:
            kind = draw.choice(("rptend", "rptstart", "both", "dbl"))
            if kind in ("rptend", "both"):
                measure.set("right", "rptend")
            if kind in ("rptstart", "both"):
                after.set("left", "rptstart")
            if kind == "dbl":
                measure.set("right", "dbl")
    measures[-1].set("right", draw.choice(("end", "end", "rptend", "single", "dbl")))


def _meter(root: ET.Element, draw: random.Random) -> None:
    for sign in root.iter(f"{{{MEI}}}meterSig"):
        meter = sign.get("count"), sign.get("unit")
        if draw.random() < 0.4 and meter in (("4", "4"), ("2", "2")):
            sign.set("sym", "common" if meter == ("4", "4") else "cut")


def _clef(root: ET.Element, notes: list[ET.Element], draw: random.Random) -> None:
    """Choose a clef by the middle of the notes, and now and then another that holds them too."""
    steps = sorted(7 * int(note.get("oct", "4")) + "cdefgab".index(note.get("pname", "c")) for note in notes)
    clef = root.find(f".//{{{MEI}}}staffDef/{{{MEI}}}clef")
    if clef is None or not steps:
        return
    fitting = [c for c, bottom in BOTTOMS.items() if steps[0] - bottom >= -6 and steps[-1] - bottom <= 14]
    usual = [1.0 if c[0] in "GF" and not c[2] else 0.12 for c in fitting]
    inside = [3 if all(-2 <= step - BOTTOMS[c] <= 10 for step in (steps[0], steps[-1])) else 1 for c in fitting]
    if fitting:
        shape, line, below = draw.choices(fitting, [u * i for u, i in zip(usual, inside, strict=True)])[0]
        clef.set("shape", shape)
        clef.set("line", line)
        for name, value in (("dis", below), ("dis.place", "below" if below else None)):
            clef.attrib.pop(name, None)
            if value:
                clef.set(name, value)


def _slurs(measures: list[ET.Element], draw: random.Random) -> None:
    for measure in measures:
        notes = list(measure.iter(f"{{{MEI}}}note"))
        if len(notes) > 2 and draw.random() < 0.4:
            first = draw.randrange(len(notes) - 1)
            last = draw.randrange(first + 1, len(notes))
            if last == first + 1 and _pitch(notes[first]) == _pitch(notes[last]):
                continue
            ends = {"startid": f"#{notes[first].get(ID)}", "endid": f"#{notes[last].get(ID)}"}
            ET.SubElement(measure, f"{{{MEI}}}slur", ends)


def _pitch(note: ET.Element) -> tuple[str | None, str | None]:
    return note.get("pname"), note.get("oct")


def _words(measures: list[ET.Element], draw: random.Random) -> None:
    for measure in measures:
        for note in measure.iter(f"{{{MEI}}}note"):
            verse = ET.SubElement(note, f"{{{MEI}}}verse", {"n": "1"})
            ET.SubElement(verse, f"{{{MEI}}}syl").text = draw.choice(SYLLABLES)


def _articulation(measures: list[ET.Element], draw: random.Random) -> None:
    kind = draw.choice(("stacc", "acc", "ten", "marc"))
    for measure in measures:
        for note in measure.iter(f"{{{MEI}}}note"):
            if draw.random() < 0.3:
                ET.SubElement(note, f"{{{MEI}}}artic", {"artic": kind})


def _signs(measures: list[ET.Element], draw: random.Random) -> None:
    for measure in measures:
        notes = list(measure.iter(f"{{{MEI}}}note"))
        if not notes or draw.random() < 0.7:
            continue
        start = {"startid": f"#{draw.choice(notes).get(ID)}", "staff": "1"}
        kind = draw.choice(("fermata", "dynam", "dir", "trill", "harm"))
        sign = ET.SubElement(measure, f"{{{MEI}}}{kind}", start)
        if kind in WORDS:
            sign.text = draw.choice(WORDS[kind])
            sign.set("place", draw.choice(("above", "below")) if kind == "dynam" else "above")


def _tempo(measures: list[ET.Element], draw: random.Random) -> None:
    """Set a word or a number above the meter."""
    note = next(measures[0].iter(f"{{{MEI}}}note"), None)
    if note is not None:
        sign = ET.SubElement(measures[0], f"{{{MEI}}}tempo", {"startid": f"#{note.get(ID)}", "place": "above"})
        sign.text = draw.choice(TEMPOS)


def _triplets(measures: list[ET.Element], draw: random.Random) -> None:
    """Make two equal unbeamed or beamed notes that stand together the first and second of a triplet of three."""
    for measure in measures:
        for parent in [*measure.iter(f"{{{MEI}}}beam"), *measure.iter(f"{{{MEI}}}layer")]:
            if any(parent is inner for group in measure.iter(f"{{{MEI}}}tuplet") for inner in group.iter()):
                continue
            for index, (one, two) in enumerate(pairwise(list(parent))):
                if _is_plain(one) and _is_plain(two) and one.get("dur") == two.get("dur") and draw.random() < 0.4:
                    third = ET.fromstring(ET.tostring(two))
                    third.set(ID, f"{two.get(ID)}x")
                    for element in third.iter():
                        if element is not third and element.get(ID):
                            element.set(ID, f"{element.get(ID)}x")
                    shown = {"num": "3", "numbase": "2", "num.place": draw.choice(("above", "below"))}
                    if parent.tag.endswith("beam"):
                        shown["bracket.visible"] = "false"
                    group = ET.Element(f"{{{MEI}}}tuplet", shown)
                    parent.remove(one)
                    parent.remove(two)
                    group.extend((one, two, third))
                    parent.insert(index, group)
                    break


def _is_plain(element: ET.Element) -> bool:
    return element.tag == f"{{{MEI}}}note" and not element.get("dots") and element.get("dur") in ("4", "8", "16")


CHANCES = {_slurs: 0.35, _words: 0.25, _articulation: 0.2, _signs: 0.25, _tempo: 0.3, _triplets: 0.35}  # of a page
