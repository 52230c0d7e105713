"""Meta events: names and lyrics of a track, and what belongs to the whole piece, gathered over all tracks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from symusic.core import KeySignatureTick, TempoTick, TextMetaTick, TimeSignatureTick
from symusic.core import ScoreTick as Score

from melody.formats.midi.drums import moves_drums
from melody.formats.midi.events import END_OF_TRACK, ESCAPE, SYSEX, Limits, MidiTrack, Repairs
from melody.formats.midi.texts import FALLBACK, as_it_came, ascii_name, decode, original_copyright, original_name

TEXT, COPYRIGHT, TRACK_NAME, INSTRUMENT_NAME, LYRIC, MARKER, CUE = range(1, 8)
SEQUENCER, OWN_ID = 0x7F, b"\x7d"  # an event for one program, and the manufacturer id for non-commercial use
CHANNEL_PREFIX, PORT, SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x20, 0x21, 0x51, 0x58, 0x59
_LAST_TEXT = 0x0F
_SAID_OTHERWISE = (0, END_OF_TRACK, CHANNEL_PREFIX, PORT)  # tracks are in order and apart, whatever number or port
_SMALLEST_UNIT = 6  # a meter's denominator is at most 2 ** 6

_MAPS = {SET_TEMPO: "tempos", TIME_SIGNATURE: "meters", KEY_SIGNATURE: "keys"}

TimeMap = dict[int, tuple[int, ...]]  # tick -> value


class Text(NamedTuple):
    """A text event of the whole piece: a plain text, a copyright notice, a cue, or SEQUENCER: our own words.

    Those last are for programs alone: a plain text would be printed into the score.
    """

    tick: int
    text: str
    kind: int = TEXT  # the type of the meta event


@dataclass
class PieceLabels:
    """Tempos, meters, keys, markers and texts of all tracks, and what was left out."""

    maps: dict[int, TimeMap] = field(default_factory=lambda: {t: {} for t in _MAPS})  # by type of meta event
    markers: dict[tuple[int, str], None] = field(default_factory=dict)  # a set that keeps the order
    texts: dict[Text, None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    contradictions: Counter[str] = field(default_factory=Counter)
    encoding: str = FALLBACK  # of texts that are not UTF-8
    spelt: dict[tuple[int, str], bytes] = field(default_factory=dict)  # their bytes, by kind and text

    def merge(self, kind: int, of_track: TimeMap) -> None:
        """Add a track's tempos, meters or keys where no earlier track has one."""
        for tick, value in of_track.items():
            if self.maps[kind].setdefault(tick, value) != value:
                self.contradictions[_MAPS[kind]] += 1

    def fill(self, score: Score, tempo: int | None) -> None:
        """Give a score the maps and markers; `tempo`, in microseconds a quarter, replaces all others."""
        tempos = {0: (tempo,)} if tempo else self.maps[SET_TEMPO]
        score.tempos = [TempoTick(tick, None, value[0]) for tick, value in sorted(tempos.items())]
        meters, keys = self.maps[TIME_SIGNATURE], self.maps[KEY_SIGNATURE]
        score.time_signatures = [TimeSignatureTick(tick, *meter) for tick, meter in sorted(meters.items())]
        score.key_signatures = [KeySignatureTick(tick, *key) for tick, key in sorted(keys.items())]
        markers = sorted(self.markers, key=lambda marker: marker[0])
        score.markers = [TextMetaTick(tick, text) for tick, text in markers]

    def remarks(self) -> tuple[str, ...]:
        """Return sentences about contradictions and about what was left out."""
        remarks = [
            f"{count:,} {what} in later tracks contradict the first; kept the first"
            for what, count in self.contradictions.items()
        ]
        if self.left_out:
            what = ", ".join(f"{count:,} {what}" for what, count in sorted(self.left_out.items()))
            remarks.append(f"left out: {what}")
        return tuple(remarks)


class Labels(NamedTuple):
    """Name, lyrics and other labels of a track."""

    name: str
    lyrics: list[tuple[int, str]]  # (tick, text)
    others: list[tuple[int, bytes]]  # (tick, message) of events that a score has no field for


