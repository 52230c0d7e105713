"""Each rule's breach is found under its name in a good file that breaks just this rule, and good files pass."""

import pytest
from support.midi_files import EOT, NOTE, chunk, file, header, meta, number
from symusic.core import ScoreTick as Score

from melody.errors import UnreadableFile
from melody.formats.midi import check, dumps
from melody.formats.midi.check import RULES

TEMPO, METER, KEY = meta(0x51, b"\x07\xa1\x20"), meta(0x58, b"\x04\x02\x18\x08"), meta(0x59, b"\x01\x00")
ZERO = b"\x00\x90\x3e\x40\x00\x80\x3e\x00"  # a note without length
OVERLAP = NOTE[:4] + b"\x30\x90\x3c\x40\x30\x80\x3c\x00\x00\x80\x3c\x00"
LATE = b"\x00\xc0\x49"
END = number(1920) + EOT[1:]
CONDUCTOR = meta(3, b"Title") + TEMPO + METER + KEY + END


def part(body: bytes = NOTE, name: bytes = b"Flute", channel: int = 0, key: bytes = KEY, spent: int = 96) -> bytes:
    """A track that keeps the rules and ends after a bar, its `body` having spent so many ticks."""
    program = bytes([0, 0xC0 | channel, 73])
    return meta(3, name) + key + program + body + number(1920 - spent) + EOT[1:]


def on(channel: int) -> bytes:
    """A note on another channel."""
    return bytes([0, 0x90 | channel, 60, 64, 96, 0x80 | channel, 60, 0])


GOOD = file(CONDUCTOR, part(), part(on(9), b"Drums", 9, b""))

BREACHES: dict[str, tuple[str, str, bytes]] = {
    "no end-of-track": ("structure", "file", file(CONDUCTOR, part()[:-5] + b"\x8e\x20\xb0\x07\x40")),
    "type 0": ("type", "header", file(CONDUCTOR, part(), kind=0)),
    "20 ticks": ("resolution", "header", file(CONDUCTOR[:-5] + number(160) + EOT[1:], part(spent=1856), division=20)),
    "time code": ("resolution", "header", file(CONDUCTOR, part(), division=0xE728)),
    "no conductor": ("conductor", "track 1", file(meta(3, b"Flute") + TEMPO + METER + part()[9:])),
    "no tempo": ("conductor", "track 1, tick 0", file(METER + KEY + END, part())),
    "no meter": ("conductor", "track 1, tick 0", file(TEMPO + KEY + END, part())),
    "late meter": ("conductor", "track 1, tick 0", file(TEMPO + KEY + number(1920) + METER[1:] + EOT, part())),
    "tempo in a part": ("conductor", "track 2, tick 0", file(CONDUCTOR, part(TEMPO + NOTE))),
    "marker in a part": ("conductor", "track 2, tick 96", file(CONDUCTOR, part(NOTE + meta(6, b"A")))),
    "no key in a part": ("key", "track 2", file(CONDUCTOR, part(key=b""))),
    "no key in the conductor": ("key", "track 1", file(TEMPO + METER + END, part())),
    "two channels": ("channel", "track 2", file(CONDUCTOR, part(NOTE + b"\x00\xc1\x00" + on(1), spent=192))),
    "shared channel": ("channel", "track 3", file(CONDUCTOR, part(), part(name=b"Oboe"))),
    "no program": ("program", "track 2, tick 0", file(CONDUCTOR, part().replace(b"\x00\xc0\x49", b""))),
    "late program": ("program", "track 2, tick 0", file(CONDUCTOR, part(NOTE + LATE).replace(LATE, b"", 1))),
    "no name": ("name", "track 2", file(CONDUCTOR, part(name=b""))),
    "UTF-8 name": ("name", "track 2", file(CONDUCTOR, part(name="Flöte".encode()))),
    "one name twice": ("name", "track 3", file(CONDUCTOR, part(), part(on(1), channel=1))),
    "ends early": ("end", "track 2", file(CONDUCTOR, part(spent=97))),
    "ends a bar late": ("end", "track 1", file(CONDUCTOR[:-5] + number(3840) + EOT[1:], part())),
    "pedal held": ("hang", "track 2, tick 96", file(CONDUCTOR, part(NOTE + b"\x00\xb0\x40\x7f"))),
    "sostenuto held": ("hang", "track 2, tick 0", file(CONDUCTOR, part(b"\x00\xb0\x42\x40" + NOTE))),
    "bend left open": ("hang", "track 2, tick 0", file(CONDUCTOR, part(b"\x00\xe0\x00\x50" + NOTE))),
    "volume 0": ("hang", "track 2, tick 0", file(CONDUCTOR, part(b"\x00\xb0\x07\x00" + NOTE))),
    "expression 0": ("hang", "track 2, tick 0", file(CONDUCTOR, part(b"\x00\xb0\x0b\x00" + NOTE))),
    "zero length": ("length", "track 2, tick 96", file(CONDUCTOR, part(NOTE + ZERO))),
    "hanging note": ("note-end", "track 2, tick 96", file(CONDUCTOR, part(NOTE + b"\x00\x90\x3e\x40"))),
    "note-off alone": ("note-end", "track 2, tick 96", file(CONDUCTOR, part(NOTE + b"\x00\x80\x3e\x40"))),
    "off after on": (
        "order",
        "track 2, tick 96",
        file(CONDUCTOR, part(NOTE[:4] + b"\x60\x90\x3e\x40\x00\x80\x3c\x00\x60\x80\x3e\x00", spent=192)),
    ),
    "control after on": ("order", "track 2, tick 0", file(CONDUCTOR, part(NOTE[:4] + b"\x00\xb0\x07\x40" + NOTE[4:]))),
}  # fmt: skip


