"""Reading MusicXML and music21's streams: bars, ties, staves, keys; on generated streams and on real chorales."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody.corpus.chorale import read_chorale
from melody.errors import UnreadableFile
from melody.formats.midi import Reading
from melody.formats.musicxml import Measure, from_music21, parse_musicxml, read_musicxml, whole_bars
from melody.music.quantize import quantize
from melody.music.score import TICKS_PER_QUARTER, Score, bars, end_tick, notes_of

chorale = cache(read_chorale)


def meters(score: Score) -> list[tuple[int, int, int]]:
    return [(change.time, change.numerator, change.denominator) for change in score.time_signatures]


def rows(score: Score, track: int = 0) -> list[tuple[int, int, int]]:
    """Onset, duration and pitch of the notes of a track, in quarters."""
    notes = notes_of(score.tracks[track])
    return [
        (Fraction(o, 480), Fraction(d, 480), p)
        for o, d, p in zip(notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)
    ]


# ---- real chorales --------------------------------------------------------------------------------------------------


def test_a_pickup_is_a_short_first_bar() -> None:
    score = chorale("bach/bwv108.6.mxl")
    assert meters(score) == [(0, 1, 4), (480, 4, 4)]
    assert score.tpq == TICKS_PER_QUARTER


def test_bars_split_by_fermatas_are_whole_again() -> None:
    score = chorale("bach/bwv108.6.mxl")  # encoded 1 | 4 4 4 | 3 + 1 | 4 ... | 1 + 3 | ... | 3
    lengths = set((bars(score)[2:] - bars(score)[1:-1]).tolist())
    assert lengths == {4 * TICKS_PER_QUARTER}
    assert end_tick(score) == int(bars(score)[-1]) - TICKS_PER_QUARTER  # the last bar is filled up


def test_two_halves_make_one_bar() -> None:
    assert meters(chorale("bach/bwv248.33-3.mxl")) == [(0, 4, 4)]


def test_a_short_measure_that_nothing_completes_keeps_its_meter() -> None:
    score = chorale("bach/bwv276.mxl")
    assert meters(score) == [(0, 1, 4), (480, 4, 4), (81 * 480, 1, 4), (82 * 480, 4, 4)]


@pytest.mark.parametrize("name", ["bach/bwv108.6.mxl", "bach/bwv276.mxl", "bach/bwv41.6.mxl", "bach/bwv227.3.mxl"])
def test_chorales_have_four_single_voices(name: str) -> None:
    score = chorale(name)
    assert [(t.name, t.program, t.is_drum) for t in score.tracks] == [
        (voice, 52, False) for voice in ("Soprano", "Alto", "Tenor", "Bass")
    ]
    for track in score.tracks:
        notes = notes_of(track)
        assert (notes.onset[1:] >= (notes.onset + notes.duration)[:-1]).all()


def test_a_key_hidden_by_an_old_signature_is_found() -> None:
    (key,) = chorale("bach/bwv277.mxl").key_signatures  # D minor, written without its flat
    assert (key.key, key.tonality) == (-1, 1)


def test_first_bar_of_a_known_chorale() -> None:
    score = chorale("bach/bwv276.mxl")
    assert [rows(score, track)[:2] for track in (0, 3)] == [  # read off the page
        [(0, 1, 69), (1, 1, 67)],
        [(0, 1, 50), (1, Fraction(3, 4), 52)],
    ]


def test_an_unknown_chorale_is_refused_by_name() -> None:
    with pytest.raises(UnreadableFile, match="bwv9999"):
        read_chorale("bach/bwv9999.mxl")


# ---- bars -----------------------------------------------------------------------------------------------------------

measures = st.lists(
    st.builds(
        Measure,
        st.integers(1, 40).map(lambda eighths: Fraction(eighths, 2)),
        st.sampled_from([(4, 4), (3, 4), (6, 8)]),
    ),
    min_size=1,
    max_size=12,
)


@given(measures)
def test_whole_bars_keep_the_music_and_no_bar_is_too_long(sequence: list[Measure]) -> None:
    result = whole_bars(sequence)
    total = sum((m.length for m in sequence), Fraction(0))
    assert total <= sum(length for length, _ in result) < total + 4  # at most the last bar is filled up
    for length, meter in result:
        assert meter is not None
        assert length == Fraction(4 * meter[0], meter[1])


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([4, 4], [(4, (4, 4))] * 2),
        ([1, 4, 3, 1, 4, 3], [(1, (1, 4)), *[(4, (4, 4))] * 4]),
        ([4, 2, 4, 4], [(4, (4, 4)), (2, (2, 4)), *[(4, (4, 4))] * 2]),
        ([4, 10, 4], [(4, (4, 4))] * 3 + [(2, (2, 4)), (4, (4, 4))]),
        ([3], [(4, (4, 4))]),
    ],
)
def test_whole_bars_by_hand(lengths: list[int], expected: list[tuple[int, tuple[int, int]]]) -> None:
    assert whole_bars([Measure(Fraction(length), (4, 4)) for length in lengths]) == expected


# ---- generated streams ----------------------------------------------------------------------------------------------


def part(text: str, name: str = "Flute"):
    """A part with measures from music21's tiny notation."""
    from music21 import converter

    result = converter.parse("tinyNotation: " + text)
    result.partName = name
    return result


