"""A MusicXML file as a primer: what stands beside its notes is in what is composed."""

from pathlib import Path

from support.musicxml_files import attributes, document, key, note

from melody.cli import run
from melody.formats.midi import read_midi
from melody.formats.musicxml import parse_musicxml


def lead_sheet() -> bytes:
    """Two bars with chord symbols, syllables, words and a repeat, in a part that sounds a tone lower than written."""
    lyric = "<lyric><syllabic>begin</syllabic><text>la</text></lyric>"
    words = "<direction><direction-type><words>dolce</words></direction-type></direction>"
    harmony = "<harmony><root><root-step>A</root-step></root><kind>minor-seventh</kind></harmony>"
    move = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    first = attributes(key(2, "major") + move) + words + harmony + note("D").replace("</note>", f"{lyric}</note>")
    repeat = '<barline location="right"><repeat direction="backward"/></barline>'
    return document([first, note("E") + repeat])


def test_what_stands_beside_the_notes_is_in_the_take(tmp_path: Path) -> None:
    path, out = tmp_path / "sheet.musicxml", tmp_path / "out.mid"
    path.write_bytes(lead_sheet())
    arguments = ["compose", str(path), "--model", "folk", "--bars", "1", "--seed", "1", "--out", str(out)]
    assert run(arguments) == 0
    given, taken = parse_musicxml(path.read_bytes()), read_midi(out)

    def beside(score: object) -> list[tuple[int, str]]:
        return [(event.time, event.text) for event in score]  # type: ignore[attr-defined]

    notes = [(n.time, n.duration, n.pitch) for n in given.score.tracks[0].notes]
    assert notes == [(0, 1920, 60), (1920, 1920, 62), (3840, 1920, 60), (5760, 1920, 62)]
    assert set(notes) <= {(n.time, n.duration, n.pitch) for n in taken.score.tracks[0].notes}
    assert beside(given.score.markers) == [(0, "Am7"), (3840, "Am7")]
    assert set(beside(given.score.markers)) <= set(beside(taken.score.markers))
    assert beside(taken.score.tracks[0].lyrics) == beside(given.score.tracks[0].lyrics) == [(0, "la-"), (3840, "la-")]
    assert {(text.tick, text.text) for text in given.texts} <= {(text.tick, text.text) for text in taken.texts}
    assert {k.key for k in taken.score.key_signatures} == {0}


def test_measures_by_time_are_read_as_those_by_part() -> None:
    partwise = document([attributes("") + note(), note("D")], [attributes("") + note("E"), note("F")]).decode()
    head, body = partwise.split("</part-list>")
    parts = [part.split("<measure")[1:] for part in body.split("<part ")[1:]]
    columns = "".join(
        f'<measure number="{number}">'
        + "".join(
            f'<part id="P{place}">{part[number - 1].split(">", 1)[1].split("</measure>")[0]}</part>'
            for place, part in enumerate(parts, 1)
        )
        + "</measure>"
        for number in (1, 2)
    )
    timewise = f"{head.replace('partwise', 'timewise')}</part-list>{columns}</score-timewise>"
    first, second = (parse_musicxml(text.encode()).score for text in (partwise, timewise))
    assert [[(n.time, n.pitch) for n in t.notes] for t in first.tracks] == [
        [(n.time, n.pitch) for n in t.notes] for t in second.tracks
    ]
