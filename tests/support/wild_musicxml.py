"""Made-up MusicXML documents: elements that exist, with values that may not, plain, damaged or packed."""

import io
import random
import zipfile

from melody.errors import MelodyError
from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.writer import musicxml_bytes
from melody.music.score import Score, notes_of

NUMBERS = ("0", "1", "2", "3", "4", "7", "-1", "-12", "12", "0.5", "24", "480", "1e9", "999999999", "", "x", "1/2", "٣")
TEXTS = ("", "Am7", "D.C. al Fine", "Fine", "To Coda", "la", "\u202e", "&#x1F3B5;", "a\tb", "&amp;", "N.C.", "A", "99")
TYPES = ("start", "stop", "continue", "discontinue", "no", "yes", "")
KINDS = ("whole", "half", "quarter", "eighth", "16th", "1024th", "maxima", "?")
CHORDS = ("major", "minor-seventh", "none", "other", "dominant", "suspended-second", "Tristan", "")


class Wild:
    """A generator of documents."""

    def __init__(self, generator: random.Random) -> None:
        self.pick = generator.choice
        self.chance = generator.random
        self.some = generator.randint

    def element(self, tag: str, inside: str = "", **attributes: str) -> str:
        named = "".join(f' {name}="{value}"' for name, value in attributes.items() if self.chance() < 0.9)
        return f"<{tag}{named}>{inside}</{tag}>" if self.chance() < 0.98 else f"<{tag}/>"

    def number(self, tag: str) -> str:
        return self.element(tag, self.pick(NUMBERS))

    def maybe(self, text: str, share: float = 0.3) -> str:
        return text if self.chance() < share else ""

    def note(self) -> str:
        step = self.element("step", self.pick("CDEFGABH"))
        pitch = self.element("pitch", step + self.maybe(self.number("alter")) + self.number("octave"))
        shown = self.element("display-step", "E") + self.number("display-octave")
        what = self.pick((pitch, pitch, pitch, self.element("rest", measure="yes"), self.element("unpitched", shown)))
        ratio = self.element("time-modification", self.number("actual-notes") + self.number("normal-notes"))
        lyric = self.element("lyric", self.element("syllabic", self.pick(("begin", "end", "?"))) + self.text("text"))
        notations = self.element("notations", self.element("tied", type=self.pick(TYPES)) + self.pick(("<slur/>", "")))
        return self.element(
            "note",
            self.maybe(self.pick(("<chord/>", "<grace/>", "<cue/>")))
            + what
            + self.maybe(self.number("duration"), 0.8)
            + self.maybe(self.element("tie", type=self.pick(TYPES)))
            + self.maybe(self.element("type", self.pick(KINDS)) + "<dot/>" * self.some(0, 9))
            + self.maybe(ratio, 0.1)
            + self.maybe(self.number("staff"), 0.1)
            + self.maybe(notations)
            + self.maybe(lyric),
            dynamics=self.pick(NUMBERS),
        )

    def text(self, tag: str) -> str:
        return self.element(tag, self.pick(TEXTS))

    def attributes(self) -> str:
        key = self.element("key", self.number("fifths") + self.maybe(self.element("mode", self.pick(("minor", "?")))))
        time = self.element("time", self.pick(("<senza-misura/>", self.number("beats") + self.number("beat-type"))))
        move = self.number("diatonic") + self.number("chromatic") + self.maybe(self.number("octave-change"))
        style = self.element("measure-repeat", self.pick(NUMBERS), type=self.pick(TYPES))
        parts = (
            self.number("divisions"), key, time, self.element("transpose", move, number=self.pick(NUMBERS)),
            self.element("measure-style", style, number=self.pick(NUMBERS)),
        )  # fmt: skip
        return self.element("attributes", "".join(self.maybe(part, 0.4) for part in parts))

    def sound(self) -> str:
        names = ("tempo", "dynamics", "dacapo", "dalsegno", "segno", "coda", "tocoda", "fine", "forward-repeat")
        chosen = {name: self.pick((*NUMBERS, "yes", "a")) for name in names if self.chance() < 0.2}
        return self.element("sound", self.maybe(self.number("offset"), 0.2), **chosen)

    def direction(self) -> str:
        beat = self.element("beat-unit", self.pick(KINDS)) + self.text("per-minute")
        kinds = (
            self.text("words"), self.text("rehearsal"), "<segno/>", "<coda/>", "<dynamics><ff/></dynamics>", "<wedge/>",
            self.element("metronome", beat),
        )  # fmt: skip
        more = self.maybe(self.element("offset", self.pick(NUMBERS), sound="yes")) + self.maybe(self.sound())
        return self.element("direction", self.element("direction-type", self.pick(kinds)) + more)

    def harmony(self) -> str:
        root = self.element(
            "root", self.element("root-step", self.pick("ABCH")) + self.maybe(self.number("root-alter"))
        )
        degree = self.number("degree-value") + self.number("degree-alter") + self.element("degree-type", "add")
        more = self.maybe(self.element("degree", degree)) + self.maybe(self.number("inversion"))
        return self.element("harmony", root + self.element("kind", self.pick(CHORDS), text=self.pick(TEXTS)) + more)

    def barline(self) -> str:
        repeat = self.element("repeat", direction=self.pick(("forward", "backward")), times=self.pick(NUMBERS))
        ending = self.element("ending", number=self.pick(("1", "2", "1, 2", "1-99", "")), type=self.pick(TYPES))
        return self.element("barline", self.maybe(repeat, 0.7) + self.maybe(ending, 0.5))

    def backup(self) -> str:
        return self.element("backup", self.number("duration"))

    def forward(self) -> str:
        return self.element("forward", self.number("duration"))

    def measure(self) -> str:
        makers = (
            *[self.note] * 6, self.attributes, self.sound, self.direction, self.harmony, self.barline,
            self.backup, self.forward,
        )  # fmt: skip
        return self.element("measure", "".join(self.pick(makers)() for _ in range(self.some(0, 8))), number="1")

    def document(self) -> str:
        """A document of up to three parts of up to eight measures."""
        count, outer = self.some(1, 3), self.pick(("part", "part", "part", "measure"))
        instrument = self.number("midi-channel") + self.number("midi-program") + self.number("midi-unpitched")
        head = "".join(
            self.element(
                "score-part",
                self.text("part-name") + self.maybe(self.element("midi-instrument", instrument, id="I")),
                id=f"P{place}",
            )
            for place in range(count)
        )
        body = "".join(
            self.element("part", "".join(self.measure() for _ in range(self.some(0, 8))), id=f"P{place}")
            for place in range(count)
        )
        if outer == "measure":
            body = (
                body.replace("<part", "<x")
                .replace("</part>", "</x>")
                .replace("measure", "part")
                .replace("x", "measure")
            )
        root = "score-partwise" if outer == "part" else "score-timewise"
        return f"<{root}><work>{self.text('work-title')}</work><part-list>{head}</part-list>{body}</{root}>"