def test_ties_across_bar_lines_are_one_note() -> None:
    score = from_music21(part("4/4 c2. d4~ d2 e2"), "x")
    assert rows(score) == [(0, 3, 60), (3, 3, 62), (6, 2, 64)]


def test_repeated_notes_without_a_tie_stay_apart() -> None:
    score = from_music21(part("4/4 c2 c2 c1"), "x")
    assert rows(score) == [(0, 2, 60), (2, 2, 60), (4, 4, 60)]


def test_triplets_are_exact() -> None:
    score = from_music21(part("2/4 trip{c8 d8 e8} f4"), "x")
    assert [onset for onset, _, _ in rows(score)] == [0, Fraction(1, 3), Fraction(2, 3), 1]


def test_chords_voices_graces_and_rests() -> None:
    from music21 import chord, note, stream

    bar = stream.Measure(number=1)
    upper, lower = stream.Voice(), stream.Voice()
    upper.append([note.Note("G5", quarterLength=1).getGrace(), chord.Chord("C5 E5", quarterLength=2), note.Rest(2)])
    lower.append(note.Note("C4", quarterLength=4))
    bar.insert(0, upper)
    bar.insert(0, lower)
    score = from_music21(stream.Score([stream.Part([bar])]), "x")
    assert sorted(rows(score)) == [(0, 2, 72), (0, 2, 76), (0, 4, 60)]


def test_parts_stay_together_where_one_lacks_beats() -> None:
    from music21 import note, stream

    def bars_of(*lengths: int):
        return stream.Part(
            [stream.Measure([note.Note("C4", quarterLength=n)], number=i) for i, n in enumerate(lengths)]
        )

    for wrong in (2, 5):
        score = from_music21(stream.Score([bars_of(4, 4, 4), bars_of(4, wrong, 4)]), "x")
        assert [onset for onset, _, _ in rows(score, 1)] == [0, 4, 8]
        assert meters(score) == [(0, 4, 4)]


def test_of_a_chord_only_the_tied_note_is_held() -> None:
    from music21 import chord, stream, tie

    chords = [chord.Chord(pitches, quarterLength=2) for pitches in ("C4 E4", "C4 G4", "C4 G4")]
    chords[0].notes[0].tie = tie.Tie("start")
    chords[1].notes[0].tie = tie.Tie("stop")
    score = from_music21(stream.Part(chords), "x")
    assert sorted(rows(score)) == [(0, 2, 64), (0, 4, 60), (2, 2, 67), (4, 2, 60), (4, 2, 67)]


def test_transposing_instruments_sound_as_heard() -> None:
    from music21 import instrument

    clarinet = part("4/4 d1")
    clarinet.insert(0, instrument.Clarinet())  # in B flat
    clarinet.atSoundingPitch = False
    assert rows(from_music21(clarinet, "x")) == [(0, 4, 60)]


