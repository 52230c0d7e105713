"""Generated scores for property tests, and scores written as plain tuples, to be compared and read in failures."""

from fractions import Fraction

from hypothesis import strategies as st
from symusic import KeySignature, Note, Tempo, TimeSignature, Track

from melody.music.score import GRID, Score

RESOLUTIONS = (1, 24, 96, 100, 120, 220, 384, 480, 960)
METERS = ((1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 8), (7, 8), (12, 8), (3, 16), (3, 32), (2, 2), (3, 1), (12, 4))
PROGRAMS = (0, 0, 0, 40, 52, 127, -1, -9)  # several tracks of one program are common; negative: drums
PARTS = tuple(Fraction(p) for p in ("0", "1/2", "1/4", "1/3", "2/3", "1/8", "7/8", "1/6", "5/24", "1/32", "1/7"))
LENGTHS = (0, *PARTS[1:8], 1, Fraction(3, 2), 2, 3, 4, Fraction(97, 24), 8, Fraction(49, 3), 40)  # quarters

Content = tuple[object, ...]


def content(score: Score) -> Content:
    """All that a score holds of music, as tuples: resolution, meters, keys, tempos, and the tracks."""
    return (
        score.tpq,
        [(c.time, c.numerator, c.denominator) for c in score.time_signatures],
        [(k.time, k.key, k.tonality) for k in score.key_signatures],
        [(t.time, t.mspq) for t in score.tempos],
        [(t.program, t.is_drum, rows(t)) for t in score.tracks],
    )


def rows(track: Track) -> list[tuple[int, int, int, int]]:
    """The notes of a track as (onset, duration, pitch, velocity), in the order in which they stand."""
    return [(n.time, n.duration, n.pitch, n.velocity) for n in track.notes]


def _note(code: tuple[int, ...], tpq: int, quarters: int) -> Note:
    """A note from six bytes: mostly on musical subdivisions, sometimes anywhere; often of a few pitches."""
    quarter, part, anywhere, length, pitch, velocity = code
    fraction = PARTS[part % 16] if part % 16 < len(PARTS) else Fraction(anywhere, 256)
    onset = round((quarter % quarters + fraction) * tpq)
    pitch = (60, 60, 64, 67)[pitch % 4] if pitch < 128 else pitch - 128
    return Note(onset, round(LENGTHS[length % len(LENGTHS)] * tpq), pitch, velocity % 128)


def tracks(tpq: int, quarters: int) -> st.SearchStrategy[Track]:
    """A track of up to 16 notes: chords, overlaps and duplicates among them; a quarter of the tracks are drums."""

    def track(program: int, data: bytes) -> Track:
        result = Track("Voice", abs(program), program < 0)
        codes = zip(*[iter(data)] * 6, strict=False)  # one draw for all notes: a draw a value is ten times slower
        result.notes.extend([_note(code, tpq, quarters) for code in codes])
        return result

    codes = st.sampled_from((0, 1, 2, 4, 8, 16)).flatmap(lambda n: st.binary(min_size=6 * n, max_size=6 * n))
    return st.builds(track, st.sampled_from(PROGRAMS), codes)


@st.composite
def meter_maps(draw: st.DrawFn, tpq: int) -> list[TimeSignature]:
    """A pickup or not, meters that hold for some bars, and now and then a change inside a bar."""
    tick = draw(st.sampled_from((0, 0, 0, tpq)))  # without a meter at the start, 4/4 is understood
    changes = []
    for meter in draw(st.lists(st.sampled_from(METERS), max_size=4)):
        changes.append(TimeSignature(tick, *meter))
        whole = draw(st.integers(1, 4)) * Fraction(4 * tpq * meter[0], meter[1])
        inside = draw(st.sampled_from((Fraction(0),) * 3 + PARTS[1:])) * tpq
        tick += max(1, round(whole + inside))
    return changes[::-1] if draw(st.booleans()) else changes  # order in the file does not matter


@st.composite
def scores(draw: st.DrawFn, resolutions: tuple[int, ...] = RESOLUTIONS) -> Score:
    """A whole score of up to four tracks and 24 quarters, with all that MIDI files are known to bring."""
    tpq = draw(st.sampled_from(resolutions))
    quarters = draw(st.sampled_from((4, 24)))
    score = Score(tpq)
    count = draw(st.integers(0, 4))
    score.tracks = draw(st.lists(tracks(tpq, quarters), min_size=count, max_size=count))
    score.time_signatures = draw(meter_maps(tpq))
    times = st.integers(0, (quarters + 8) * 4).map(lambda sixteenths: sixteenths * tpq // 4)
    tempos = st.builds(lambda time, qpm: Tempo(time, qpm=qpm), times, st.integers(5, 1000))
    keys = st.builds(KeySignature, times, st.integers(-7, 7), st.integers(0, 1))
    score.tempos = draw(st.lists(tempos, max_size=3))
    score.key_signatures = draw(st.lists(keys, max_size=3))
    return score


def grid_score(*notes: tuple[int, int, int, int], drums: bool = False, program: int = 0) -> Score:
    """One track on the grid with notes (onset, duration, pitch, velocity), in 4/4."""
    score = Score(GRID)
    score.tracks.append(Track("", program, drums))
    score.tracks[0].notes.extend([Note(*note) for note in notes])
    return score