def read_metas(track: MidiTrack, number: int, piece: PieceLabels, repairs: Repairs, limits: Limits) -> Labels:
    """The name and lyrics of MIDI track `number`; all that belongs to the piece goes to `piece`."""
    place = f"track {number}"
    names: dict[int, str] = {}
    original: str | None = None
    lyrics: list[tuple[int, str]] = []
    others: list[tuple[int, bytes]] = []
    maps: dict[int, TimeMap] = {kind: {} for kind in _MAPS}
    for tick, kind, payload in track.metas():
        if kind in _MAPS:
            value = _READERS[kind](payload)
            if value is None:
                repairs.add(f"{_MAPS[kind]} that cannot be; left out", f"{place}, tick {tick:,}")
            else:
                maps[kind][tick] = value
        elif kind == SEQUENCER and payload.startswith(OWN_ID):
            words = decode(payload[1:], limits.text_characters, repairs, f"{place}, tick {tick:,}")
            if original is None and (kept := original_name(words)) is not None:
                original = kept
            elif (kept := original_copyright(words)) is not None:
                piece.texts.pop(Text(tick, ascii_name(kept), COPYRIGHT), None)
                piece.texts[Text(tick, kept, COPYRIGHT)] = None
            else:
                piece.texts[Text(tick, words, kind)] = None
        elif TEXT <= kind <= CUE:
            is_name = kind in (TRACK_NAME, INSTRUMENT_NAME)
            where = f"{place}, tick {tick:,}"
            text = decode(payload, limits.text_characters, repairs, where, not is_name, piece.encoding)
            if (raw := as_it_came(payload, limits.text_characters)) is not None:
                piece.spelt[kind, text] = raw
            if is_name:
                if kind == INSTRUMENT_NAME or kind in names:
                    others.append((tick, meta_message(kind, payload)))
                names.setdefault(kind, text.strip())
            elif kind == LYRIC and text:
                lyrics.append((tick, text))
            elif kind == MARKER and text:
                piece.markers[tick, text] = None
            elif kind == TEXT and original is None and (kept := original_name(text)) is not None:  # melody 0.1.0
                original = kept
            elif text:
                piece.texts[Text(tick, text, kind)] = None
        elif kind not in _SAID_OTHERWISE:
            others.append((tick, meta_message(kind, payload)))
    for kind, of_track in maps.items():
        piece.merge(kind, of_track)
    others += _exclusives(track, piece)
    return Labels(original or names.get(TRACK_NAME) or names.get(INSTRUMENT_NAME, ""), lyrics, others)


def _exclusives(track: MidiTrack, piece: PieceLabels) -> Iterator[tuple[int, bytes]]:
    """The system-exclusive events of a track, but those that move the drums: a score's stand on channel 10."""
    for index, payload in track.payloads.items():
        status = track.messages[index] >> 16
        if status == SYSEX and moves_drums(payload):
            piece.left_out["system-exclusive events that move the drum part, as drums stand on channel 10"] += 1
        elif status in (SYSEX, ESCAPE):
            yield track.ticks[index], bytes([status]) + number_bytes(len(payload)) + payload


def meta_message(kind: int, payload: bytes) -> bytes:
    """A meta event without its delta time."""
    return bytes([0xFF, kind]) + number_bytes(len(payload)) + payload


def number_bytes(number: int) -> bytes:
    """A number of up to 28 bits at variable length, seven bits a byte, the highest first."""
    if number < 0x80:
        return bytes([number])
    head = number_bytes(number >> 7)
    return head[:-1] + bytes([head[-1] | 0x80, number & 0x7F])


def texts_of(track: MidiTrack) -> Iterator[bytes]:
    """The bytes of a track's texts of any kind."""
    return (payload for _, kind, payload in track.metas() if TEXT <= kind <= _LAST_TEXT)


def tempo_value(payload: bytes) -> tuple[int, ...] | None:
    """(microseconds a quarter,) of a tempo event; None where it is none."""
    value = int.from_bytes(payload[:3], "big")
    return (value,) if len(payload) >= 3 and value else None


def meter_value(payload: bytes) -> tuple[int, ...] | None:
    """(numerator, denominator) of a time signature; None where it is none."""
    if len(payload) < 2 or not payload[0] or payload[1] > _SMALLEST_UNIT:
        return None
    return payload[0], 1 << payload[1]


def key_value(payload: bytes) -> tuple[int, ...] | None:
    """(sharps, 0 major or 1 minor) of a key signature, flats negative; None where it is none."""
    if len(payload) < 2 or payload[1] > 1:
        return None
    sharps = payload[0] - 256 if payload[0] > 127 else payload[0]
    return (sharps, payload[1]) if -7 <= sharps <= 7 else None


_READERS = {SET_TEMPO: tempo_value, TIME_SIGNATURE: meter_value, KEY_SIGNATURE: key_value}