def test_tempo_meter_and_key_changes() -> None:
    from music21 import key, tempo

    music = part("3/4 c2. c2. 4/4 c1")
    first, second = list(music.getElementsByClass("Measure"))[:2]
    first.insert(0, tempo.MetronomeMark(number=60, referent=0.5))
    first.insert(0, key.Key("a"))
    second.insert(0, key.Key("E-"))
    score = from_music21(music, "x")
    assert meters(score) == [(0, 3, 4), (6 * 480, 4, 4)]
    assert [(k.time, k.key, k.tonality) for k in score.key_signatures] == [(0, 0, 1), (3 * 480, -3, 0)]
    assert [(t.time, t.qpm) for t in score.tempos] == [(0, 30.0)]


def test_a_signature_without_mode_asks_the_notes() -> None:
    from music21 import key

    music = part("4/4 a4 b4 c'4 e'4 a4 g#4 e4 a4 a1")
    next(iter(music.getElementsByClass("Measure"))).insert(0, key.KeySignature(0))
    assert [(k.key, k.tonality) for k in from_music21(music, "x").key_signatures] == [(0, 1)]


def test_a_collection_and_silence_are_refused() -> None:
    from music21 import stream

    with pytest.raises(UnreadableFile, match="2 pieces"):
        from_music21(stream.Opus([stream.Score(), stream.Score()]), "x")
    with pytest.raises(UnreadableFile, match="no notes"):
        from_music21(part("4/4 r1"), "x")


# ---- files ----------------------------------------------------------------------------------------------------------

PIANO = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>Piano</part-name>
<score-instrument id="P1-I1"><instrument-name>Organ</instrument-name></score-instrument>
<midi-instrument id="P1-I1"><midi-channel>1</midi-channel><midi-program>20</midi-program></midi-instrument>
</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>2</divisions>
<key><fifths>1</fifths><mode>minor</mode></key><time><beats>2</beats><beat-type>4</beat-type></time><staves>2</staves>
</attributes>
<note><pitch><step>E</step><octave>5</octave></pitch><duration>4</duration><voice>1</voice><staff>1</staff></note>
<backup><duration>4</duration></backup>
<note><pitch><step>E</step><octave>3</octave></pitch><duration>4</duration><voice>2</voice><staff>2</staff></note>
</measure></part></score-partwise>"""


def test_both_staves_of_a_piano_are_one_track(tmp_path: Path) -> None:
    path = tmp_path / "piano.musicxml"
    path.write_text(PIANO)
    score = read_musicxml(path)
    assert [(t.name, t.program) for t in score.tracks] == [("Piano", 19)]  # MusicXML counts programs from 1
    assert sorted(rows(score)) == [(0, 2, 52), (0, 2, 76)]
    assert [(k.key, k.tonality) for k in score.key_signatures] == [(1, 1)]
    assert meters(quantize(score)) == [(0, 2, 4)]


@pytest.mark.parametrize("content", [b"", b"<score-partwise>", b"\x00\x01\x02 no music", PIANO[:-60].encode()])
def test_what_is_no_musicxml_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.xml"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"broken\.xml") as caught:
        read_musicxml(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file"):
        read_musicxml(tmp_path / "none.xml")


# ---- melody's own reader against music21's -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bach/bwv276.mxl", "bach/bwv108.6.mxl", "bach/bwv248.33-3.mxl", "monteverdi/madrigal.4.17.mxl",
             "cpebach/h186.mxl"]
)  # fmt: skip
def test_files_read_as_by_music21(name: str) -> None:
    from music21 import converter, corpus

    path = Path(corpus.getWork(name))
    ours, theirs = parse_musicxml(path.read_bytes()).score, from_music21(converter.parse(path, forceSource=True), name)
    assert [rows(ours, i) for i in range(len(ours.tracks))] == [rows(theirs, i) for i in range(len(theirs.tracks))]
    assert meters(ours) == meters(theirs)
    assert [(k.time, k.key, k.tonality) for k in ours.key_signatures] == [
        (k.time, k.key, k.tonality) for k in theirs.key_signatures
    ]
    assert [(t.time, t.mspq) for t in ours.tempos] == [(t.time, t.mspq) for t in theirs.tempos]


def read_measures(*measures: str, header: str = "<part-name>Flute</part-name>") -> Reading:
    """What is read of a part's measures."""
    body = "".join(f"<measure>{measure}</measure>" for measure in measures)
    start = f'<score-partwise><part-list><score-part id="P1">{header}</score-part></part-list>'
    return parse_musicxml(f'{start}<part id="P1">{body}</part></score-partwise>'.encode())


