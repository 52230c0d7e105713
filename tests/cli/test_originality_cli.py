"""`melody originality` and `--max-copy-bars`: a quotation is named, a take copies no more than it may, chance stays."""

import hashlib
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import TableEngine, fake_bundle
from symusic import Tempo, TimeSignature, Track

import melody
from melody.bundle import Bundle, open_bundle
from melody.cli import run
from melody.errors import UnreadableFile
from melody.evaluation.originality import held_out_shares, originality_of, percentile
from melody.generation import Composer
from melody.generation.decoders import Continuation
from melody.generation.decoders.beam import beam_search
from melody.generation.decoders.sampling import REACH, TRIES, sample, stream
from melody.generation.prefix import Prefix, read_prefix
from melody.generation.rules.bars import exact_bars
from melody.generation.rules.copying import CopyReader, NoLongCopy
from melody.generation.sampling import Sampling
from melody.music.originality import Count, Index, build, copies, piece_share
from melody.music.score import GRID, Notes, Score, bars, set_notes
from melody.tokens import EventTokenizer, Plan, Reader

VOCABULARY = EventTokenizer.vocabulary
PITCHES = 60 + np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])


def tune(seed: int, notes: int = 64, low: int = 60) -> Track:
    """Eighths that jump at random."""
    track = Track(f"tune {seed}", 0, False)
    pitch = low + np.random.default_rng(seed).integers(0, 20, notes)
    onset = np.arange(notes) * GRID // 2
    set_notes(track, Notes(onset, np.full(notes, GRID // 2), pitch, np.full(notes, 82)))
    return track


def score_of(*tracks: Track) -> Score:
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=120)]
    score.tracks.extend(tracks)
    return score


def quoting(host: Track, source: Track, first: int, count: int, at: int, semitones: int) -> Track:
    """`host` with notes of `source` in it, transposed."""
    pitches = [note.pitch for note in host.notes]
    pitches[at : at + count] = [note.pitch + semitones for note in source.notes[first : first + count]]
    result = tune(0, len(pitches))
    set_notes(
        result,
        Notes(
            *(np.array(c) for c in ([n.time for n in host.notes], [12] * len(pitches), pitches)),
            np.full(len(pitches), 82),
        ),
    )
    return result


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle of four voices whose training music is six tunes, and whose held-out pieces quote some of them."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    empty = fake_bundle(folder)
    index = build((f"piece {n}", score_of(*(tune(10 * n + v) for v in range(4)))) for n in range(6))
    (folder / "originality.npz").write_bytes(index.to_bytes())
    held_out = ["0/40 0/40 0/40 0/40", "10/40 0/40 0/40 4/40", "20/40 0/40 0/0 0/40", "30/40 0/40 0/40 0/40"]
    files = {**empty.settings["files"], "originality.npz": hashlib.sha256(index.to_bytes()).hexdigest()}
    whole = {**empty.settings, "files": files, "originality": {"ngrams": len(index), "held_out": held_out}}
    (folder / "bundle.json").write_text(json.dumps(whole))
    return open_bundle(folder)


def test_a_planted_transposed_quotation_is_named(bundle: Bundle, tmp_path: Path, capsys):
    # four bars of the alto of piece 3, a fifth higher, in the second track of a file in another order
    quoted = quoting(tune(900), tune(31), first=16, count=32, at=8, semitones=7)
    drums = tune(901)
    drums.is_drum = True
    file = melody.write(score_of(drums, quoted, tune(902, low=40)), tmp_path / "take.mid")
    assert run(["originality", str(file), "--model", str(bundle.folder), "--min-bars", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["copies"] == [
        {
            "track": 2,
            "first_bar": 2,
            "last_bar": 5,
            "piece": "piece 3",
            "piece_bar": 3,
            "piece_last_bar": 6,
        }
    ]
    assert [row["known"] for row in found["tracks"]] == [0, 32 - 8, 0]
    assert found["tracks"][0]["share"] is None
    assert run(["originality", str(file), "--model", str(bundle.folder)]) == 0
    text = capsys.readouterr().out
    assert "bars 2-5: piece 3, bars 3-6" in text
    assert "percentile" in text


def test_a_lone_tune_is_ranked_among_lone_tunes(bundle: Bundle):
    half = quoting(tune(900), tune(0), first=0, count=36, at=0, semitones=0)  # 28 of 56
    found = originality_of(score_of(half), bundle)
    assert (found.places, found.share, found.held_out_pieces) == ({0: 0}, 0.5, 4)
    assert found.percentile == 62.5  # two below, one equal
    assert originality_of(score_of(tune(900)), bundle).percentile == 12.5
    drums = tune(901)
    drums.is_drum = True
    nothing = originality_of(score_of(drums), bundle)
    assert nothing.share != nothing.share
    assert nothing.percentile != nothing.percentile


def test_percentiles_are_of_the_same_tracks():
    pieces = [[Count(1, 2), Count(0, 2)], [Count(0, 0), Count(3, 4)]]
    assert held_out_shares(pieces, {0}) == [0.5]
    assert held_out_shares(pieces, {1, 0}) == [0.25, 0.75]
    assert [percentile(value, [0.1, 0.2, 0.2, 0.4]) for value in (0.0, 0.2, 1.0)] == [0, 50, 100]


def test_a_bundle_without_an_index_says_so_in_one_line(tmp_path: Path, capsys):
    bundle = fake_bundle(tmp_path)
    (tmp_path / "bundle.json").write_text(json.dumps(dict(bundle.settings)))
    file = melody.write(score_of(tune(1)), tmp_path / "a.mid")
    assert not bundle.knows_its_training
    with pytest.raises(UnreadableFile, match=r"originality\.npz"):
        bundle.originality  # noqa: B018
    assert run(["originality", str(file), "--model", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "export the run again" in error
    assert error.count("\n") == 1
    assert run(["originality", str(file), "--min-bars", "0"]) == 2


def test_the_shipped_model_names_a_chorale(tmp_path: Path, capsys):
    bundle = open_bundle("chorale")
    if not bundle.knows_its_training:
        pytest.skip("the shipped model carries no index of its training music yet: export it again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's own
        from melody.corpus.chorale import read_chorale

        name = bundle.originality.pieces[0]
        source = melody.music.score.clip(read_chorale(name), 2, 6)
    source.tracks = [melody.music.score.transpose(source, 2).tracks[0]]
    file = melody.write(source, tmp_path / "theme.mid")
    assert run(["originality", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["copies"][0]["track"] == 1
    assert found["copies"][0]["last_bar"] == 4
    assert name in {copy["piece"] for copy in found["copies"]} or found["tracks"][0]["share"] == 1
    assert found["percentile"] > 90


# ---- composing ------------------------------------------------------------------------------------------------------


def plagiarist(piece: Score, loyalty: float) -> TableEngine:
    """A model that knows one piece by heart: at each step the piece's next token has this many nats more than others.

    It counts tokens from the piece's start, and so is back in the tune after it was forced off.
    """
    ids = EventTokenizer().encode(piece)
    table = np.zeros((len(ids), len(VOCABULARY), len(VOCABULARY)), np.float32)
    for count, token in enumerate(ids[1:]):
        table[count, :, token] = loyalty
    return TableEngine(table, period=len(ids))


PIECE = score_of(tune(1, 40))
INDEX = build([("the piece", PIECE)])


def ready(index: Index, max_bars: float, total: int = 5) -> tuple[TableEngine, Prefix, list]:
    engine = plagiarist(PIECE, loyalty=14.0)
    tokenizer = EventTokenizer()
    ids = [*tokenizer.header([Track("", 0, False)]), VOCABULARY.ids["Bar"][0]]
    prefix = read_prefix(engine, Reader(VOCABULARY, Plan(bars=total)), ids)
    prefix = prefix.read_by(CopyReader(prefix.reader, index, max_bars))
    return engine, prefix, [exact_bars(VOCABULARY, total), NoLongCopy(VOCABULARY)]


def composed(drawn: Continuation) -> Score:
    header = [*EventTokenizer().header([Track("", 0, False)]), VOCABULARY.ids["Bar"][0]]
    return EventTokenizer().decode(np.array([*header, *drawn.ids], np.int32))


def generators(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


@pytest.mark.parametrize("max_bars", [1.5, 2.0, 3.0])
def test_a_model_that_knows_a_piece_by_heart_copies_no_more_than_it_may(max_bars: float):
    engine, prefix, rules = ready(INDEX, max_bars)
    free = sample(engine, [prefix] * 2, rules[:1], Sampling(), generators(0, 1))
    held = sample(engine, [prefix] * 2, rules, Sampling(), generators(0, 1))
    for copied, own in zip(map(composed, free), map(composed, held), strict=True):
        assert copies(copied, INDEX, max_bars + 0.01)
        assert not copies(own, INDEX, max_bars + 1e-9)
        assert len(bars(own)) - 1 == 5


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=0.9)])
def test_it_ends_and_holds_where_drawing_again_changes_nothing(sampling: Sampling):
    engine, prefix, rules = ready(INDEX, 2)
    take = composed(sample(engine, [prefix], rules, sampling, generators(1))[0])
    assert not copies(take, INDEX, 2 + 1e-9)
    assert len(bars(take)) - 1 == 5


def test_beam_search_obeys():
    engine, prefix, rules = ready(INDEX, 2, total=3)
    take = composed(beam_search(engine, prefix, rules, 2)[0])
    assert not copies(take, INDEX, 2 + 1e-9)
    assert copies(composed(beam_search(engine, prefix, rules[:1], 2)[0]), INDEX, 2 + 1e-9)


def test_a_take_depends_on_its_own_numbers_alone():
    engine, prefix, rules = ready(INDEX, 1.5)
    together = sample(engine, [prefix] * 3, rules, Sampling(), generators(0, 1, 2))
    for seed, other in enumerate(together):
        alone = sample(engine, [prefix], rules, Sampling(), generators(seed))[0]
        assert alone == other


def test_where_nothing_is_copied_nothing_changes():
    engine, prefix, rules = ready(build([("another", score_of(tune(2)))]), 1.5)
    watched = sample(engine, [prefix] * 2, rules, Sampling(), generators(0, 1))
    assert watched == sample(engine, [prefix] * 2, rules[:1], Sampling(), generators(0, 1))


def test_what_is_streamed_is_never_taken_back():
    engine, prefix, rules = ready(INDEX, 1.5)
    whole = sample(engine, [prefix], rules, Sampling(), generators(1))[0]
    assert [token for _, token, _ in stream(engine, [prefix], rules, Sampling(), generators(1))] == whole.ids
    first = next(iter(stream(engine, [prefix], rules, Sampling(), generators(1))))
    assert first[1] == whole.ids[0]
    assert TRIES % 3 == 0
    assert 1 << (TRIES - 1) * 3 // TRIES == REACH


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.sampled_from([1.5, 2.0, 2.5]))
def test_the_limit_holds_in_small_worlds(seed: int, pitches: int, max_bars: float):
    """Training music of few pitches in one rhythm, which chance alone copies at length."""
    generator = np.random.default_rng(seed)
    track = Track("", 0, False)
    pitch = PITCHES[generator.integers(0, pitches, 300)]
    set_notes(track, Notes(np.arange(300) * 24, np.full(300, 24), pitch, np.full(300, 82)))
    index = build([("drone", score_of(track))])
    table = np.full((1, len(VOCABULARY), len(VOCABULARY)), -20, np.float32)
    names = [*(f"Pitch_{p}" for p in PITCHES[:pitches]), "Duration_24", "Track_0"]
    table[:, :, [VOCABULARY.id_of[name] for name in names]] = 0
    for place, name in enumerate(["Position_0", "Position_24", "Position_48", "Position_72", "Bar"]):
        table[:, :, VOCABULARY.id_of[name]] = 20 - 4 * place  # quarter after quarter: the first place that may follow
    _, prefix, rules = ready(index, max_bars, total=6)
    take = composed(sample(TableEngine(table), [prefix], rules, Sampling(), generators(seed))[0])
    assert len(bars(take)) - 1 == 6
    assert not copies(take, index, max_bars + 1e-9)


# ---- the shipped model ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composer() -> Composer:
    composer = melody.load("chorale")
    if not composer.bundle.knows_its_training:
        pytest.skip("the shipped model carries no index of its training music yet: export it again")
    return composer


@pytest.mark.parametrize("options", [{"temperature": 0.3}, {"temperature": 0.2, "only_new": True}])
def test_no_take_copies_more_than_it_may(composer: Composer, options: dict):
    index, limit = composer.bundle.originality, 1.0
    free = composer.compose(bars=8, takes=4, seed=5, **options)
    held = composer.compose(bars=8, takes=4, seed=5, max_copy_bars=limit, **options)
    assert any(copies(take.score, index, limit + 1e-9) for take in free)
    for take in held:
        assert not copies(take.score, index, limit + 1e-9)
        assert (np.diff(bars(take.score)) == 1920).sum() == 8  # a pickup counts as none
        assert take.in_training == pytest.approx(piece_share(take.score, index))
    alone = composer.compose(bars=8, takes=1, seed=5, max_copy_bars=limit, **options)[0]
    assert alone.score == held[0].score


def test_a_quoted_primer_stays_and_is_not_gone_on_with(composer: Composer):
    """The copy that counts is of new notes: a theme from the training music may be continued, its piece not."""
    index = composer.bundle.originality
    quoted = next(number for number in range(len(index.pieces)) if (index.piece == number).sum() > 150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's own
        from melody.corpus.chorale import read_chorale

        theme = melody.music.score.clip(read_chorale(index.pieces[quoted]), 0, 5)
    take = composer.compose(theme, bars=8, seed=3, temperature=0.5, only_new=True, max_copy_bars=1)[0]
    assert not copies(take.score, index, 1 + 1e-9)
    notes = list(composer.stream(theme, bars=8, seed=3, temperature=0.5, max_copy_bars=1))
    assert len(notes) == take.notes


def test_compose_says_how_much_stands_in_training(composer: Composer, tmp_path: Path, capsys):
    out = str(tmp_path / "take.mid")
    assert run(["compose", "--bars", "4", "--seed", "1", "--max-copy-bars", "2", "--out", out]) == 0
    assert re.search(r"\d% in training", capsys.readouterr().out)
    assert run(["compose", "--replay", out, "--out", str(tmp_path / "again.mid")]) == 0
    assert (tmp_path / "again.mid").read_bytes() == Path(out).read_bytes()
    assert run(["compose", "--max-copy-bars", "0", "--out", str(tmp_path / "none.mid")]) == 2
