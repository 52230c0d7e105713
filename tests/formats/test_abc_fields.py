"""Fields of tunes in ABC: keys, meters, tempos, voices; and directives, none of which ever opens a file."""

from pathlib import Path

import pytest
from support.abc_notes import notes, read_one, tune

from melody.formats.abc import parse_abc
from melody.formats.reading import read_file

# ---- keys (3.1.14) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("C", (0, 0)), ("G", (1, 0)), ("Bb", (-2, 0)), ("F#", (6, 0)), ("Cb", (-7, 0)), ("Em", (1, 1)),
        ("E minor", (1, 1)),
        ("EM", (1, 1)), ("Am", (0, 1)), ("A Major", (3, 0)), ("E MAJ", (4, 0)), ("DMaj", (2, 0)),
        ("C#min", (4, 1)),
        ("Ador", (1, 0)), ("D Dorian", (0, 0)), ("Gmix", (0, 0)), ("EPhr", (0, 0)), ("FLyd", (0, 0)), ("Bloc", (0, 0)),
        ("none", (0, 0)), ("", (0, 0)), ("HP", (2, 0)), ("Hp", (2, 0)), ("clef=bass", (0, 0)),
        ("G clef=treble", (1, 0)),
        ("Dm bass", (-1, 1)), ("D exp ^f", (1, 0)), ("C ^f^c", (2, 0)), ("Dmix=c", (1, 0)), ("Ebmin", (-6, 1)),
    ],
)  # fmt: skip
def test_keys(key: str, expected: tuple[int, int]) -> None:
    (signature,) = tune("C", key=key).key_signatures
    assert (signature.key, signature.tonality) == expected


@pytest.mark.parametrize(
    ("key", "pitches"),
    [
        ("D", [66, 73, 70, 75]), ("D =c", [66, 72, 70, 75]), ("D exp _b", [65, 72, 70, 75]),
        ("D Phr ^f", [66, 72, 70, 75]),
        ("C ^f _b", [66, 72, 70, 75]), ("Hp", [66, 73, 70, 75]), ("C octave=-1", [53, 60, 58, 63]),
        ("C octave=1 bass", [77, 84, 82, 87]),
        ("C clef=treble-8", [53, 60, 58, 63]), ("C treble+8", [77, 84, 82, 87]),
        ("C clef=bass middle=d", [65, 72, 70, 75]),
        ("C transpose=-2", [63, 70, 68, 73]),
    ],
)  # fmt: skip
def test_what_a_key_makes_of_notes(key: str, pitches: list[int]) -> None:
    assert [note.pitch for note in tune("F c _B ^d", key=key).tracks[0].notes] == pitches


@pytest.mark.parametrize(
    ("fields", "key", "sharps"),
    [("", "C transpose=-2", -2), ("", "D transpose=-2", 0), ("", "Am transpose=3", -3),
     ("%%MIDI transpose 2\n", "C", 2),
     ("%%MIDI transpose -12\n", "G", 1), ("", "G clef=treble-8 octave=1", 1)],
)  # fmt: skip
def test_the_key_is_that_which_sounds(fields: str, key: str, sharps: int) -> None:
    assert [signature.key for signature in tune("CDEF|", key=key, fields=fields).key_signatures] == [sharps]
    later = tune("C|[K:D]D|", key="C transpose=-2")
    assert [signature.key for signature in later.key_signatures] == [-2, 0]


# ---- meters, unit lengths, tempos ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("meter", "expected"),
    [("C", (4, 4)), ("C|", (2, 2)), ("6/8", (6, 8)), ("2+2+3/8", (7, 8)), ("(2+3)/4", (5, 4)), ("3/4+2/4", (5, 4)),
     ("(2+2+3)/8", (7, 8)), ("3/8 + 1/4", (5, 8)), ("none", (4, 4)), ("", (4, 4)), ("12/8", (12, 8))],
)  # fmt: skip
def test_meters(meter: str, expected: tuple[int, int]) -> None:
    (change,) = tune("C48|", meter=meter).time_signatures
    assert (change.numerator, change.denominator) == expected