def quarter(step: str = "C", more: str = "", duration: int = 1) -> str:
    return f"<note>{more}<pitch><step>{step}</step><octave>4</octave></pitch><duration>{duration}</duration></note>"


def test_chords_graces_cues_and_rests_in_a_file() -> None:
    rest = "<note><rest/><duration>1</duration></note>"
    reading = read_measures(
        quarter() + quarter("E", "<chord/>") + quarter("D", "<grace/>") + quarter("G", "<cue/>") + rest + quarter("F")
    )
    assert rows(reading.score) == [(0, 1, 60), (0, 1, 64), (3, 1, 65)]
    assert reading.repairs == ("left out, as a score has no place for them: 1 cue notes, 1 grace notes",)


def test_ties_join_across_bar_lines_in_a_file() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    reading = read_measures(quarter(duration=4, more=start), quarter(duration=2, more=stop) + quarter(duration=2))
    assert rows(reading.score) == [(0, 6, 60), (6, 2, 60)]


def test_a_transposing_part_sounds_as_heard() -> None:
    clarinet = "<attributes><transpose><chromatic>-2</chromatic></transpose></attributes>"
    assert rows(read_measures(clarinet + quarter("D")).score) == [(0, 1, 60)]


def test_drums_by_instrument_or_by_line() -> None:
    header = (
        '<part-name>Kit</part-name><midi-instrument id="I1"><midi-channel>10</midi-channel>'
        "<midi-unpitched>37</midi-unpitched></midi-instrument>"
        '<midi-instrument id="I2"><midi-unpitched>39</midi-unpitched></midi-instrument>'
    )
    unpitched = "<unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
    note = f"<note>{unpitched}<duration>1</duration>%s</note>"
    score = read_measures(note % '<instrument id="I1"/>' + note % "", header=header).score
    assert score.tracks[0].is_drum
    assert [pitch for _, _, pitch in rows(score)] == [36, 64]


@pytest.mark.parametrize(
    ("mark", "qpm"),
    [
        ('<sound tempo="72.5"/>', 72.5),
        ("<metronome><beat-unit>half</beat-unit><per-minute>c. 60</per-minute></metronome>", 120),
        ("<metronome><beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>60</per-minute></metronome>", 90),
    ],
)
def test_tempos_of_sounds_and_metronomes(mark: str, qpm: float) -> None:
    within = mark if mark.startswith("<sound") else f"<direction-type>{mark}</direction-type>"
    (tempo,) = read_measures(quarter() + f"<direction>{within}</direction>" + quarter()).score.tempos
    assert (tempo.time, round(tempo.qpm, 1)) == (480, qpm)


@pytest.mark.parametrize(
    ("time", "meter"),
    [
        ("<beats>3+2+3</beats><beat-type>8</beat-type>", (8, 8)),
        ("<beats>3</beats><beat-type>8</beat-type><beats>2</beats><beat-type>4</beat-type>", (7, 8)),
    ],
)
def test_compound_meters_add_up(time: str, meter: tuple[int, int]) -> None:
    bar = "".join(quarter(duration=1) for _ in range(4))
    assert meters(read_measures(f"<attributes><time>{time}</time></attributes>{bar}").score) == [(0, *meter)]


def test_an_empty_measure_is_a_whole_bar() -> None:
    assert rows(read_measures(quarter(duration=4), "", quarter()).score) == [(0, 4, 60), (8, 1, 60)]


def test_titles_of_files() -> None:
    text = "<score-partwise><work><work-title> An\nAir </work-title></work>" + PIANO.partition('3.1">')[2]
    assert parse_musicxml(text.encode()).title == "An Air"
