"""Promises of the ABC reader: what is written reads back, whatever the text it ends well, and as abc2midi has it."""

import os
import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
import symusic  # noqa: F401  # sets SYMUSIC_ABC2MIDI
from hypothesis import given, settings
from hypothesis import strategies as st
from support.abc_notes import notes
from support.abc_writer import Bars, Chord, written

from melody.corpus.archives import opened
from melody.errors import MelodyError
from melody.formats.abc import first_tune, parse_abc, read_tunes
from melody.formats.midi import parse
from melody.music.score import Score, notes_of

Row = tuple[int, int, int]
LENGTHS = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1), Fraction(3, 2), Fraction(2), Fraction(1, 3)]
CHORDS = st.builds(
    Chord,
    st.lists(st.integers(24, 108), max_size=3, unique=True).map(tuple),
    st.sampled_from(LENGTHS),
)
BARS = st.lists(st.lists(CHORDS, min_size=1, max_size=5), min_size=1, max_size=5)
UNITS = st.sampled_from([Fraction(1, 4), Fraction(1, 8), Fraction(1, 16), Fraction(1, 1)])
KEYS = st.sampled_from(["C", "G", "Ebm", "F#", "Ddor", "none", "C exp ^f_b", "HP"])


def rows(score: Score, track: int) -> list[Row]:
    """The notes of a track as (onset, duration, pitch)."""
    found = notes_of(score.tracks[track])
    return sorted(zip(found.onset.tolist(), found.duration.tolist(), found.pitch.tolist(), strict=True))


def expected(bars: Bars) -> list[Row]:
    """The notes that a voice must have, rounded as times are: onset and end each to the nearest tick."""
    result, time = [], Fraction(0)
    for chord in (chord for bar in bars for chord in bar):
        onset, end = (_tick(at) for at in (time, time + chord.length))
        result += [(onset, end - onset, pitch) for pitch in chord.pitches]
        time += chord.length
    return sorted(result)


def _tick(quarters: Fraction) -> int:
    return int((480 * quarters + Fraction(1, 2)) // 1)


@settings(max_examples=150)
@given(st.lists(BARS, min_size=1, max_size=3), UNITS, KEYS)
def test_what_is_written_reads_back(voices: Sequence[Bars], unit: Fraction, key: str) -> None:
    sounding = [bars for bars in voices if any(chord.pitches for bar in bars for chord in bar)]
    if not sounding:
        return
    (reading,) = parse_abc(written(voices, unit, key=key))
    assert [rows(reading.score, track) for track in range(len(sounding))] == [expected(bars) for bars in sounding]


@settings(max_examples=60)
@given(BARS, st.integers(2, 4))
def test_a_repeat_is_what_stands_there_again(bars: Bars, times: int) -> None:
    text = written([bars])
    head, music = text.split("V:1\n")
    once, again = music.strip(), f"|{':' * (times - 1)}{music.strip()[:-1]}{':' * (times - 1)}|"
    try:
        (played,) = parse_abc(f"{head}V:1\n" + f"{once}\n" * times)
    except MelodyError:
        return  # rests alone
    assert rows(played.score, 0) == rows(parse_abc(f"{head}V:1\n{again}\n")[0].score, 0)


# ---- any text --------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["X:1\n", "T:t\n", "M:3/4\n", "L:1/8\n", "K:C\n", "K:", "V:1\n", "P:A\n", "w:la la\n", "%%MIDI program 3\n",
     "Q:1/4=90\n", "C", "^d,2", "[CE]/", "(3", "|:", ":|", "|1", "[2", "::", "||", "|]", "-", ">", "<<", "{ab}", '"Am"',
     "!f!", "&", "z2", "Z4", "[M:2/4]", "[K:D]", "[V:2]", "\n", "\n\n", " ", "\\\n", "%", "+", "(", ")", ".", "~", "0",
     "9999", "/", "\x00", "\u202e", "é", "\r", "\t%%abc-include x\n", "I:", "U:T=!trill!\n", "s:"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=60).map("".join)
TUNE = 'X:1\nT:t\nM:4/4\nL:1/8\nQ:1/4=90\nP:AAB\nK:Gdor clef=treble\nP:A\n' \
       '|:"Am"C2 (3DEF [G2B]>A-|1 A4:|2 !f!z4|]\nw:la-la\n' \
       "P:B\nV:2 name=x\n{g}^c&_E2|Z2|\n"  # fmt: skip