@pytest.mark.parametrize("meter", ["4/3", "0/4", "4/0", "999999/4", "x", "1" * 5_000, "1+" * 5_000 + "1/4", "4/128"])
def test_a_meter_that_no_file_can_hold_is_said(meter: str) -> None:
    reading = read_one("CDEF|", meter=f"4/4\nM:{meter}")
    assert [(m.numerator, m.denominator) for m in reading.score.time_signatures] == [(4, 4)]
    assert any("meter" in repair for repair in reading.repairs)


def test_free_meter_is_counted_in_bars_of_four() -> None:
    score = tune("C D E|F G A B c d e|f|", meter="none")
    assert [(m.time, m.numerator) for m in score.time_signatures] == [(0, 4)]


@pytest.mark.parametrize(
    ("tempo", "qpm"),
    [("1/4=90", 90), ("3/8=100", 150), ("1/4 3/8 1/4 3/8=40", 200), ("120", 120), ("C=60", 60), ("C3=40", 120),
     ("C/2=60", 30),
     ('"Allegro" 1/4=120', 120), ('3/8=50 "Slowly"', 75), ("1/4=ca. 80", 80), ("1/8 = 160", 80), ("1/4=62.5", 62.5)],
)  # fmt: skip
def test_tempos(tempo: str, qpm: float) -> None:
    for score in (tune("CDEF|", fields=f"Q:{tempo}\n"), tune(f"[Q:{tempo}]CDEF|"), tune(f"Q:{tempo}\nCDEF|")):
        assert [round(change.qpm, 1) for change in score.tempos] == [qpm]


@pytest.mark.parametrize("tempo", ['"Andante"', "1/4=", "1/4=0", "1/4=99999", "x", "0=90"])
def test_a_tempo_without_a_number_is_said(tempo: str) -> None:
    for reading in (read_one("C|", fields=f"Q:{tempo}\n"), read_one(f"C|[Q:{tempo}]C|")):
        assert not len(reading.score.tempos)
        assert any("tempo" in said for said in (*reading.repairs, *reading.remarks))


# ---- voices (7) ------------------------------------------------------------------------------------------------------


def test_voices_become_tracks_by_name_and_clef() -> None:
    score = tune("[V:Soprano] c d|[V:Tenor] c d|\n[V:Soprano] e f|\n[V:Tenor] e f|",
                 fields='V:Soprano clef=treble\nV:Tenor clef=treble-8 name="Tenor\\nI"\n')  # fmt: skip
    assert [track.name for track in score.tracks] == ["Soprano", "Tenor I"]
    assert notes(score, 0) == ["72@0/1", "74@1/1", "76@2/1", "77@3/1"]
    assert notes(score, 1) == ["60@0/1", "62@1/1", "64@2/1", "65@3/1"]


def test_voices_one_after_the_other_or_bar_by_bar() -> None:
    apart = tune("V:1\nCDEF|\nV:2\nC,4|\n")
    together = tune("[V:1]CD[V:2]C,4|[V:1]EF|")
    for score in (apart, together):
        assert [notes(score, track) for track in (0, 1)] == [["60@0/1", "62@1/1", "64@2/1", "65@3/1"], ["48@0/4"]]
    assert [track.name for track in apart.tracks] == ["Voice 1", "Voice 2"]
    assert len({n.velocity for track in apart.tracks for n in track.notes}) == 1


def test_fields_in_a_voice_hold_for_it_alone() -> None:
    score = tune("V:1\nL:1/8\nK:G\nF F|\nV:2\nF F|\n")
    assert notes(score, 0) == ["66@0/1:2", "66@1:2/1:2"]
    assert notes(score, 1) == ["65@0/1", "65@1/1"]


def test_voices_of_different_lengths_are_said() -> None:
    assert any("different lengths" in repair for repair in read_one("V:1\nC4|D4|\nV:2\nC4|\n").repairs)


# ---- directives (11) -------------------------------------------------------------------------------------------------


