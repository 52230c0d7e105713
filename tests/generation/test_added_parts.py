"""Parts that are added to a song: through all its bars, on places of their own, and nothing that is there moves."""

from dataclasses import asdict

import numpy as np
import pytest
from support.tiny_bundle import bundle_of, style_tracks, tiny_files, write_bundle
from symusic import Note, Track

from melody.errors import UsageError
from melody.formats.midi import parse
from melody.generation import Composer, Settings
from melody.generation.model_choice import choose
from melody.generation.primer.added import parse_parts
from melody.generation.settings import settings_of
from melody.music.score import Score, bars, notes_of

TPQ = 480
TUNE = [(0, 1, 72), (1, 0.5, 74), (1.5, 0.5, 76), (2, 1.5, 74), (3.5, 0.5, 71)]
CHORDS = [(beat, 0.5, pitch) for beat in (0, 1.5, 2.5) for pitch in (60, 64, 67)]
WALK = [(0, 1, 36), (1, 1, 40), (2, 1, 43), (3, 1, 41)]
HITS = [(0, 0.1, 36), (1, 0.1, 38), (2, 0.1, 36), (3, 0.1, 38)]
STYLE = {"programs": [0, 34, 16, 30, 81, 29, 91, 81], "tempo_qpm": 140.0, "meter": [3, 4]}


def track(rows: list[tuple[float, float, int]], program: int, name: str, drums: bool = False) -> Track:
    result = Track(name, program, drums)
    for bar in range(4):
        result.notes.extend([Note(int((4 * bar + at) * TPQ), int(long * TPQ), pitch, 77) for at, long, pitch in rows])
    return result


def song(*tracks: Track) -> Score:
    result = Score(TPQ)
    result.tracks.extend(tracks or (track(TUNE, 73, "Flute"), track(CHORDS, 0, "Piano")))
    return result


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    tracks = [asdict(info) for info in style_tracks("band")]
    changes = {"name": "band", "tracks": tracks, "styles": ["jazz", "rock"], "by_style": {"rock": STYLE}}
    return Composer(write_bundle(tmp_path_factory.mktemp("bundles") / "band", tiny_files(), changes))


@pytest.mark.parametrize("parts", ["bass,drums", "pad", "lead", "drums,bass,guitar,arpeggio,pad,lead"])
def test_new_tracks_play_through_all_bars_and_the_others_stay_to_the_note(composer: Composer, parts: str) -> None:
    given = song()
    (take,) = composer.compose(given, add=parts, seed=3)
    old, new = take.score.tracks[:2], take.score.tracks[2:]
    for before, after in zip(given.tracks, old, strict=True):
        assert (before.name, before.program, list(before.notes)) == (after.name, after.program, list(after.notes))
    assert len(new) == len(parts.split(","))
    assert len(bars(take.score)) == len(bars(given))
    for one in new:
        assert one.is_drum == (one.name == "Drums")
        assert len(one.notes)
        pitch = notes_of(one).pitch
        info = next(info for info in style_tracks("band") if info.name == one.name)
        assert one.is_drum or abs(pitch - round(info.mean)).max() <= 16
    written = parse(take.to_midi())
    channels = [channel for channel, one in zip(written.channels, written.score.tracks, strict=True) if one.notes]
    assert len(set(channels)) == len(channels)


def test_a_second_lead_takes_the_second_place_and_a_third_is_refused(composer: Composer) -> None:
    (take,) = composer.compose(song(), add="lead", seed=1)
    assert take.score.tracks[2].name == "Second"
    with pytest.raises(UsageError, match=r"lead: .* has that part already"):
        composer.compose(song(), add="lead,lead", seed=1)
    two = song(track(TUNE, 80, ""), track(TUNE, 73, ""))
    with pytest.raises(UsageError, match="add lead: track 1 and track 2 have that part already"):
        composer.compose(two, add="lead", seed=1)
    with pytest.raises(UsageError, match="add chords: Piano has that part already"):
        composer.compose(song(), add="chords", seed=1)
    with pytest.raises(UsageError, match="add choir: band has no such part; it has drums, bass"):
        composer.compose(song(), add="choir", seed=1)


