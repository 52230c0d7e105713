"""Rules of a style, which a bundle names in its settings: what its music keeps so strictly that takes are held to it.

They are rules as in `melody.generation.rules.contract`: where one leaves nothing, it yields.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from melody.errors import UsageError
from melody.generation.rules.contract import CountedRule, Mask, Rule, without
from melody.generation.rules.fills import PlayFills
from melody.generation.rules.fixed_notes import lasting_between
from melody.generation.rules.harmony import leading_notes, own_scale, planned_chords, planned_phrases
from melody.generation.rules.loudness import OneLoudness
from melody.generation.rules.native_form import KnownRule, NativeForm
from melody.generation.rules.returns import HELD, PLAYED, KeepReturns
from melody.generation.rules.rhythms import KeepRhythms
from melody.generation.rules.timekeeping import KeepTime
from melody.generation.rules.voices import Voices
from melody.music.chords import Chord
from melody.music.score import GRID, Score, has_strong_middle, notes_of
from melody.music.voice_leading import parallels, slices
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import EMPTY
from melody.tokens.vocabulary import MAX_DURATION, METERS

FIFTH, OCTAVE = 7, 12


def no_parallels(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """No two voices that move go from a fifth to a fifth, or from an octave or unison to another.

    The oldest rule of counterpoint (Fux 1725): such voices cease to be two. All tracks are voices from high to low, as
    in `melody.music.voice_leading.parallels`; a voice that rests right before, or stays, makes no parallel.
    """
    pitches = vocabulary.ids["Pitch"].start

    def rule(reader: Reader) -> Mask | None:
        before = dict(reader.before)
        if not reader.now or reader.track not in before:
            return None
        mine, forbidden = before[reader.track], []
        for voice, pitch in reader.now:
            if voice == reader.track or pitch == before.get(voice, pitch):
                continue
            sign = 1 if voice < reader.track else -1  # intervals are the upper voice's above the lower
            interval = sign * (before[voice] - mine) % OCTAVE
            if interval in (0, FIFTH):
                forbidden.append((pitch - sign * interval) % OCTAVE)
        return _without_classes(vocabulary, pitches, forbidden, mine) if forbidden else None

    def count(score: Score) -> int:
        lines = [notes_of(score.tracks[track]) for track in voices.tracks if track < len(score.tracks)]
        return len(parallels(slices([line for line in lines if len(line.onset)])))

    return CountedRule(rule, count, NativeForm("no parallels"))


def _without_classes(vocabulary: Vocabulary, start: int, classes: list[int], kept: int) -> Mask:
    """All but the pitches of some classes; the pitch `kept` stays, since a voice that does not move is free."""
    mask = np.ones(len(vocabulary), bool)
    for one in classes:
        mask[start + one : start + 128 : OCTAVE] = False
    mask[start + kept] = True
    return mask


@dataclass(frozen=True)
class _Ending(KnownRule):
    """A rule that leads on to the last chord, and from it to the end, where the model would pass them by."""

    way_on: Callable[[Reader], tuple[int, Mask] | None]

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads on here and those (V,) whose mass it gets; None where there is none."""
        return self.way_on(reader)