def test_midi_directives_that_are_heeded() -> None:
    score = tune("V:1\n%%MIDI program 73\nC\nV:2\n%%MIDI channel 10\n%%MIDI drummap ^g 42\nC ^g\nV:3\n"
                 "[I:MIDI=program 40]C",
                 fields="%%MIDI program 3 19\n")  # fmt: skip
    assert [(track.program, track.is_drum) for track in score.tracks] == [(73, False), (0, True), (40, False)]
    assert [note.pitch for note in score.tracks[1].notes] == [60, 42]
    assert [
        note.pitch for note in tune("C\n%%MIDI rtranspose 2\nC", fields="%%MIDI transpose 1\n").tracks[0].notes
    ] == [61, 63]


@pytest.mark.parametrize("line", ["%%MIDI gchord fzczfzcz", "%%MIDI drum dzd 35 38", "%%foo bar", "I:foo bar",
                                  "%%MIDI program x",
                                  "s:!f!", "m:~G2=GAG", "W:words", "K:C foo=1", "V:1 sound=B", "E:7"])  # fmt: skip
@pytest.mark.parametrize("spaces", ["", " ", "\t"])
def test_what_is_not_heeded_is_said_and_does_nothing(line: str, spaces: str) -> None:
    reading = read_one(f"CD\n{spaces if line[0] == '%' else ''}{line}\nEF|")
    assert notes(reading.score) == ["60@0/1", "62@1/1", "64@2/1", "65@3/1"]
    assert reading.remarks
    assert all(said.isprintable() for said in reading.remarks)


@pytest.mark.parametrize(
    "line", ["%%score (1 2)", "%%titlefont Times 20", "%%scale 0.7", "%%barnumbers 4", "% a comment", "N:note"]
)
def test_what_concerns_print_or_people_alone_needs_no_word(line: str) -> None:
    reading = read_one(f"CD\n{line}\nEF|", fields=f"{line}\n")
    assert len(notes(reading.score)) == 4
    assert not reading.remarks
    assert not reading.repairs


@pytest.mark.parametrize("directive", ["abc-include", "abc-include ", "MIDI abc-include", "include"])
@pytest.mark.parametrize("before", ["%%", " %%", "\t%%", "%% ", " \t %%  ", "I:", "C D ", "[I:", '"'])
@pytest.mark.parametrize("in_header", [False, True])
def test_no_directive_opens_a_file(
    tmp_path: Path, directive: str, before: str, in_header: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("X:9\nT:Geheimnis\nK:C\nGGGG|\n")
    line = f"{before}{directive} {secret}\n"
    text = f"X:1\nT:t\nM:4/4\nL:1/4\n{line if in_header else ''}K:C\n{'' if in_header else line}C D E F|\n"
    (tmp_path / "tune.abc").write_text(text)
    reading = read_file(tmp_path / "tune.abc")
    assert not any(note.pitch == 67 and note.duration == 480 for note in reading.score.tracks[0].notes)
    said = "\n".join((*reading.repairs, *reading.remarks, reading.title))
    assert "Geheimnis" not in said
    assert "GGGG" not in said
    assert capfd.readouterr() == ("", "")


def test_blocks_for_print_are_passed_over_only_where_they_end() -> None:
    assert len(notes(read_one("CD\n%%begintext\nABC|\nK:D\n%%endtext\nEF|").score)) == 4
    assert len(notes(read_one("CD\n%%begintext\nEF|").score)) == 4


def test_control_characters_reach_nobody() -> None:
    (reading,) = parse_abc(
        'X:1\nT:\x1b]0;x\aa\nM:4/4\nL:1/4\nK:C\nV:1 name="\x1b[31mred"\n"A\x07m"C\x00D|\nw:\x1b[1mla\n'
    )
    texts = [reading.title, reading.score.tracks[0].name, *(m.text for m in reading.score.markers), *reading.repairs]
    texts += [lyric.text for lyric in reading.score.tracks[0].lyrics]
    assert all(text.isprintable() for text in texts)
    assert any("control" in repair for repair in reading.repairs)
