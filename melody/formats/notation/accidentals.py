"""Accidentals that are printed on a staff: those that the key and the bar do not already tell, and courtesies.

An accidental holds for its line or space to the end of the bar. A tied note needs none. A courtesy is printed where an
accidental of the bar before, or of another octave in this bar, could mislead (Gould, Behind Bars, "Accidentals").
"""

from melody.formats.notation.spelling import LETTERS, Spelled

NAMES = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
StaffPlace = tuple[str, int]  # step and octave


class Accidentals:
    """Accidentals in force on a staff, bar by bar."""

    def __init__(self) -> None:
        self.sharps = 0
        self.bar: dict[StaffPlace, int] = {}
        self.before: dict[StaffPlace, int] = {}

    def set_key(self, sharps: int) -> None:
        """Begin a key signature."""
        self.sharps = sharps
        self.bar, self.before = {}, {}

    def next_bar(self) -> None:
        """Pass a bar line: only the key holds on."""
        self.before, self.bar = self.bar, {}

    def of_key(self, step: str) -> int:
        """Return the semitones by which the signature alters a step."""
        position = LETTERS.index(step)
        return (position < self.sharps) - (6 - position < -self.sharps)

    def shown(self, note: Spelled) -> str | None:
        """Return the accidental to print before a note that no tie continues; None where none is needed."""
        place = (note.step, note.octave)
        told = self.bar.get(place, self.of_key(note.step))
        known = place in self.bar
        misleading = not known and (
            self.before.get(place, note.alter) != note.alter
            or any(step == note.step and alter != note.alter for (step, _), alter in self.bar.items())
        )
        self.bar[place] = note.alter
        return NAMES[note.alter] if told != note.alter or misleading else None
