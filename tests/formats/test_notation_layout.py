"""Layout of written music: whether it looks as an engraver would have it."""

from functools import cache

import pytest
from support.short_scores import beat, line, score_of, track, xml
from symusic import Tempo, TextMeta

from melody.corpus.chorale import read_chorale
from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.writer import musicxml_bytes
from melody.music.score import Score

chorale = cache(read_chorale)


# ---- values ----------------------------------------------------------------------------------------------------------


def beams_of(score: Score) -> list[str]:
    return [beam.text or "" for beam in xml(score).iterfind("part/measure/note/beam[@number='1']")]


def test_eighths_are_beamed_by_halves_or_by_dotted_beats() -> None:
    four, three = ["begin", "continue", "continue", "end"], ["begin", "continue", "end"]
    assert beams_of(score_of(line(*[72] * 8, ticks=12))) == four * 2
    assert beams_of(score_of(line(*[72] * 6, ticks=12), meter=(6, 8))) == three * 2
    assert beams_of(score_of(line(*[72] * 6, ticks=12), meter=(3, 4))) == ["begin", *["continue"] * 4, "end"]
    assert beams_of(score_of(line(*[72] * 7, ticks=12), meter=(7, 8))) == ["begin", "end"] * 2 + three


def test_a_dotted_eighth_and_a_sixteenth_share_a_beam_with_a_hook() -> None:
    notes = xml(score_of(track((0, 18, 72), (18, 6, 74), (24, 72, 72)))).findall("part/measure/note")
    assert [[(b.get("number"), b.text) for b in note.findall("beam")] for note in notes] == [
        [("1", "begin")],
        [("1", "end"), ("2", "backward hook")],
        [],
    ]


def test_a_triplet_has_its_bracket_where_no_beam_holds_it() -> None:
    beamed, open_ = (
        xml(score_of(track(*notes))).findall(".//tuplet")
        for notes in (((0, 8, 72), (8, 8, 74), (16, 8, 76)), ((0, 16, 72), (16, 8, 74)))
    )
    assert [(t.get("type"), t.get("bracket")) for t in beamed] == [("start", "no"), ("stop", None)]
    assert [(t.get("type"), t.get("bracket")) for t in open_] == [("start", "yes"), ("stop", None)]


def test_a_note_over_the_bar_line_is_tied() -> None:
    notes = xml(score_of(track((72, 48, 72)))).findall(".//note[pitch]")
    assert [[tie.get("type") for tie in note.findall("tie")] for note in notes] == [["start"], ["stop"]]


# ---- parts and staves ------------------------------------------------------------------------------------------------


def clefs(score: Score) -> list[str]:
    found = xml(score).iterfind("part/measure/attributes/clef")
    return [
        (c.findtext("sign") or "") + (c.findtext("line") or "") + (c.findtext("clef-octave-change") or "")
        for c in found
    ]


@pytest.mark.parametrize(
    ("pitches", "program", "name", "expected"),
    [
        ((72, 74, 76), 73, "Flute", ["G2"]),
        ((40, 43, 45), 0, "", ["F4"]),
        ((57, 60, 62), 41, "Viola", ["C3"]),
        ((48, 52, 55), 52, "Tenor", ["G2-1"]),
        ((48, 52, 55), 24, "Guitar", ["G2-1"]),
        ((28, 33, 35), 33, "Bass", ["F4-1"]),
        ((43, 48, 50), 42, "Cello", ["F4"]),
        ((62, 64, 65) * 6, 42, "Cello", ["C4"]),  # high passages
        ((100, 103, 105), 72, "Piccolo", ["G21"]),
    ],
)
def test_clefs_follow_range_and_instrument(
    pitches: tuple[int, ...], program: int, name: str, expected: list[str]
) -> None:
    assert clefs(score_of(line(*pitches, program=program, name=name))) == expected


def test_a_clef_changes_where_many_ledger_lines_are_saved() -> None:
    low, high = (40, 43, 45, 47) * 4, (72, 74, 76, 77) * 4
    assert clefs(score_of(line(*low, *high, *low))) == ["F4", "G2", "F4"]
    assert clefs(score_of(line(*low, 60, 62, *low))) == ["F4"]


def test_four_voices_share_two_staves_with_stems_up_and_down() -> None:
    root = xml(chorale("bach/bwv276.mxl"))
    assert len(root.findall("part")) == 1
    stems = {(n.findtext("staff"), n.findtext("voice"), n.findtext("stem")) for n in root.iterfind(".//note[stem]")}
    assert stems == {("1", "1", "up"), ("1", "2", "down"), ("2", "5", "up"), ("2", "6", "down")}
    assert clefs(chorale("bach/bwv276.mxl")) == ["G2", "F4"]
    assert len(xml(chorale("bach/bwv276.mxl"), open_score=True).findall("part")) == 4