def made(seed: int) -> bytes:
    """The document of a seed: a third of them damaged, a third packed, most of these damaged as archives."""
    generator = random.Random(seed)
    data = Wild(generator).document().encode()
    if generator.random() < 0.33:
        data = damaged(data, generator)
    if generator.random() < 0.33:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("score.xml", data)
        data = packed.getvalue()
        data = damaged(data, generator) if generator.random() < 0.8 else data
    return data


def damaged(data: bytes, generator: random.Random) -> bytes:
    """The bytes with a few of them changed, removed or repeated."""
    result = bytearray(data)
    for _ in range(generator.randint(1, 4)):
        at, length = generator.randrange(len(result) + 1), generator.randint(1, 40)
        change = generator.randrange(3)
        if change == 0:
            result[at : at + 1] = bytes([generator.randrange(256)])
        elif change == 1:
            del result[at : at + length]
        else:
            result[at:at] = result[at : at + length]
    return bytes(result)


def check(data: bytes) -> bool:
    """Read, write and read again; return whether there was a score. Raises where a promise is broken."""
    score, said = _read(data)
    assert all(sentence.isprintable() for sentence in said), said
    if score is None:
        assert said[0].startswith("any: "), said
        return False
    for track in score.tracks:
        notes = notes_of(track)
        assert not len(notes.onset) or (notes.onset.min() >= 0 and notes.duration.min() >= 1)
        assert track.name.isprintable(), repr(track.name)
    try:
        written = musicxml_bytes(score)
    except MelodyError:
        return True  # bars that no page can hold
    again, said = _read(written)
    assert again is not None, said
    assert not said, said
    return True


def _read(data: bytes) -> tuple[Score | None, tuple[str, ...]]:
    """The score and its repairs, or the one line that refuses it."""
    try:
        reading = parse_musicxml(data, "any")
    except MelodyError as error:
        return None, (str(error),)
    return reading.score, reading.repairs