def test_chords_that_are_asked_for_hold_in_the_new_tracks(composer: Composer) -> None:
    (take,) = composer.compose(song(), add="bass", chords="C | F", seed=2)
    bass = notes_of(take.score.tracks[2])
    strong = bass.pitch[bass.onset % (2 * TPQ) == 0] % 12
    bar = bass.onset[bass.onset % (2 * TPQ) == 0] // (4 * TPQ) % 2
    assert all(int(pitch) in ((0, 4, 7), (5, 9, 0))[number] for pitch, number in zip(strong, bar, strict=True))


def test_a_style_brings_its_instruments_and_from_nothing_its_tempo(composer: Composer) -> None:
    (take,) = composer.compose(song(), add="bass,guitar:rock", seed=1)
    assert [one.program for one in take.score.tracks[2:]] == [34, 30]
    (plain,) = composer.compose(song(), add="bass,guitar", seed=1)
    assert [one.program for one in plain.score.tracks[2:]] == [33, 30]
    (fresh,) = composer.compose(style="rock", bars=2, seed=1)
    assert [one.program for one in fresh.score.tracks] == STYLE["programs"]
    assert round(fresh.score.tempos[0].qpm) == 140
    assert [(m.numerator, m.denominator) for m in fresh.score.time_signatures] == [(3, 4)]
    assert composer.recompose(fresh.settings).to_midi() == fresh.to_midi()
    (other,) = composer.compose(style="jazz", bars=2, seed=1)
    assert round(other.score.tempos[0].qpm) == 96
    with pytest.raises(UsageError, match="knows jazz, rock"):
        composer.compose(song(), add="bass:polka", seed=1)


def test_a_take_with_new_parts_is_composed_again_from_its_settings(composer: Composer) -> None:
    (take,) = composer.compose(song(), add=["bass", "drums:rock"], seed=5)
    again = composer.recompose(take.settings, song())
    assert again.to_midi() == take.to_midi()
    assert (take.settings["add"], take.settings["style"]) == (("bass", "drums"), "rock")
    assert "add" not in composer.compose(song(), bars=1, seed=5)[0].settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"add": "bass", "bars": 4}, "leave out `bars`"),
        ({"add": "bass", "keep": "rhythm"}, "different tasks"),
        ({"add": "bass", "form": "AB"}, "`add`"),
        ({"add": "bass", "meter": (3, 4)}, "meter and tempo stay"),
        ({"add": "bass:rock,drums:jazz"}, "one style"),
        ({"add": "bass:rock", "style": "jazz"}, "one style"),
        ({"add": "bass,,drums"}, "write the parts as"),
    ],
)
def test_what_does_not_go_together_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings_of(options)


def test_parts_are_read_whatever_their_case_and_spaces() -> None:
    assert parse_parts(["Bass, drums:Rock", "pad"]) == (("bass", "drums", "pad"), "rock")
    assert settings_of({"add": ("bass",)}) == Settings(add=("bass",))


def test_chords_for_a_tune_alone_lie_below_it(composer: Composer) -> None:
    (take,) = composer.compose(song(track(TUNE, 73, "Flute")), add="chords", seed=3)
    assert notes_of(take.score.tracks[-1]).pitch.max() <= round(np.mean([pitch for *_, pitch in TUNE]))


def test_the_model_chosen_has_the_parts() -> None:
    models = [bundle_of(style) for style in ("band", "chorale", "drums", "folk", "pop")]
    assert choose(song(), models, add=("bass", "drums")).bundle.name == "band"
    assert choose(song(), models, add=("alto", "tenor")).bundle.name == "chorale"
    assert choose(song(track(TUNE, 73, "Flute")), models, add=("chords",)).bundle.name == "band"
    assert choose(song(track(TUNE, 73, "Flute")), models, add=("chords", "bass")).bundle.name == "band"
    with pytest.raises(UsageError, match="no model here has these parts together; there are drums, bass"):
        choose(song(), models, add=("alto", "drums"))


def test_drums_beside_a_kit_and_parts_for_drums_alone(composer: Composer) -> None:
    beat = song(track(HITS, 0, "Kit", drums=True))
    (take,) = composer.compose(beat, add="bass,chords", seed=4)
    assert [one.name for one in take.score.tracks] == ["Kit", "Bass", "Chords"]
    assert np.array_equal(notes_of(take.score.tracks[0]).onset, notes_of(beat.tracks[0]).onset)
    with pytest.raises(UsageError, match="Kit has that part already"):
        composer.compose(beat, add="drums", seed=4)
