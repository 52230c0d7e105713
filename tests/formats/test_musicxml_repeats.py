"""The order in which measures are played: repeats, endings, D.C., D.S., codas, measure repeats; in files and alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.musicxml_files import attributes, document, key, keys, note, read, rows

from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.playing_order import BarSigns, playing_order
from melody.music.score import MAX_BARS

LETTERS = "CDEFGAB"
FORWARD = '<barline location="left"><repeat direction="forward"/></barline>'
BACKWARD = '<barline location="right"><repeat direction="backward"/></barline>'
TIMES = '<barline location="right"><repeat direction="backward" times="3"/></barline>'
AFTER = '<repeat direction="backward" after-jump="yes"/>'
AFTER_JUMP = f'<barline location="right">{AFTER}</barline>'
SEGNO = '<direction><direction-type><segno/></direction-type><sound segno="a"/></direction>'
CODA = '<direction><direction-type><coda/></direction-type><sound coda="c"/></direction>'
TO_CODA = '<direction><direction-type><words>To Coda</words></direction-type><sound tocoda="c"/></direction>'
FINE = '<direction><direction-type><words>Fine</words></direction-type><sound fine="yes"/></direction>'
DA_CAPO = '<direction><direction-type><words>D.C. al Fine</words></direction-type><sound dacapo="yes"/></direction>'
DAL_SEGNO = '<direction><direction-type><words>D.S.</words></direction-type><sound dalsegno="a"/></direction>'


def ending(number: str, inside: str, right: str = '<repeat direction="backward"/>') -> str:
    left = f'<barline location="left"><ending number="{number}" type="start"/></barline>'
    return f'{left}{inside}<barline location="right"><ending number="{number}" type="stop"/>{right}</barline>'


def played(*measures: str) -> str:
    """The letters of the notes of measures that have one each, C in the first, D in the second, and so on."""
    marked = [
        measure.replace("*", note(letter, duration=4)) for measure, letter in zip(measures, LETTERS, strict=False)
    ]
    score = read(attributes("") + marked[0], *marked[1:]).score
    names = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B"}
    assert [onset for onset, _, _ in rows(score)] == [4 * place for place in range(len(rows(score)))]
    return "".join(names[pitch] for _, _, pitch in rows(score))


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (["*", "*"], "CD"),
        (["*" + BACKWARD, "*"], "CCD"),
        (["*", FORWARD + "*" + BACKWARD, "*"], "CDDE"),
        ([FORWARD + "*" + TIMES, "*"], "CCCD"),
        ([FORWARD + "*", ending("1", "*"), ending("2", "*", ""), "*"], "CDCEF"),
        ([FORWARD + "*", ending("1, 2", "*"), ending("3", "*", ""), "*"], "CDCDCEF"),
        ([FORWARD + "*", ending("1", "*"), ending("2", "*"), "*"], "CDCEF"),
        ([FORWARD + "*", ending("1", "*"), "*"], "CDCE"),  # the second ending is what follows
        (["*", "*" + FINE, "*" + DA_CAPO], "CDECD"),
        (["*", SEGNO + "*", "*" + FINE, "*" + DAL_SEGNO], "CDEFDE"),
        (["*", SEGNO + "*" + TO_CODA, "*" + DAL_SEGNO, CODA + "*"], "CDEDF"),
        (["*" + TO_CODA, "*" + DA_CAPO, CODA + "*" + BACKWARD], "CDCEE"),
        ([FORWARD + "*" + BACKWARD, "*" + FINE, "*" + DA_CAPO], "CCDECD"),  # no repeats after D.C.
        ([FORWARD + "*", ending("1", "*"), ending("2", "*", "") + FINE, "*" + DA_CAPO], "CDCEFCE"),
        (["*" + BACKWARD, "*" + BACKWARD, "*"], "CCDDE"),
        (["*" + DA_CAPO, "*"], "CCD"),
        ([FORWARD + "*" + AFTER_JUMP, "*" + FINE, "*" + DA_CAPO], "CCDECCD"),
        ([FORWARD + "*", ending("1", "*", AFTER), ending("2", "*", "") + FINE, "*" + DA_CAPO], "CDCEFCDCE"),
    ],
)
def test_what_is_played(measures: list[str], expected: str) -> None:
    assert played(*measures) == expected


@pytest.mark.parametrize("words", ["D.C. al Fine", "Da Capo al Fine", "D. C. al fine", "DC al Fine"])
def test_words_and_signs_count_where_a_program_does_not_say_what_they_mean(words: str) -> None:
    def said(text: str) -> str:
        return f"<direction><direction-type><words>{text}</words></direction-type></direction>"

    def sign(tag: str) -> str:
        return f"<direction><direction-type><{tag}/></direction-type></direction>"

    assert played("*", "*" + said("Fine"), "*" + said(words)) == "CDECD"
    assert played("*", sign("segno") + "*" + said("To Coda"), "*" + said("D.S. al Coda"), sign("coda") + "*") == "CDEDF"
    assert played("*" + sign("coda"), "*" + said("D.C. al Coda"), sign("coda") + "*") == "CDCE"


@pytest.mark.parametrize("words", ["D.C.", "Dal Segno", "Da Capo"])
def test_words_that_do_not_say_how_far_are_left_out_and_said(words: str) -> None:
    asked = f"<direction><direction-type><words>{words}</words></direction-type></direction>"
    reading = read(attributes("") + note(), note() + asked, note())
    assert len(rows(reading.score)) == 3
    assert any("1 returns in words" in repair for repair in reading.repairs)


@pytest.mark.parametrize("words", ["d'er- c", "dc", "Menuetto da capo", "DSCH", "Refine", "I had C"])
def test_other_words_lead_nowhere(words: str) -> None:
    asked = f"<direction><direction-type><words>{words}</words></direction-type></direction>"
    assert len(rows(read(attributes("") + note() + FINE, note() + asked, note()).score)) == 3


@pytest.mark.parametrize(
    "measures",
    [
        ["*", ending("2", "*"), "*"],  # no first ending
        [FORWARD + "*", ending("1", "*", ""), ending("2", "*", ""), "*"],  # the first leads into the second
        ["*", "*" + DAL_SEGNO],  # nowhere to go
        ["*" + TO_CODA, "*" + DA_CAPO],
        [FORWARD + "*", ending("1-99", "*"), ending("5", "*", "")],
    ],
)
def test_signs_that_contradict_themselves_are_read_once_and_said(measures: list[str]) -> None:
    reading = read(attributes("") + measures[0].replace("*", note()), *(m.replace("*", note()) for m in measures[1:]))
    assert len(rows(reading.score)) == len(measures)
    assert any("read each measure once" in repair for repair in reading.repairs)


def test_what_is_played_out_is_remarked() -> None:
    (remark,) = read(attributes("") + note() + BACKWARD).remarks
    assert remark == "repeats and jumps are played out: measures written 1, played 2"
    assert read(attributes("") + note()).remarks == ()


def test_signs_in_any_part_hold_for_all() -> None:
    first, second = [attributes("") + note() + BACKWARD, note("D")], [attributes("") + note("E"), note("F")]
    score = parse_musicxml(document(first, second)).score
    assert [pitch for _, _, pitch in rows(score, 1)] == [64, 64, 65]


def test_what_held_where_a_repeat_begins_holds_again() -> None:
    def time(beats: int) -> str:
        return f"<time><beats>{beats}</beats><beat-type>4</beat-type></time>"

    tempo = '<direction><sound tempo="%d"/></direction>'
    first = attributes(key(1, "major") + time(4)) + tempo % 90 + note()
    second = attributes(key(-3, "major") + time(3)) + tempo % 60 + note(duration=3) + BACKWARD
    score = read(first, second).score
    assert [(m.time / 480, m.numerator) for m in score.time_signatures] == [(0, 4), (4, 3), (7, 4), (11, 3)]
    assert keys(score) == [(0, 1), (4, -3), (7, 1), (11, -3)]
    assert [(t.time / 480, round(t.qpm)) for t in score.tempos] == [(0, 90), (4, 60), (7, 90), (11, 60)]


def test_a_pickup_that_a_repeat_goes_back_to_completes_its_bar() -> None:
    upbeat = attributes("<time><beats>4</beats><beat-type>4</beat-type></time>") + note(duration=1)
    score = read(upbeat, note("D"), note("E", duration=3) + BACKWARD).score
    assert [(m.time / 480, m.numerator) for m in score.time_signatures] == [(0, 1), (1, 4)]
    assert [onset for onset, _, _ in rows(score)] == [0, 1, 5, 8, 9, 13]


def test_a_tie_into_an_ending_holds_only_what_it_is_tied_to() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    score = read(attributes("") + note(more=start), ending("1", note(more=stop)), ending("2", note(), "")).score
    assert rows(score) == [(0, 8, 60), (8, 4, 60), (12, 4, 60)]


signs = st.builds(
    BarSigns,
    opens=st.booleans(),
    times=st.sampled_from([0, 0, 1, 2, 3, 99]),
    ending=st.sampled_from([(), (), (1,), (2,), (1, 2), (3,), (0,)]),
    ends_ending=st.booleans(),
    jumps=st.sampled_from([[], [], [""], ["a"], ["b"]]),
    segnos=st.sampled_from([[], ["a"], ["a", "b"]]),
    codas=st.sampled_from([[], ["c"], ["d"]]),
    to_codas=st.sampled_from([[], ["c"], ["x"]]),
    fine=st.booleans(),
)


@given(st.lists(signs, min_size=1, max_size=12))
def test_whatever_the_signs_the_order_is_short_and_starts_at_the_start(every: list[BarSigns]) -> None:
    order, reason = playing_order(every, MAX_BARS)
    assert 0 < len(order) <= MAX_BARS
    assert set(order) <= set(range(len(every)))
    if reason:
        assert order == list(range(len(every)))


# ---- measures that stand for others ----------------------------------------------------------------------------------


def repeat(kind: str, count: str = "", staff: str = "") -> str:
    number = f' number="{staff}"' if staff else ""
    inside = f'<measure-repeat type="{kind}">{count}</measure-repeat>'
    return f"<attributes><measure-style{number}>{inside}</measure-style></attributes>"


REST = "<note><rest measure='yes'/><duration>4</duration></note>"


def test_a_measure_repeat_plays_what_it_stands_for_until_it_stops() -> None:
    score = read(attributes("") + note("C"), repeat("start", "1") + REST, REST, repeat("stop") + note("D"), REST).score
    assert rows(score) == [(0, 4, 60), (4, 4, 60), (8, 4, 60), (12, 4, 62)]


def test_two_measures_are_repeated_two_by_two() -> None:
    score = read(
        attributes("") + note("C"), note("D"), repeat("start", "2") + REST, REST, repeat("stop") + note("E")
    ).score
    assert [pitch for _, _, pitch in rows(score)] == [60, 62, 60, 62, 64]


def test_a_measure_repeat_of_one_staff_leaves_the_other_as_it_is() -> None:
    def both(upper: str, lower: str) -> str:
        first, second = (own.replace("</note>", f"<staff>{n}</staff></note>") for n, own in ((1, upper), (2, lower)))
        return f"{first}<backup><duration>4</duration></backup>{second}"

    first = attributes("<staves>2</staves>") + both(note("C"), note("E"))
    score = read(first, repeat("start", "1", "2") + both(note("D"), REST)).score
    assert sorted(rows(score)) == [(0, 4, 60), (0, 4, 64), (4, 4, 62), (4, 4, 64)]


def test_many_repeats_stay_within_the_limits() -> None:
    loud = "".join(note(duration=1) for _ in range(400))
    many = TIMES.replace('"3"', '"99"')
    reading = read(attributes("") + loud + many, loud)
    assert len(rows(reading.score)) == 99 * 400 + 400
    reading = read(attributes("") + loud + many, loud + many)
    assert len(rows(reading.score)) == 800
    assert any("read each measure once" in repair for repair in reading.repairs)


# ---- against music21 -------------------------------------------------------------------------------------------------

sections = st.lists(st.sampled_from(["plain", "repeat", "thrice", "endings"]), min_size=1, max_size=4)


@settings(max_examples=25)
@given(sections, st.booleans())
def test_music21_plays_the_same(kinds: list[str], goes_back: bool) -> None:
    music21 = pytest.importorskip("music21")
    steps = [(letter, octave) for octave in (3, 4, 5) for letter in LETTERS]
    measures: list[str] = []
    for kind in kinds:
        inside = "*" + (BACKWARD if kind == "repeat" else TIMES if kind == "thrice" else "")
        measures.append(("" if kind == "plain" else FORWARD) + inside)
        measures += [ending("1", "*"), ending("2", "*", "")] if kind == "endings" else []
    if goes_back and set(kinds) == {"plain"} and len(measures) > 2:
        measures[1] += FINE
        measures[-1] += DA_CAPO
    written = [own.replace("*", note(*steps[place])) for place, own in enumerate(measures)]
    data = document([attributes("<time><beats>4</beats><beat-type>4</beat-type></time>") + written[0], *written[1:]])
    stream = music21.converter.parseData(data.decode(), format="musicxml").parts[0].expandRepeats()
    theirs = [each.pitch.midi for each in stream.flatten().notes]
    assert [pitch for _, _, pitch in rows(parse_musicxml(data).score)] == theirs
