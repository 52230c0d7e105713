"""What stands beside the notes of a MusicXML file: kept in the score, or said to be left out."""

import pytest
from support.musicxml_files import attributes, document, markers, note, read, rows

from melody.formats.midi.metas import COPYRIGHT, Text
from melody.formats.musicxml import parse_musicxml
from melody.music.progressions import markers_as_chords
from melody.music.quantize import quantize

INTERCHANGEABLE = "<interchangeable><beats>6</beats><beat-type>8</beat-type></interchangeable>"
BACKWARD = '<barline location="right"><repeat direction="backward"/></barline>'


def direction(inside: str, more: str = "") -> str:
    return f"<direction><direction-type>{inside}</direction-type>{more}</direction>"


def harmony(root: str, kind: str = "major", offset: str = "") -> str:
    moved = f"<offset>{offset}</offset>" if offset else ""
    return f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind>{moved}</harmony>"


def lyric(text: str, syllabic: str = "single", number: str = "1") -> str:
    return f'<lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text></lyric>'


def sung(step: str, *lyrics: str) -> str:
    return note(step).replace("</note>", "".join(lyrics) + "</note>")


def meters(*measures: str) -> list[tuple[float, int, int]]:
    return [(m.time / 480, m.numerator, m.denominator) for m in read(*measures).score.time_signatures]


# ---- chords, marks, words --------------------------------------------------------------------------------------------


def test_chord_symbols_become_markers_that_are_read_as_chords() -> None:
    score = read(attributes("") + harmony("A", "minor-seventh") + note() + harmony("D", "dominant", "-2"), note()).score
    assert markers(score) == [(0, "Am7"), (2, "D7")]
    assert [span.chord.name for span in markers_as_chords(score) if span.chord] == ["Am7", "D7"]


def test_chord_symbols_of_several_parts_stand_once_and_repeats_play_them_again() -> None:
    part = [attributes("") + harmony("C") + note() + BACKWARD]
    assert markers(parse_musicxml(document(part, part)).score) == [(0, "C"), (4, "C")]


def test_rehearsal_marks_become_markers_and_never_chords() -> None:
    mark = direction("<rehearsal>B</rehearsal>")
    assert markers(read(attributes("") + mark + note()).score) == [(0, "B")]
    score = read(attributes("") + mark + harmony("C", "major-seventh") + note()).score
    assert markers(score) == [(0, "[B]"), (0, "Cmaj7")]
    assert [span.chord.name for span in markers_as_chords(score) if span.chord] == ["Cmaj7"]


def test_words_and_credits_are_kept_as_texts() -> None:
    measures = attributes("") + note(duration=2) + direction("<words>dolce</words>") + note(duration=2)
    credit = "<identification><creator type='composer'>A. B.</creator><rights>C</rights></identification><part-list>"
    reading = parse_musicxml(document([measures]).replace(b"<part-list>", credit.encode(), 1))
    assert reading.texts == (Text(0, "composer: A. B."), Text(0, "C", COPYRIGHT), Text(960, "dolce"))


# ---- syllables -------------------------------------------------------------------------------------------------------


def syllables(*measures: str) -> list[tuple[float, str]]:
    return [(lyric.time / 480, lyric.text) for lyric in read(*measures).score.tracks[0].lyrics]


def test_syllables_stand_at_their_notes_and_say_where_a_word_goes_on() -> None:
    first = sung("C", lyric("Twin", "begin")) + sung("D", lyric("kle", "end"))
    assert syllables(attributes("") + first + sung("E", lyric("star"))) == [(0, "Twin-"), (4, "kle"), (8, "star")]


def test_the_second_pass_sings_the_second_verse() -> None:
    both = lyric("one"), lyric("two", number="2")
    assert syllables(attributes("") + sung("C", *both) + BACKWARD) == [(0, "one"), (4, "two")]
    named = lyric("one", number="part1verse1"), lyric("two", number="part1verse2")
    assert syllables(attributes("") + sung("C", *named) + BACKWARD) == [(0, "one"), (4, "two")]
    assert syllables(attributes("") + sung("C", lyric("one")) + BACKWARD) == [(0, "one"), (4, "one")]