def ends_well(text: str) -> None:
    """A tune is read or refused in one line; what is said can be shown."""
    refusal, reading = "", None
    try:
        reading = first_tune(text.encode("utf-8", "surrogatepass"), "x.abc")
    except MelodyError as error:
        refusal = str(error)
    assert reading is not None or refusal.startswith("x.abc: ")
    said = (*reading.repairs, *reading.remarks) if reading else (refusal,)
    assert all(sentence.isprintable() for sentence in said)
    assert reading is None or any(len(track.notes) for track in reading.score.tracks)


@settings(max_examples=300)
@given(TEXTS)
def test_any_text_ends_well(text: str) -> None:
    ends_well("X:1\nK:C\n" + text)
    ends_well(text)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(TUNE) - 1), st.integers(0, 3), PIECES), max_size=6))
def test_a_tune_that_was_changed_at_some_places_ends_well(changes: list[tuple[int, int, str]]) -> None:
    text = TUNE
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]
    ends_well(text)


# ---- abc2midi as an oracle -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def abc2midi() -> str:
    program = os.environ.get("SYMUSIC_ABC2MIDI", "")
    if not os.path.isfile(program):
        pytest.skip("symusic brings no abc2midi here")
    return program


PLAIN = [
    "CDEF|GABc|cBAG|FEDC|", "|:C2D2E2F2:|G8|", "|:CDEF|1GABc:|2c8|]", "(3CDE F2 (3:2:3GAB c2|", "C>D E<F G>>A B<<c|",
    "[CEG]2 [DFA]2 [ceg]4|", "^F F f =f|F _B B =B|", "C-C C2-|C4|", "z2 C2 x2 D2|z8|E8|",
    "C/D/E/F/ G//A//B//c// C3/2D/2 E2|",
    "C,,D,,E,F, c'd'e'f'|", "[K:D]FCGA [K:Eb]EBAD|", "[M:3/4]C2D2E2|[M:6/8]CDE FGA|",
    "::CDEF::GABc:|", "{cd}C2 {e}D2 E4|",
]  # fmt: skip


@pytest.mark.parametrize("music", PLAIN)
def test_plain_music_is_as_abc2midi_has_it(abc2midi: str, music: str, tmp_path: Path) -> None:
    text = f"X:1\nT:t\nM:4/4\nL:1/8\nK:G\n%%MIDI nobeataccents\n%%MIDI chordattack 0\n{music}\n"
    (tmp_path / "a.abc").write_text(text)
    command = [abc2midi, "a.abc", "-o", "a.mid", "-NGRA", "-NGUI", "-silent"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=20, capture_output=True)
    theirs = parse((tmp_path / "a.mid").read_bytes()).score
    late = [(onset - (onset > 0), pitch) for onset, _, pitch in rows(theirs, 0)]  # it begins notes a tick late
    ours = [(onset, pitch) for onset, _, pitch in rows(parse_abc(text)[0].score, 0)]
    assert sorted(ours) == sorted(late)


# ---- the archive of hymns --------------------------------------------------------------------------------------------

_FERMATA = re.compile(r"!fermata!|(?<![A-Za-z\"])H(?=[\^_=]*[A-Ga-g\[])")


def test_hymns_have_the_notes_of_their_midi_files(data_folder: Path) -> None:
    with opened(data_folder / "openhymnal.tar.xz", lambda name: name.endswith((".abc", ".mid"))) as folder:
        files = sorted(folder.rglob("*.abc"))
        assert len(files) == 284
        for path in files[::7]:
            ours = read_tunes(path)[0].score
            theirs = parse(next(folder.rglob(f"{path.stem}.mid")).read_bytes()).score
            assert _pitches(ours) == _pitches(theirs), path.name
            if not _FERMATA.search(path.read_text(errors="replace")):
                assert _near(_onsets(ours), _onsets(theirs)), path.name


def _pitches(score: Score) -> list[int]:
    return sorted(note.pitch for track in score.tracks for note in track.notes)


def _onsets(score: Score) -> list[tuple[int, float]]:
    return sorted((note.pitch, note.time / score.tpq) for track in score.tracks for note in track.notes)


def _near(ours: list[tuple[int, float]], theirs: list[tuple[int, float]]) -> bool:
    """Return if onsets are the same but for the ticks by which abc2midi spreads chords."""
    return all(abs(a[1] - b[1]) < 0.1 for a, b in zip(ours, theirs, strict=True))


def test_the_notes_helper_shows_fractions() -> None:
    assert notes(parse_abc("X:1\nL:1/4\nK:C\n(3CDE|")[0].score)[1] == "62@2:3/2:3"
