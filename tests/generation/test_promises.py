"""The promises of `melody compose`, on the shipped model and real primers, over many seeds and temperatures."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from symusic import TimeSignature, Track

import melody
from melody.formats.midi import check, dumps, parse
from melody.generation import Composer, Take
from melody.music.key import key_of_signature, parse_key
from melody.music.quantize import quantize
from melody.music.score import Notes, Score, bars, clip, notes_of, set_notes
from melody.music.voice_leading import ends_on_tonic
from melody.music.voice_leading import examine as examine_voices
from melody.tokens import EventTokenizer
from tests.support.bar_counts import pickup_bars

BARS = 8


@pytest.fixture(scope="module")
def composer() -> Composer:
    return melody.load("chorale")


@pytest.fixture(scope="module")
def chorale() -> Score:
    """The first four bars of a chorale (and its pickup) that the model was not trained on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's own
        from melody.corpus.chorale import read_chorale

        return clip(read_chorale("bach/bwv130.6.mxl"), 0, 5)


def pop() -> Score:
    """A made-up pop tune: a syncopated melody over a piano's broken and held chords, 4/4."""
    score = Score(480)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    melody_line = [(0, 360, 76), (360, 120, 74), (480, 720, 72), (1200, 240, 74), (1440, 480, 76)]
    chords = [(45, 60, 64, 69), (41, 57, 60, 65), (48, 60, 64, 67), (43, 59, 62, 67)]
    lead, piano = [], []
    for bar, chord in enumerate(chords):
        lead += [(bar * 1920 + onset, length, pitch - bar) for onset, length, pitch in melody_line]
        piano += [(bar * 1920, 1920, chord[0]), *((bar * 1920 + i * 480, 480, p) for i, p in enumerate(chord[1:]))]
    for name, program, rows in (("Vocal", 53, lead), ("Piano", 0, piano)):
        track = Track(name, program, False)
        onset, duration, pitch = np.array(rows).T
        set_notes(track, Notes(onset, duration, pitch, np.full(len(rows), 90)))
        score.tracks.append(track)
    return score


def empty_run(score: Score, first_tick: int) -> int:
    """The longest run of silent bars from a tick on."""
    lines = bars(score)
    begin, end = lines[:-1], lines[1:]
    sounding = np.zeros(len(begin), bool)
    for track in score.tracks:
        notes = notes_of(track)
        sounds = (notes.onset[:, None] < end) & (notes.onset[:, None] + notes.duration[:, None] > begin)
        sounding |= sounds.any(axis=0) if len(notes.onset) else False
    text = "".join("x" if sounds else "." for sounds in sounding[begin >= first_tick])
    return max(map(len, text.split("x")))


def examine(take: Take, primer: Score | None) -> None:
    """Everything that must hold of a take, read back from the bytes of its file."""
    data = dumps(take.score)
    assert check(data) == []  # no stuck, overlapping or zero-length note, every track ends on the final bar line
    score = parse(data).score
    before = len(bars(quantize(primer))) - 1 if primer else 0
    assert len(bars(score)) - 1 == before + BARS + (0 if primer else pickup_bars(score))
    assert empty_run(score, take.first_new_tick) <= 2
    tokenizer = EventTokenizer()
    assert tokenizer.decode(tokenizer.encode(score)) == quantize(score)


def compose_and_examine(composer: Composer, primer: Score | None, seeds: range, temperature: float) -> None:
    for seed in seeds:
        take = composer.compose(primer, bars=BARS, seed=seed, temperature=temperature, top_p=1.0)[0]
        examine(take, primer)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("kind", ["chorale", "pop", "nothing"])
def test_what_always_holds(composer, chorale, kind: str, temperature: float):
    primer = {"chorale": chorale, "pop": pop(), "nothing": None}[kind]
    compose_and_examine(composer, primer, range(4), temperature)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_it_holds_for_two_hundred_seeds(composer, chorale, temperature: float):
    for kind, primer in enumerate((chorale, pop(), None)):
        seeds = range(kind * 67, min(200, (kind + 1) * 67))
        compose_and_examine(composer, primer, seeds, temperature)


def test_chorales_are_held_to_their_style_unless_asked_otherwise(composer):
    held, free = (composer.compose(bars=8, takes=8, seed=2, style_rules=rules) for rules in (True, False))
    parallels = [sum(examine_voices(take.score).parallels for take in takes) for takes in (held, free)]
    assert parallels[0] <= 3 < 10 < parallels[1]
    stated = [key_of_signature(k.key, k.tonality) for k in (take.score.key_signatures[0] for take in held)]
    assert all(ends_on_tonic(take.score, key) for take, key in zip(held, stated, strict=True))


@pytest.mark.parametrize("key", ["D minor", "A major"])
def test_a_continuation_closes_in_the_key_asked_for(composer, chorale, key: str):
    for take in composer.compose(chorale, bars=6, takes=6, seed=4, key=key):
        assert ends_on_tonic(take.score, parse_key(key))


@pytest.mark.parametrize("takes", [1, 5, 8])
def test_bytes_depend_on_neither_batch_nor_threads(chorale, takes: int):
    alone = melody.load("chorale").compose(chorale, bars=4, seed=7)[0]
    for threads in (1, 2):
        together = melody.load("chorale", threads=threads).compose(chorale, bars=4, seed=7, takes=takes)
        assert dumps(together[0].score) == dumps(alone.score)


def test_beam_of_one_is_greedy(composer, chorale):
    greedy = composer.compose(chorale, bars=2, seed=1, greedy=True)[0]
    beam = composer.compose(chorale, bars=2, seed=1, beam_width=1)[0]
    assert dumps(greedy.score) == dumps(beam.score)
    wide = composer.compose(chorale, bars=2, seed=1, beam_width=6)[0]
    assert wide.nats_per_note * wide.notes <= greedy.nats_per_note * greedy.notes + 1e-6


def test_the_engines_compose_alike(chorale):
    pytest.importorskip("torch")
    notes = []
    for engine in ("onnx", "torch"):
        take = melody.load("chorale", engine=engine).compose(chorale, bars=1, seed=1, greedy=True)[0]
        notes.append({tuple(row) for t in take.score.tracks for row in np.stack(notes_of(t), axis=1).tolist()})
    assert len(notes[0] ^ notes[1]) <= 0.2 * len(notes[0])  # 8 bits and 16 may part at a near tie, not before


def test_a_take_is_written_and_read_back(composer, chorale, tmp_path: Path):
    take = composer.compose(chorale, bars=2, seed=1)[0]
    score = melody.read(melody.write(take, tmp_path / "take.mid"))
    assert [t.name for t in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert sum(len(t.notes) for t in score.tracks) == sum(len(t.notes) for t in take.score.tracks)
