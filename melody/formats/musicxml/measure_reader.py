"""A `<measure>` of one part: its notes, at sounding pitch and in quarters from its beginning.

Grace and cue notes are left out, and so are signs at notes, such as articulations; all of these are counted. A note
without a duration lasts as its type says.
"""

from fractions import Fraction
from functools import lru_cache
from xml.etree.ElementTree import Element

from melody.formats.musicxml.attributes import read_attributes
from melody.formats.musicxml.content import Content, PartContent, PartMeasure, Syllable
from melody.formats.musicxml.directions import read_barline, read_direction, read_harmony, read_sound
from melody.formats.musicxml.elements import integer, number
from melody.formats.musicxml.measures import WrittenSound

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_QUARTERS = {  # by type
    "maxima": Fraction(32), "long": Fraction(16), "breve": Fraction(8), "whole": Fraction(4), "half": Fraction(2),
    "quarter": Fraction(1), "eighth": Fraction(1, 2),
} | {kind: Fraction(4, int(kind.rstrip("ndth"))) for kind in ("16th", "32nd", "64th", "128th", "256th")}  # fmt: skip
_MOST_DOTS = 4
_MOST_CHARACTERS = 1000  # of a syllable


class Cursor:
    """Present place in a measure, in quarters from its beginning."""

    def __init__(self, part: PartContent, measure: PartMeasure, content: Content) -> None:
        self.part, self.measure, self.content = part, measure, content
        self.now = Fraction(0)
        self.onset = Fraction(0)  # of the latest note: a chord's other notes begin with it
        self.plain: list[int] = []  # indices of the notes that are as loud as the part is

    def move(self, quarters: Fraction) -> None:
        """Go on in time, or back."""
        self.now += quarters
        if self.now < 0:
            self.now = Fraction(0)
            self.content.mend("a step back to before its measure; went to its beginning")
        if self.now > self.measure.length:
            self.measure.length = self.now


def read_measure(element: Element, part: PartContent, content: Content) -> None:
    """Read a measure and add it to its part."""
    measure = PartMeasure()
    part.measures.append(measure)
    content.budget.add_measure()
    content.place = f"{part.name or 'a part'}, measure {len(part.measures):,}"
    cursor = Cursor(part, measure, content)
    for child in element:
        if child.tag == "note":
            _read_note(child, cursor)
        elif child.tag in ("backup", "forward"):
            move = _duration(child, cursor) or Fraction(0)
            cursor.move(move if child.tag == "forward" else -move)
        elif child.tag == "attributes":
            read_attributes(child, measure, cursor.now, part, content)
        elif child.tag == "direction":
            read_direction(child, measure, cursor.now, part, content)
        elif child.tag == "sound":
            read_sound(child, measure, cursor.now, part, content)
        elif child.tag == "harmony":
            read_harmony(child, measure, cursor.now, part, content)
        elif child.tag == "barline":
            read_barline(child, measure)
        elif child.tag == "figured-bass":
            content.left_out["figured basses"] += 1
    _set_velocities(cursor)
    content.budget.check_length(measure.length)
    content.budget.add_signs(measure.sign_count)


def _set_velocities(cursor: Cursor) -> None:
    """Give notes without a loudness of their own that of the dynamics before them."""
    changes = sorted(cursor.measure.loudness, key=lambda change: change[0])
    if not changes:
        return
    sounds = cursor.measure.sounds
    for index in cursor.plain:
        velocity = next((loud for time, loud in reversed(changes) if time <= sounds[index].start), None)
        sounds[index] = sounds[index]._replace(velocity=velocity or sounds[index].velocity)
    cursor.part.velocity = changes[-1][1]


# ---- notes -----------------------------------------------------------------------------------------------------------


def _read_note(note: Element, cursor: Cursor) -> None:
    holds = {child.tag: child for child in note}
    if "grace" in holds:
        cursor.content.left_out["grace notes"] += 1
        return
    length = _duration(note, cursor) if "duration" in holds else _length_by_type(note, holds, cursor)
    if length is None:
        return
    if "chord" not in holds:
        cursor.onset = cursor.now
        cursor.move(length)
    if "rest" in holds or not length:
        return
    if "cue" in holds:
        cursor.content.left_out["cue notes"] += 1
        return
    _add_sound(note, holds, length, cursor)