def test_a_good_file_passes() -> None:
    assert check(GOOD) == []
    assert check(dumps(Score(480))) == []


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_found_under_its_name(case: str) -> None:
    rule, place, data = BREACHES[case]
    breaches = check(data)
    assert {breach.rule for breach in breaches} == {rule}
    assert place in [breach.place for breach in breaches]
    assert all(breach.explanation and breach.explanation.isprintable() for breach in breaches)


def test_overlapping_notes_are_a_caution() -> None:
    data = file(CONDUCTOR, part(OVERLAP))
    assert check(data) == []
    (caution,) = check(data, cautions=True)
    assert (caution.rule, caution.place) == ("overlap", "track 2, tick 48")


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\xb0\x40\x7f\x00\xe0\x00\x50" + NOTE + b"\x00\xb0\x79\x00",  # reset all controllers
        b"\x00\xb0\x40\x7f" + NOTE + b"\x00\xb0\x40\x00",
        b"\x00\xb0\x07\x00\x00\xb0\x07\x64" + NOTE + b"\x00\xb0\x07\x00",  # a fade, after the last note
    ],
)
def test_nothing_hangs_that_was_let_go(body: bytes) -> None:
    assert check(file(CONDUCTOR, part(body))) == []


def test_every_rule_has_a_breach_here() -> None:
    assert {rule for rule, _, _ in BREACHES.values()} == set(RULES)


def test_sixteen_pitched_tracks_may_share_channels_on_two_ports() -> None:
    channels = [channel for channel in range(16) if channel != 9]
    tracks = [part(on(channel), b"Part %d" % channel, channel) for channel in channels]
    assert check(file(CONDUCTOR, *tracks)) == []
    assert check(file(CONDUCTOR, *tracks, meta(0x21, b"\x01") + part(name=b"Sixteenth"))) == []
    assert {breach.rule for breach in check(file(CONDUCTOR, *tracks, part(name=b"Sixteenth")))} == {"channel"}
    assert {breach.rule for breach in check(file(CONDUCTOR, *tracks[:14], part(name=b"Fifteenth")))} == {"channel"}


def test_many_places_of_one_breach_are_counted() -> None:
    (breach,) = check(file(CONDUCTOR, part(NOTE + 5 * ZERO)))
    assert "(and at 4 more places)" in breach.explanation


def test_the_meter_decides_where_the_final_bar_line_is() -> None:
    def seven(end: int) -> bytes:
        conductor = TEMPO + meta(0x58, b"\x07\x03\x18\x08") + number(end) + EOT[1:]
        return file(conductor, meta(3, b"Flute") + b"\x00\xc0\x49" + NOTE + number(end - 96) + EOT[1:])

    assert check(seven(1680)) == []
    assert {breach.rule for breach in check(seven(1920))} == {"end"}


def test_no_midi_is_refused() -> None:
    with pytest.raises(UnreadableFile):
        check(b"not music")


def test_a_far_event_is_named() -> None:
    far = number((1 << 28) - 1) + b"\x90\x3c\x40\x60\x80\x3c\x00" + EOT
    breaches = check(header(2) + chunk(CONDUCTOR) + chunk(meta(3, b"Far") + KEY + b"\x00\xc0\x00" + far))
    assert any(breach.rule == "end" and "10,000 bars" in breach.explanation for breach in breaches)