def tonic_ending(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """The last chord is the tonic triad over its root, on a strong beat of the last bar, in all tracks together.

    Where chords are asked for it is the last of them; where notes are fixed it comes with the last one, if that is
    later. Strong beats are the first and, in bars of four, eight or twelve units, the middle. In minor the third may be
    major (Picardy). For single lines from high to low, in a piece whose number of bars and key are known.
    """
    own = sorted(set(voices.tracks) - voices.fixed)
    ids = vocabulary.ids
    pitches, positions = ids["Pitch"].start, ids["Position"]
    track_ids, end = ids["Track"].start, ids["End"][0]
    no_track, no_pitch = without(vocabulary, "Track"), without(vocabulary, "Pitch", "Velocity")

    def ending(reader: Reader) -> tuple[_Closing, int, list[int]] | None:
        """Return the last chord, when it closes and in which tracks, where it is near."""
        free = [track for track in own if not (_returns(reader, track) or _is_silent(reader, track))]
        total, key = reader.plan.bars, reader.planned_key
        if total is None or key is None or not free or not 0 <= reader.bar < total:
            return None
        left, under_way = total - 1 - reader.bar, reader.kind in ("Pitch", "Sustain")
        close = max(reader.bar_start + left * reader.bar_ticks + _middle(reader), voices.last_fixed)  # at the latest
        if close - reader.tick - reader.length > MAX_DURATION if under_way else left:
            return None  # it is still far
        if under_way and _returns(reader, reader.track):
            return None
        asked = voices.chord_at(close)
        chord = _Closing(*key, bass=max(voices.tracks)) if asked is None else _asked(asked, max(voices.tracks))
        return chord, close, free

    def rule(reader: Reader) -> Mask | None:
        if (found := ending(reader)) is None:
            return None
        chord, close, free = found
        under_way = reader.kind in ("Pitch", "Sustain")
        return _length(vocabulary, reader, chord, close) if under_way else closing(reader, chord, close, free)

    def way_on(reader: Reader) -> tuple[int, Mask] | None:
        if (found := ending(reader)) is None or reader.kind in ("Pitch", "Sustain"):
            return None
        chord, close, free = found
        ringing = {track for until, track, pitch in reader.active if until > close and chord.fits(track, pitch)}
        lacking = [track for track in free if track not in ringing]
        passing = ~without(vocabulary, "Position", "Bar")
        if reader.tick < close and lacking:
            target = positions.start + close - reader.bar_start
            passing[positions.start : target + 1] = False
            return target, passing
        if reader.tick != close or reader.position < 0:
            return None
        if lacking:
            passing[end] = passing[track_ids + lacking[0] + 1 : ids["Track"].stop] = True
            return track_ids + lacking[0], passing
        return None if any(_returns(reader, track) for track in own) else (end, passing)

    def closing(reader: Reader, chord: _Closing, close: int, free: Sequence[int]) -> Mask:
        """Return the tokens that may follow in the last bar, where no note is under way."""
        standing = [(track, pitch) for until, track, pitch in reader.active if until > reader.tick]
        others = [track for track in own if _returns(reader, track)]
        mask = np.ones(len(vocabulary), bool)
        if reader.tick > close:  # the chord has closed; only what returns plays to its end
            mask[[track_ids + track for track in own if track not in others]] = False
            return mask if reader.track in others or reader.track not in (-1, *own) else mask & no_pitch
        fitting = {track for track, pitch in standing if chord.fits(track, pitch)}
        missing = [track for track in free if track not in fitting]
        ringing = {track for until, track, pitch in reader.active if until > close and chord.fits(track, pitch)}
        goes_on = bool(others) and ringing.issuperset(free)
        mask[positions.start + close - reader.bar_start + 1 : positions.stop] = goes_on
        mask[end] = not missing and (reader.tick >= close or reader.position in (0, _middle(reader)))
        if reader.tick == close and reader.position >= 0 and missing:  # the voices close one after the other
            mask &= no_track
            before = [track for track in others if track < missing[0]]  # tracks at a place are in order
            mask[[track_ids + track for track in (missing[0], *before)]] = True
            if reader.track in before:
                return mask
            mask = mask & no_pitch if reader.track != missing[0] else mask
            third = {(pitch - chord.tonic) % OCTAVE for _, pitch in standing} & {3, 4} if chord.minor else set()
            for pitch_class in set(range(OCTAVE)) - chord.classes(reader.track, third):
                mask[pitches + pitch_class : pitches + 128 : OCTAVE] = False
        return mask

    chords = [(span.start, *_spelled(span.chord)) for span in voices.chords]
    numbers = sum(1 << track for track in own), max(voices.tracks, default=-1), voices.last_fixed
    form = NativeForm("tonic ending", numbers, table=np.array(chords).reshape(-1, 3))
    return _Ending(rule, form, way_on)


def _spelled(chord: Chord | None) -> tuple[int, int]:
    """The class of a chord's bass, -1 without one, and those of its notes as bits."""
    return (-1, 0) if chord is None else (chord.bass, sum(1 << one for one in chord.classes))


def _returns(reader: Reader, track: int) -> bool:
    """Return True where a track's bar returns, and ends as it ended before."""
    return reader.planned(track).is_copy


def _is_silent(reader: Reader, track: int) -> bool:
    """Return True where a track is planned to be silent in this bar."""
    form = reader.plan.form
    return reader.planned(track) == EMPTY and form is not None and bool(form.tracks)


@dataclass(frozen=True)
class _Closing:
    """The last chord: the tonic triad, in which the bass has the root, or the chord that is asked for."""

    tonic: int
    minor: bool
    bass: int  # the track
    asked: Chord | None = None

    def classes(self, track: int, third: Collection[int] = ()) -> set[int]:
        """Return the pitch classes that a track may have; `third` is the one (3 or 4) that another track has taken."""
        if self.asked:
            return {self.asked.bass} if track == self.bass else set(self.asked.classes)
        thirds = tuple(third)[:1] or ((3, 4) if self.minor else (4,))
        steps = (0,) if track == self.bass else (0, *thirds, 7)
        return {(self.tonic + step) % OCTAVE for step in steps}

    def fits(self, track: int, pitch: int) -> bool:
        """Return True where a note may sound in the last chord."""
        return pitch % OCTAVE in self.classes(track)


def _asked(chord: Chord, bass: int) -> _Closing:
    return _Closing(chord.root, False, bass, chord)


def _middle(reader: Reader) -> int:
    """The last strong beat of the bar, in ticks from its beginning."""
    return reader.bar_ticks // 2 if has_strong_middle(METERS[reader.meter][0]) else 0


def _length(vocabulary: Vocabulary, reader: Reader, chord: _Closing, close: int) -> Mask | None:
    """Lengths of the note under way: a foreign one makes room for the last chord, as does a bass from a weak beat."""
    past = reader.tick + reader.length
    if reader.tick < close:
        is_weak = reader.tick > reader.bar_start or close >= reader.bar_start + reader.bar_ticks
        stays = chord.fits(reader.track, reader.pitch) and not (reader.track == chord.bass and is_weak)
        return None if stays else lasting_between(vocabulary, 1, close - past)
    if reader.tick > close:
        return None
    closed = {track for track, _ in reader.now[:-1]}
    ends = [until for until, track, _ in reader.active if track in closed]
    if ends:
        return lasting_between(vocabulary, ends[0] - past, ends[0] - past)
    held = max((until for until, _, _ in reader.active), default=0)
    rest = reader.bar_start + reader.bar_ticks - close  # of the bar: the last chord takes half of it, or more
    return lasting_between(vocabulary, max(held, reader.tick + max(GRID, rest // 2)) - past, None)


def style_rules(names: Sequence[str], vocabulary: Vocabulary, voices: Voices) -> list[Rule]:
    """Return the rules of these names. Raises `UsageError` for an unknown one."""
    for name in names:
        if name not in STYLE_RULES:
            raise UsageError(f"style rule {name!r} is unknown; there are: {', '.join(STYLE_RULES)}")
    return [STYLE_RULES[name](vocabulary, voices) for name in names]


def planned_returns(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Bars of a track that are planned as others have the notes of those, see `melody.generation.rules.returns`."""
    return KeepReturns(vocabulary, dict.fromkeys(set(voices.tracks) - voices.fixed, HELD))


def played_returns(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Bars return as by `planned_returns`, but less exactly, in music that is played; of a band those of its drums."""
    drums = set(voices.tracks) if voices.drums is None else {voices.drums}
    free = set(voices.tracks) - voices.fixed
    return KeepReturns(vocabulary, {track: PLAYED if track in drums else HELD for track in free})


def planned_rhythms(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Tracks rest as planned, and pitched ones keep their rhythm, see `melody.generation.rules.rhythms`."""
    free = set(voices.tracks) - voices.fixed
    drums = -1 if voices.drums is None or voices.drums not in free else voices.drums
    bass = -1 if voices.bass is None else voices.bass
    return KeepRhythms(vocabulary, free - {drums}, drums, not voices.fixed, bass)


def planned_fills(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Drums fill the end of four bars where their plan varies it, see `melody.generation.rules.fills`."""
    drums = -1 if voices.drums is None or voices.drums in voices.fixed else voices.drums
    return PlayFills(vocabulary, drums)


def kept_time(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Drums keep time in new bars, see `melody.generation.rules.timekeeping`."""
    drums = -1 if voices.drums is None or voices.drums in voices.fixed else voices.drums
    return KeepTime(vocabulary, drums, voices.in_thirds, voices.drums_given)


def one_loudness(vocabulary: Vocabulary, voices: Voices) -> Rule:
    """Voices grow loud and soft together, see `melody.generation.rules.loudness`."""
    return OneLoudness(vocabulary, set(voices.tracks) - voices.fixed)


STYLE_RULES: Mapping[str, Callable[[Vocabulary, Voices], Rule]] = {
    "kept_time": kept_time,
    "leading_notes": leading_notes,
    "no_parallels": no_parallels,
    "one_loudness": one_loudness,
    "own_scale": own_scale,
    "planned_chords": planned_chords,
    "planned_fills": planned_fills,
    "planned_phrases": planned_phrases,
    "planned_returns": planned_returns,
    "planned_rhythms": planned_rhythms,
    "played_returns": played_returns,
    "tonic_ending": tonic_ending,
}
