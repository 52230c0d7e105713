"""The recipes folk, pop, drums and lied: their lists, their readers on made music and on the real archives."""

import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import Tempo, TimeSignature, Track

from melody.corpus import TokenStore, folk, lied, pop, prepare, recipe
from melody.corpus.archives import opened
from melody.corpus.drums import FOLD, on_grid
from melody.corpus.drums import name_of as drum_name
from melody.corpus.pieces import Dropped, LeftOut, read_item, tunes_of
from melody.corpus.recipe import READERS, SPLITS, load_pieces, load_recipe
from melody.errors import MelodyError, UsageError
from melody.formats.abc import TuneReading
from melody.formats.midi.writer import dumps
from melody.music.drumkit import HIT
from melody.music.quantize import quantize, snapped, subdivisions
from melody.music.score import GRID, Notes, Score, bars, notes_of, set_notes
from melody.tokens import EventTokenizer

CORPORA = Path(__file__).parents[2] / "corpora"
ARCHIVES = {"folk": "cre.tar.xz", "pop": "pop909.tar.xz", "drums": "groove.tar.xz", "lied": "lieder.tar.xz"}
TRACKS = {"folk": 1, "pop": 3, "drums": 1, "lied": 2}


def one_track(
    onset: list[float] | np.ndarray, pitch: list[int] | int = 60, *, velocity: list[int] | int = 80, drums: bool = False
) -> Track:
    """A track of notes of a sixteenth at these ticks."""
    count = len(onset)
    columns = (np.array(onset), np.full(count, 120), np.broadcast_to(pitch, count), np.broadcast_to(velocity, count))
    track = Track("x", 0, drums)
    set_notes(track, Notes(*(column.astype(np.int64) for column in columns)))
    return track


def score_of(*tracks: Track, meter: tuple[int, int] = (4, 4)) -> Score:
    result = Score(480)
    result.time_signatures = [TimeSignature(0, *meter)]
    for track in tracks:
        result.tracks.append(track)
    return result


# ---- the lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_recipe_fits_its_split(name: str) -> None:
    known, pieces = load_recipe(CORPORA / name), load_pieces(CORPORA / name)
    assert known.name == name
    assert known.origin
    counts = Counter(pieces.split_of.values())
    assert {split: counts[split] for split in SPLITS} == {s: known.expected[s].pieces for s in SPLITS}
    assert not set(pieces.split_of) & set(pieces.left_out)
    total = sum(counts.values())
    assert 0.03 < counts["valid"] / total < 0.12
    assert 0.03 < counts["test"] / total < 0.12


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_readme_tells_source_rights_reading_and_split(name: str) -> None:
    text = (CORPORA / name / "README.md").read_text()
    known = load_recipe(CORPORA / name)
    for word in ("**Source.**", "**Rights.**", "**Reading.**", "**Split.**"):
        assert word in text
    assert known.origin
    assert known.origin.commit.split()[0] in text
    for reason, count in Counter(load_pieces(CORPORA / name).left_out.values()).items():
        assert re.search(rf"\b{count:,}\b", text), f"README does not count what is left out as {reason!r}: {count}"


# ---- where the music is ---------------------------------------------------------------------------------------------


def test_without_a_network_the_message_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(url: str, target: Path) -> Path:
        raise MelodyError(f"{url}: cannot fetch (no network)")

    monkeypatch.setattr(recipe, "fetch", no_network)
    with pytest.raises(MelodyError) as caught:
        prepare("pop", tmp_path / "store")
    message = str(caught.value)
    assert "no network" in message
    assert "https://github.com/music-x-lab/POP909-Dataset (d83e6ed)" in message
    assert "melody prepare pop --from" in message
    assert "\n" not in message
    with pytest.raises(MelodyError, match=r"nowhere: not there; get https://github\.com/OpenScore/Lieder"):
        prepare("lied", tmp_path / "store", local=tmp_path / "nowhere")