def test_verses_that_are_never_sung_are_said() -> None:
    reading = read(attributes("") + sung("C", lyric("one"), lyric("two", number="2"), lyric("three", number="3")))
    assert any("2 verses without a repeat" in repair for repair in reading.repairs)


def test_elided_syllables_stay_together() -> None:
    elided = "<lyric><text>la</text><elision>\u203f</elision><text>a</text></lyric>"
    assert syllables(attributes("") + sung("C", elided)) == [(0, "la\u203fa")]


# ---- loudness, tempo -------------------------------------------------------------------------------------------------


def velocities(*measures: str) -> list[int]:
    return [each.velocity for each in read(*measures).score.tracks[0].notes]


def test_dynamics_hold_from_where_they_stand_on() -> None:
    forte = direction("<dynamics><f/></dynamics>")
    said = direction("<dynamics><f/></dynamics>", '<sound dynamics="50"/>')
    assert velocities(attributes("") + note(duration=2) + forte + note(duration=2), note()) == [80, 96, 96]
    assert velocities(attributes("") + said + note(), note().replace("<note>", '<note dynamics="100">')) == [45, 90]
    late = note() + "<backup><duration>2</duration></backup>" + said + "<forward><duration>2</duration></forward>"
    assert velocities(attributes("") + late, note()) == [80, 45]


@pytest.mark.parametrize(
    ("offset", "quarter"), [('<offset sound="yes">-2</offset>', 2), ("<offset>-2</offset>", 4), ("", 4)]
)
def test_an_offset_moves_what_sounds_where_it_says_so(offset: str, quarter: float) -> None:
    rit = direction("<words>rit.</words>", f'{offset}<sound tempo="50"/>')
    (tempo,) = read(attributes("") + note() + rit).score.tempos
    assert tempo.time / 480 == quarter
    (tempo,) = read(attributes("") + note() + '<sound tempo="50"><offset>-2</offset></sound>').score.tempos
    assert tempo.time / 480 == 2


# ---- meters ----------------------------------------------------------------------------------------------------------


def time(inside: str) -> str:
    return attributes(f"<time>{inside}</time>")


@pytest.mark.parametrize(
    ("inside", "quarters", "meter"),
    [
        ("<beats>3</beats><beat-type>4</beat-type>" + INTERCHANGEABLE, 3, (3, 4)),
        ("<beats>3+2</beats><beat-type>4</beat-type>", 5, (5, 4)),
        ("<beats>14</beats><beat-type>4</beat-type>", 14, (14, 4)),
        ("<beats>13</beats><beat-type>8</beat-type>", 6.5, (13, 8)),
        ("<beats>2</beats><beat-type>1</beat-type>", 8, (2, 1)),
    ],
)  # fmt: skip
def test_meters(inside: str, quarters: float, meter: tuple[int, int]) -> None:
    ticks = int(2 * quarters)
    bar = "<attributes><divisions>2</divisions></attributes>" + note(duration=ticks)
    assert meters(time(inside) + bar, bar) == [(0, *meter)]


def test_an_interchangeable_meter_is_said() -> None:
    reading = read(time(f"<beats>3</beats><beat-type>4</beat-type>{INTERCHANGEABLE}") + note(duration=3))
    assert any("1 interchangeable meters" in repair for repair in reading.repairs)


def test_a_bar_without_a_meter_is_as_long_as_its_notes() -> None:
    free = time("<senza-misura/>")
    four = time("<beats>4</beats><beat-type>4</beat-type>")
    found = meters(four + note(), free + note(duration=7), note(duration=5), four + note(), note())
    assert found == [(0, 4, 4), (4, 7, 4), (11, 5, 4), (16, 4, 4)]
    quantize(read(free + note(duration=37)).score)  # a cadenza fits the grid too


# ---- notes -----------------------------------------------------------------------------------------------------------