def _add_sound(note: Element, holds: dict[str, Element], length: Fraction, cursor: Cursor) -> None:
    staff = holds["staff"].text if "staff" in holds else None
    pitch = _pitch(holds, staff, cursor.part)
    if "pitch" in holds and (alter := number(holds["pitch"].findtext("alter"))) is not None and alter.denominator > 1:
        cursor.content.left_out["quarter tones, rounded to semitones"] += 1
    if pitch is None or not 0 <= pitch <= 127:
        cursor.content.mend("a note whose pitch cannot be; left out")
        return
    cursor.content.budget.add_notes()
    notations = [child for child in note if child.tag == "notations"] if "notations" in holds else []
    ties = {tie.get("type") for tie in note if tie.tag == "tie"} if "tie" in holds else _tied(notations)
    velocity = _velocity(note)
    if velocity is None:
        cursor.plain.append(len(cursor.measure.sounds))
        velocity = cursor.part.velocity
    continues, goes_on = bool(ties & {"stop", "continue"}), bool(ties & {"start", "continue"})
    end = cursor.onset + length if "chord" in holds else cursor.now
    cursor.measure.sounds.append(WrittenSound(cursor.onset, end, pitch, velocity, continues, goes_on))
    cursor.measure.staves.append(staff)
    if "lyric" in holds:
        _read_syllables(note, cursor)
    for notation in notations:
        for sign in notation:
            if sign.tag in _SIGNS:
                cursor.content.left_out[_SIGNS[sign.tag]] += 1


_SIGNS = {
    "articulations": "articulations", "ornaments": "ornaments", "technical": "playing techniques", "slur": "slurs",
    "fermata": "fermatas", "arpeggiate": "arpeggios", "glissando": "glissandos", "slide": "slides",
}  # fmt: skip


def _duration(element: Element, cursor: Cursor) -> Fraction | None:
    """Return the quarters that an element says; None where they make no sense."""
    text = element.findtext("duration", "")
    known = cursor.part.durations.get(text)  # a piece has few different ones
    if known is not None:
        return known
    count = number(text)
    if count is None or count < 0:
        cursor.content.mend("a duration that cannot be; left out")
        return None
    quarters = count / cursor.part.divisions
    cursor.content.budget.add_time(quarters)
    if element.tag != "backup":
        cursor.content.budget.check_length(quarters)
        cursor.part.durations[text] = quarters
    return quarters


def _length_by_type(note: Element, holds: dict[str, Element], cursor: Cursor) -> Fraction | None:
    """Return the quarters of a note without a duration; None for a rest that fills its measure, whatever that is."""
    kind = (note.findtext("type") or "").strip()
    if kind not in _QUARTERS:
        if "rest" not in holds:
            cursor.content.mend("a duration that cannot be; left out")
        return None
    quarters = _QUARTERS[kind] * (2 - Fraction(1, 2 ** min(_MOST_DOTS, len(note.findall("dot")))))
    if "time-modification" in holds:
        actual, normal = (
            integer(holds["time-modification"].findtext(f"{what}-notes")) for what in ("actual", "normal")
        )
        if actual and normal and 0 < actual <= 1024 and 0 < normal <= 1024:
            quarters *= Fraction(normal, actual)
    cursor.content.budget.add_time(quarters)
    cursor.content.mend("a note without a duration; it lasts as its type says")
    return quarters


def _pitch(holds: dict[str, Element], staff: str | None, part: PartContent) -> int | None:
    """Return the sounding MIDI pitch of a note that holds these elements."""
    pitch = holds.get("pitch")
    if pitch is not None:
        height = _height(pitch.findtext("step"), pitch.findtext("octave"), pitch.findtext("alter", "0"))
        shift = part.transposition(staff).semitones if part.transpositions else 0
        return None if height is None else height + shift
    unpitched = holds.get("unpitched")
    if unpitched is None:
        return None
    part.is_drum = True
    instrument = holds.get("instrument")
    stored = part.drums.get(instrument.get("id", "")) if instrument is not None else None
    if stored is None and len(part.drums) == 1 and instrument is None:
        stored = next(iter(part.drums.values()))
    written = _height(unpitched.findtext("display-step"), unpitched.findtext("display-octave"))
    return written if stored is None else stored


@lru_cache(4096)
def _height(step: str | None, octave: str | None, alter: str = "0") -> int | None:
    """Return the MIDI pitch of a step; quarter tones are rounded up."""
    height, semitones, raised = integer(octave), _STEPS.get((step or "").strip()), number(alter)
    if height is None or semitones is None or raised is None:
        return None
    return 12 * (height + 1) + semitones + int((raised + Fraction(1, 2)) // 1)


def _velocity(note: Element) -> int | None:
    given = note.get("dynamics")
    percent = None if given is None else number(given)  # of a velocity of 90
    return None if percent is None else max(1, min(127, int(percent * 9 / 10)))


def _tied(notations: list[Element]) -> set[str | None]:
    """Return the ties that are only drawn."""
    return {tied.get("type") for notation in notations for tied in notation if tied.tag == "tied"}


def _read_syllables(note: Element, cursor: Cursor) -> None:
    for lyric in note.findall("lyric"):
        words = "".join((part.text or "") if part.tag in ("text", "elision") else "" for part in lyric)
        syllabic = (lyric.findtext("syllabic") or "").strip()
        text = " ".join(words.split())[:_MOST_CHARACTERS]
        if text:
            cursor.content.budget.add_letters(len(text))
            hyphen = "-" if syllabic in ("begin", "middle") else ""
            cursor.measure.syllables.append(Syllable(cursor.onset, lyric.get("number", "1"), text + hyphen))