def test_a_piano_has_two_staves_and_hands_that_can_play() -> None:
    left, right = (36, 48, 43, 48) * 4, (72, 76, 79, 76) * 4
    notes = [(i * 24, 24, pitch + shift) for i, pitch in enumerate(right) for shift in (0, -8, -12)]
    root = xml(score_of(track(*notes, *((i * 24, 24, pitch) for i, pitch in enumerate(left)))))
    by_staff: dict[str, set[int]] = {"1": set(), "2": set()}
    for note in root.iterfind(".//note[pitch]"):
        by_staff[note.findtext("staff", "")].add(int(note.findtext("pitch/octave", "")))
    assert min(by_staff["1"]) >= 4
    assert max(by_staff["2"]) <= 3


def test_a_melody_over_held_notes_is_two_voices_in_the_bar_that_needs_them() -> None:
    root = xml(score_of(track((0, 96, 60), (0, 24, 72), (24, 72, 74), (96, 96, 72))))
    first, second = root.findall("part/measure")
    assert {n.findtext("voice") for n in first.findall("note")} == {"1", "2"}
    assert {n.findtext("voice") for n in second.findall("note")} == {"1"}
    assert [n.findtext("pitch/octave") for n in first.findall("note[voice='2']")] == ["4"]  # the held note, below


def test_players_of_a_section_and_hands_of_a_keyboard_are_joined() -> None:
    strings = [line(72, program=40), line(67, program=40), line(60, program=41), line(48, program=42)]
    hands = [line(72, name="Piano, right hand"), line(48, name="Piano, left hand")]
    symbols = [e.text for e in xml(score_of(*strings, *hands), open_score=True).iterfind(".//group-symbol")]
    assert symbols == ["bracket", "brace"]


# ---- drums, signs ----------------------------------------------------------------------------------------------------


def test_drums_have_heads_places_and_two_voices() -> None:
    root = xml(score_of(beat()))
    by_instrument = {n.find("instrument").get("id"): n for n in root.iterfind(".//note[instrument]")}  # type: ignore[union-attr]
    hat, kick = by_instrument["P1-I43"], by_instrument["P1-I37"]
    assert (hat.findtext("notehead"), hat.findtext("stem"), hat.findtext("unpitched/display-step")) == ("x", "up", "G")
    assert (kick.findtext("notehead"), kick.findtext("stem"), kick.findtext("type")) == (None, "down", "quarter")
    assert clefs(score_of(beat())) == ["percussion"]
    assert not root.findall(".//tie")
    back = parse_musicxml(musicxml_bytes(score_of(beat()))).score.tracks[0]
    assert back.is_drum
    assert sorted((n.time // 20, n.pitch) for n in back.notes) == sorted((n.time, n.pitch) for n in beat().notes)


def test_markers_are_chord_symbols_or_rehearsal_marks_or_words() -> None:
    chords = score_of(line(*[64] * 8), key=(1, 1))
    chords.markers.extend([TextMeta(t, text) for t, text in ((0, "Em"), (48, "B7/D#"), (96, "N.C."), (156, "Cmaj7"))])
    found = [
        (h.findtext("root/root-step"), h.findtext("kind"), h.findtext("bass/bass-step"))
        for h in xml(chords).iter("harmony")
    ]
    assert found == [("E", "minor", None), ("B", "dominant", "D"), ("C", "none", None), ("C", "major-seventh", None)]
    sections = score_of(line(*[64] * 8))
    sections.markers.extend([TextMeta(0, "Verse"), TextMeta(96, "melody: new music from here on")])
    assert [e.text for e in xml(sections).iter("rehearsal")] == ["Verse"]
    assert [e.text for e in xml(sections).iter("words")] == ["melody: new music from here on"]


def test_syllables_stand_under_their_notes() -> None:
    tune = line(60, 62, 64, 65, 67)
    syllables = ((0, "Mu-"), (25, "si-"), (48, "ca"), (71, "nova"), (200, "?"))
    tune.lyrics.extend([TextMeta(tick, text) for tick, text in syllables])
    notes = xml(score_of(tune)).iterfind(".//note[pitch]")
    found = [tuple(map(note.findtext, ("pitch/step", "lyric/text", "lyric/syllabic"))) for note in notes]
    assert found == [
        ("C", "Mu", "begin"), ("D", "si", "middle"), ("E", "ca", "end"), ("F", "nova", "single"), ("G", None, None),
    ]  # fmt: skip


def test_of_a_tempo_curve_only_what_lasts_is_printed() -> None:
    score = score_of(line(*[64] * 12, ticks=36), meter=(6, 8))
    score.tempos.extend([Tempo(tick, qpm=qpm) for tick, qpm in ((0, 90), (36, 88), (60, 80), (72, 90), (144, 120))])
    root = xml(score)
    assert [e.text for e in root.iter("per-minute")] == ["60", "80"]  # dotted quarters
    assert len(root.findall(".//beat-unit-dot")) == 2
    assert [e.get("tempo") for e in root.iter("sound")] == ["90", "88", "80", "90", "120"]