def test_from_is_for_recipes_with_an_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpora" / "installed"
    folder.mkdir(parents=True)
    lines = (CORPORA / "chorale" / "recipe.yaml").read_text().splitlines()
    (folder / "recipe.yaml").write_text("\n".join(line for line in lines if re.match("reader|source|licence", line)))
    with (folder / "recipe.yaml").open("a") as file:
        file.write("\nname: installed\n")
    (folder / "split.json").write_text(json.dumps({"train": [], "valid": [], "test": [], "left_out": {}}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="comes with music21"):
        prepare("installed", tmp_path / "store", local=tmp_path)
    with pytest.raises(UsageError, match="music of your own"):
        prepare(tmp_path, tmp_path / "store", local=tmp_path)


def drummer(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    onset = np.sort(generator.choice(64, 20, replace=False)) * 120
    return dumps(score_of(one_track(onset, generator.choice([36, 38, 42], 20).tolist(), drums=True)))


@pytest.fixture
def small_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of twelve drum pieces in ./corpora; one is not in the archive, one is damaged, one is left out."""
    monkeypatch.chdir(tmp_path)
    names = [f"drummer1/session1/{n}_rock_100_{'fill' if n % 2 else 'beat'}_4-4" for n in range(12)]
    with zipfile.ZipFile("groove.zip", "w") as archive:
        for number, name in enumerate(names[1:], 1):
            archive.writestr(f"groove/{name}.mid", drummer(number) if number != 2 else b"MThd")
    folder = Path("corpora/small")
    folder.mkdir(parents=True)
    text = (CORPORA / "drums" / "recipe.yaml").read_text()
    text = re.sub(r"name: drums", "name: small", text)
    (folder / "recipe.yaml").write_text(text)
    listed = [drum_name(f"{name}.mid") for name in names]
    split = {"train": listed[:9], "valid": listed[9:10], "test": listed[10:11], "left_out": {"dull": listed[11:]}}
    (folder / "split.json").write_text(json.dumps(split))
    return tmp_path


def test_a_recipe_is_read_from_an_archive(small_recipe: Path) -> None:
    report = prepare("small", local="groove.zip", workers=1)
    assert report.pieces == {"train": 7, "valid": 1, "test": 1}
    assert report.reasons == {"dull": 1, "not there": 1, "UnreadableFile": 1}
    assert report.differences[0] == "the files are not those that the recipe was made with"
    assert len(report.differences) == 4  # and each split has other counts
    store = TokenStore.open("corpora/small/prepared")
    assert store.styles == ["fill", "groove"]
    train = store.split("train")
    assert [name.startswith("fill") for name in train.names] == [style == 1 for style in train.styles.tolist()]


def test_the_command_line_takes_an_archive(small_recipe: Path) -> None:
    command = [sys.executable, "-m", "melody", "prepare", "small", "--from", "groove.zip", "--workers", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["pieces"] == {"train": 7, "valid": 1, "test": 1}
    command[command.index("groove.zip")] = "elsewhere.zip"
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "elsewhere.zip: not there; get https://magenta.tensorflow.org/datasets/groove" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_gives_the_same_store_as_an_archive(small_recipe: Path) -> None:
    with zipfile.ZipFile("groove.zip") as archive:
        archive.extractall("copy")
    stores = []
    for local, out in (("groove.zip", "a"), ("copy", "b")):
        prepare("small", out, local=local, workers=1)
        stores.append(TokenStore.open(out).info["files"])
    assert stores[0] == stores[1]


def test_an_archive_of_your_own_music_is_read(small_recipe: Path) -> None:
    report = prepare("groove.zip", workers=1)
    assert sum(report.pieces.values()) == 10
    assert report.folder == Path("outputs/stores/groove")


# ---- human timing ---------------------------------------------------------------------------------------------------


@given(st.sampled_from([6, 8]), st.integers(0, 1000))
def test_a_wobble_of_the_hand_is_no_rhythm(step: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    exact = np.arange(0, 8 * GRID, step)
    human = exact + generator.uniform(-0.7, 0.7, len(exact))
    np.testing.assert_array_equal(snapped(human, subdivisions(human, np.full(len(human), 60))), exact)


def test_a_roll_is_32nds_and_a_late_hit_is_not() -> None:
    roll = np.arange(0, GRID, 3.0)
    snare = np.full(8, 38)
    assert subdivisions(roll, snare).tolist() == [3]
    late = np.array([0.0, 6, 14.2, 18])
    assert subdivisions(late, snare[:4]).tolist() == [6]
    assert snapped(late, subdivisions(late, snare[:4])).tolist() == [0, 6, 12, 18]


def test_beats_choose_for_themselves() -> None:
    onsets = np.array([0.0, 6, 12, 18, 24, 32, 40, 72])
    steps = subdivisions(onsets, np.full(8, 60))
    assert steps.tolist() == [6, 8, 6, 6]
    np.testing.assert_array_equal(snapped(onsets, steps), onsets)
    assert snapped(np.array([500.0]), steps).tolist() == [498]  # past the end


# ---- pop ------------------------------------------------------------------------------------------------------------


def test_bars_follow_the_votes() -> None:
    votes = np.zeros(40)
    votes[2::4] = 1
    votes[14] = 0  # a bar line that nobody heard
    votes[17] = 1  # and a chord that changes early
    assert pop.bar_starts(votes, 4).tolist() == list(range(2, 40, 4))


def test_an_odd_bar_needs_much_that_speaks_for_it() -> None:
    votes = np.zeros(60)
    votes[0:20:4] = 1
    votes[22:60:4] = 1
    starts = pop.bar_starts(votes, 4)
    assert set(np.diff(starts).tolist()) == {4, 6} or set(np.diff(starts).tolist()) == {2, 4}
    assert set(range(22, 60, 4)) <= set(starts.tolist())
    votes[26:] = 0  # one bar line alone is not enough
    assert set(np.diff(pop.bar_starts(votes, 4)).tolist()) == {4}


@given(st.integers(0, 10_000))
def test_off_beat_ticks_with_a_drifting_tempo_come_back_to_their_beats(seed: int) -> None:
    generator = np.random.default_rng(seed)
    beats = 0.3 + np.cumsum(generator.uniform(0.55, 0.65, 40))  # seconds
    wanted = np.sort(generator.choice(4 * 36, 40, replace=False)) * 6  # grid ticks
    wanted[0] = 0
    seconds = np.interp(wanted / GRID, np.arange(40), beats)
    ticks = np.round(seconds / 0.5 * 480).astype(int)  # a file at 120 quarters a minute that knows no beats
    raw = score_of(*(one_track(ticks, pitch) for pitch in (72, 67, 50)), meter=(1, 4))
    for track, name in zip(raw.tracks, pop.TRACKS, strict=True):
        track.name = name
    raw.tempos = [Tempo(0, qpm=120)]
    result = pop.on_beats(raw, beats, np.arange(0, 40, 4), 4)
    assert [track.name for track in result.tracks] == ["MELODY", "BRIDGE", "PIANO"]
    for track in result.tracks:
        np.testing.assert_array_equal(notes_of(track).onset, wanted)
    assert [(t.time, t.numerator, t.denominator) for t in result.time_signatures] == [(0, 4, 4)]
    assert 92 < result.tempos[0].qpm < 110


def test_a_song_that_ignores_its_beats_is_left_out() -> None:
    ticks = np.cumsum(np.random.default_rng(0).integers(61, 400, 300))
    raw = score_of(*(one_track(ticks) for _ in pop.TRACKS))
    for track, name in zip(raw.tracks, pop.TRACKS, strict=True):
        track.name = name
    with pytest.raises(LeftOut, match="off the beat"):
        pop.on_beats(raw, np.arange(100) * 0.5, np.arange(0, 100, 4), 4)


# ---- drums ----------------------------------------------------------------------------------------------------------


def test_the_kit_folds_to_general_midi() -> None:
    track = one_track([0, 118, 245, 355, 480], [36, 22, 26, 58, 40], velocity=[10, 60, 70, 80, 127], drums=True)
    notes = notes_of(track)
    set_notes(track, notes._replace(duration=np.array([0, 5, 0, 900, 1])))
    result = notes_of(on_grid(score_of(track)).tracks[0])
    assert result.onset.tolist() == [0, 6, 12, 18, 24]
    assert result.pitch.tolist() == [36, 42, 46, 43, 38]
    assert set(result.duration.tolist()) == {HIT}
    assert result.velocity.tolist() == [10, 60, 70, 80, 127]
    assert not set(FOLD) & set(FOLD.values())


def test_of_hits_that_fall_together_the_louder_stays() -> None:
    track = one_track([0, 10, 480], [38, 40, 38], velocity=[50, 90, 60], drums=True)
    result = notes_of(on_grid(score_of(track)).tracks[0])
    assert result.onset.tolist() == [0, 24]
    assert result.velocity.tolist() == [90, 60]


# ---- folk -----------------------------------------------------------------------------------------------------------

TUNE = "X:1\nT:x\nM:4/4\nL:1/8\nK:D\n|: d2fd Adfd | {g}e2~ge ceAc | d2fd (3Adf gf | ec Ac d4 :|\n"


def test_a_tune_is_one_line_with_repeats_and_no_ornaments() -> None:
    reading = tunes_of(TUNE, "x")["x"]
    assert isinstance(reading, TuneReading)
    score = folk.tune(reading)
    notes = notes_of(score.tracks[0])
    assert len(notes.onset) == 2 * 27
    assert set(notes.velocity.tolist()) == {folk.VELOCITY}
    assert (notes.onset[1:] >= (notes.onset + notes.duration)[:-1]).all()
    assert bars(score).tolist() == [1920 * n for n in range(9)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((":|", ":|\nd6 | d8 | e7 | d8 | f5 | d8 | g8 |"), "more than two wrong bars"),
        ((" | {g}e2~ge ceAc | d2fd (3Adf gf | ec Ac d4 :|", " |"), "fewer than 24 notes"),
    ],
)
def test_a_tune_with_wrong_bars_is_left_out(change: tuple[str, str], reason: str) -> None:
    text = TUNE.replace(*change)
    assert text != TUNE
    reading = tunes_of(text, "x")["x"]
    assert isinstance(reading, TuneReading)
    with pytest.raises(LeftOut) as caught:
        folk.tune(reading)
    assert caught.value.reason == reason


def test_the_session_is_never_read() -> None:
    top = "folk_ngram_analysis-9d8ccf9"
    assert folk.is_wanted(f"{top}/cre_corpus/MIDI/x.mid")
    assert not folk.is_wanted(f"{top}/FoNN/thesession_corpus/midi/x.mid")


def test_a_bar_line_that_is_missing_does_no_harm() -> None:
    reading = tunes_of(TUNE.replace("Adfd |", "Adfd "), "x")["x"]
    assert isinstance(reading, TuneReading)
    assert len(bars(folk.tune(reading))) == 9


def meters_of(score: Score) -> list[tuple[int, int, int]]:
    return [(t.time, t.numerator, t.denominator) for t in score.time_signatures]


def accented(downbeats: list[int], end: int) -> Score:
    """Eighths as abc2midi writes them: a tick late, the first of each bar accented."""
    ticks = np.arange(0, end, 240)
    velocity = np.where(np.isin(ticks, downbeats), 105, 80)
    return score_of(one_track(np.where(ticks, ticks + 1, 0), velocity=velocity.tolist()))


def test_accents_tell_where_the_bars_are() -> None:
    pickup = folk.ceol_rince(accented([0, *range(480, 480 + 8 * 1920, 1920)], 480 + 8 * 1920))
    assert notes_of(pickup.tracks[0]).onset.tolist() == list(range(0, 480 + 8 * 1920, 240))
    assert meters_of(pickup) == [(0, 1, 4), (480, 4, 4)]
    regular = folk.ceol_rince(accented(list(range(0, 8 * 1920, 1920)), 8 * 1920))
    assert meters_of(regular) == [(0, 4, 4)]
    long_bar = folk.ceol_rince(accented([0, 1920, 1920 + 2400, 3 * 1920 + 480, 4 * 1920 + 480], 6 * 1920))
    assert meters_of(long_bar) == [(0, 4, 4), (3840, 1, 4), (4320, 4, 4)]
    astray = folk.ceol_rince(accented([0, 1920, 2400, 3840, 5760], 6 * 1920))  # one accent within a bar
    assert meters_of(astray) == [(0, 4, 4)]


def test_a_file_of_many_odd_bars_is_left_out() -> None:
    with pytest.raises(LeftOut, match="more than two wrong bars"):
        folk.ceol_rince(accented([0, 1920, 4080, 6240, 8400, 10560], 6 * 2160))


def test_a_wrong_bar_gets_a_meter_of_its_own() -> None:
    text = TUNE.replace("|:", "").replace(":|", "|").replace("ceAc |", "ceA |")
    reading = tunes_of(text + "d2fd Adfd | d2fd Adfd |\n", "x")["x"]
    assert isinstance(reading, TuneReading)
    assert meters_of(folk.tune(reading)) == [(0, 4, 4), (1920, 7, 8), (3600, 4, 4)]


# ---- lied -----------------------------------------------------------------------------------------------------------


def named(*names: str) -> Score:
    result = score_of(*(one_track(np.arange(0, 4800, 240), 60 - 5 * n) for n in range(len(names))))
    for track, name in zip(result.tracks, names, strict=True):
        track.name = name
    return result


def test_both_staves_are_one_piano() -> None:
    score = lied.voice_and_piano(named("Singstimme Voice", "Pianoforte 1", "Pianoforte 2"))
    assert [(track.name, len(track.notes)) for track in score.tracks] == [("Voice", 20), ("Piano", 40)]


@pytest.mark.parametrize(
    "names", [("Soprano", "Alto", "Tenor", "Bass"), ("Voice",), ("Voice", "Viola", "Piano"), ("Voice", "Guitar")]
)
def test_other_ensembles_are_left_out(names: tuple[str, ...]) -> None:
    with pytest.raises(LeftOut, match="not for voice and piano"):
        lied.voice_and_piano(named(*names))


# ---- the real archives ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ARCHIVES)
def corpus(request: pytest.FixtureRequest, data_folder: Path) -> Iterator[tuple[str, Path]]:
    """The name of a recipe and a folder with some of its music."""
    name: str = request.param
    with opened(data_folder / ARCHIVES[name], lambda path: _is_sampled(path)) as folder:
        yield name, folder


def _is_sampled(path: str) -> bool:
    """One piece in thirty of each archive, with what belongs to it."""
    song = re.search(r"(\d{3})(?:\.mid|/[a-z_]+\.txt)$", path)
    return path.endswith("info.csv") or crc32((song[1] if song else path).encode()) % 30 == 0


def pieces_of(name: str, root: Path) -> dict[str, Score | MelodyError]:
    reader = READERS[name]
    assert reader.items
    found: dict[str, Score | MelodyError] = {}
    for item in [item for item in reader.items(root) if not item.startswith("music21:")][:30]:
        found |= reader.read(item, root)
    return found


def test_pieces_read_as_their_recipe_promises(corpus: tuple[str, Path]) -> None:
    name, root = corpus
    found, known = pieces_of(name, root), load_pieces(CORPORA / name)
    assert len(found) >= 3
    for piece, score in found.items():
        if not isinstance(score, Score):
            assert isinstance(score, LeftOut)
            assert known.left_out[piece] == score.reason
            continue
        assert piece in known.split_of or known.left_out[piece] == "duplicate"
        assert len(score.tracks) == TRACKS[name]
        canonical = quantize(score)
        assert EventTokenizer().decode(EventTokenizer().encode(canonical)) == canonical


def test_the_repair_of_pop_agrees_with_another_one(data_folder: Path) -> None:
    wanted = partial(re.search, r"(?:/|^)0[0-4][05](?:\.mid|/\w+\.txt)$")
    agreeing, shared = [], []
    with opened(data_folder / ARCHIVES["pop"], lambda path: bool(wanted(path))) as folder:
        root = next(folder.glob("*/aligned")).parent
        for item in pop.items(root):
            mine, other = pop.song(root / item), pop.read(root / "aligned" / Path(item).name)
            onset, reference = notes_of(mine.tracks[0]).onset, notes_of(other.tracks[0]).onset * GRID // 480
            count = min(len(onset), len(reference))
            shift = GRID * round(np.median(reference[:count] - onset[:count]) / GRID)
            agreeing.append(np.mean(np.abs(reference[:count] - onset[:count] - shift) <= 2))
            lines = set((bars(other) * GRID // 480 - shift).tolist())
            shared.append(len(lines & set(bars(mine).tolist())) / len(bars(mine)))
    assert len(agreeing) == 9
    assert np.mean(agreeing) > 0.97
    assert np.mean(shared) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_corpus_is_as_its_recipe_says(name: str, data_folder: Path, tmp_path: Path) -> None:
    report = prepare(name, tmp_path / "store", local=data_folder / ARCHIVES[name])
    assert report.differences == []
    assert report.reasons == dict(Counter(load_pieces(CORPORA / name).left_out.values()))
    if name != "drums":  # whose split is the published one
        assert report.shared_clusters == 0


def test_a_reader_that_leaves_out_is_counted_by_its_reason() -> None:
    def left_out(item: str) -> dict[str, Score | MelodyError]:
        raise LeftOut("too short", f"{item}: 3 notes")

    assert read_item("x", left_out, 6) == [Dropped("x", "too short", "x: 3 notes")]