def test_a_note_without_a_duration_lasts_as_its_type_says() -> None:
    def typed(kind: str, more: str = "") -> str:
        return f"<note><pitch><step>C</step><octave>4</octave></pitch><type>{kind}</type>{more}</note>"

    triplet = "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
    reading = read(attributes("") + typed("half") + typed("quarter", "<dot/>") + typed("eighth", triplet) * 3)
    assert [duration for _, duration, _ in rows(reading.score)] == [2, 1.5, *[pytest.approx(1 / 3)] * 3]
    assert any("without a duration" in repair for repair in reading.repairs)


def test_a_tie_that_only_one_note_has_joins_nothing() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    joined = [(0, 8, 60)]
    apart = [(0, 4, 60), (4, 4, 60)]
    assert rows(read(attributes("") + note(more=start), note(more=stop)).score) == joined
    assert rows(read(attributes("") + note(), note(more=stop)).score) == apart
    assert rows(read(attributes("") + note(more=start), note()).score) == apart
    assert rows(read(attributes("") + note(more=stop), note(more=start)).score) == apart


def test_a_tie_that_is_only_drawn_counts_where_no_other_is_there() -> None:
    def drawn(kind: str) -> str:
        return note().replace("</note>", f'<notations><tied type="{kind}"/></notations></note>')

    assert rows(read(attributes("") + drawn("start"), drawn("stop")).score) == [(0, 8, 60)]


def test_two_voices_that_tie_one_pitch_each_keep_their_note() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    back = "<backup><duration>4</duration></backup>"
    score = read(
        attributes("") + note(more=start) + back + note(more=start), note(more=stop) + back + note(more=stop)
    ).score
    assert rows(score) == [(0, 8, 60), (0, 8, 60)]


def test_octave_signs_change_nothing_as_notes_stand_where_they_sound() -> None:
    shift = direction('<octave-shift type="down" size="8"/>')
    assert rows(read(attributes("") + shift + note(octave=6)).score) == [(0, 4, 84)]


def test_hidden_notes_and_rests_count_as_they_sound() -> None:
    hidden = note("E").replace("<note>", '<note print-object="no">')
    assert rows(read(attributes("") + note() + hidden).score) == [(0, 4, 60), (4, 4, 64)]


def test_the_only_drum_of_a_part_needs_no_name() -> None:
    head = (
        '<score-instrument id="I1"><instrument-name>Kick</instrument-name></score-instrument>'
        '<midi-instrument id="I1"><midi-channel>10</midi-channel><midi-unpitched>37</midi-unpitched></midi-instrument>'
    )
    place = "<unpitched><display-step>F</display-step><display-octave>4</display-octave></unpitched>"
    hit = f"<note>{place}<duration>4</duration></note>"
    score = parse_musicxml(document([attributes("") + hit], heads=[head])).score
    assert (score.tracks[0].is_drum, rows(score)) == (True, [(0, 4, 36)])


def signed(notations: str) -> str:
    return note().replace("</note>", f"<notations>{notations}</notations></note>")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (note(more="<grace/>"), "1 grace notes"),
        (note(more="<cue/>"), "1 cue notes"),
        (signed("<articulations><staccato/></articulations>"), "1 articulations"),
        (signed("<ornaments><trill-mark/></ornaments>"), "1 ornaments"),
        (direction('<wedge type="crescendo"/>') + direction('<wedge type="stop"/>'), "1 crescendos"),
        (direction('<pedal type="start"/>'), "1 pedal marks"),
        ("<figured-bass/>", "1 figured basses"),
        (direction("<metronome><beat-unit>half</beat-unit></metronome>"), "1 tempo marks without a number"),
        ("<sound><swing><straight/></swing></sound>", "1 swing marks"),
        ("<sound><midi-instrument id='I'/></sound>", "1 changes of a sound"),
        (note().replace("<alter>0<", "<alter>0.5<"), "1 quarter tones"),
        (harmony("H"), "1 chord symbols"),
        ("<attributes><measure-style><slash type='start'/></measure-style></attributes>", "1 slash signs"),
        ("<attributes><key><key-step>B</key-step><key-alter>-1</key-alter></key></attributes>", "1 keys"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_said_with_its_count(given: str, said: str) -> None:
    repairs = read(attributes("") + note() + given).repairs
    assert len(repairs) == 1
    assert said in repairs[0]
