"""A file composed from a MIDI primer compared with it, as mido reads both: the promise that nothing is lost.

Times are exact fractions of a quarter. Channels are not compared (each track has one of its own), nor the order of
tracks. Behind the seam nothing of the primer may act.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mido

from melody.formats.midi.texts import ascii_name

TEXTS = ("text", "copyright", "lyrics", "marker", "cue_marker", "instrument_name", "device_name")
LABELS = ("smpte_offset", "sequencer_specific", "unknown_meta")
MAPS = ("set_tempo", "time_signature", "key_signature")
ACTING = ("control_change", "pitchwheel", "aftertouch", "polytouch")
SETTINGS = (0, 6, 32, 38, 98, 99, 100, 101)
NEAR = Fraction(1, 6)  # within it a note may be played early or late, and belong to the bar on the other side

Timed = tuple[Fraction, Any]


def events(data: bytes) -> list[Timed]:
    """(quarter, message) of all tracks, in order of time."""
    file = mido.MidiFile(file=io.BytesIO(data), charset="latin-1")
    found = []
    for track in file.tracks:
        now = 0
        for message in track:
            now += message.time
            found.append((Fraction(now, file.ticks_per_beat), message))
    return sorted(found, key=lambda event: event[0])


def losses(primer: bytes, written: bytes, seam: Fraction) -> list[str]:
    """Return what is missing, a line a kind; `seam` is the quarter at which new music begins."""
    given, kept = events(primer), events(written)
    new = [event for event in kept if _is_on(event[1]) and event[0] >= seam]
    old = [event for event in kept if event not in new]
    lost = {
        "notes": Counter(_ons(given)) - Counter(_ons(old)),
        "notes that nobody gave": Counter(_ons(old)) - Counter(_ons(given)),
        "note-offs": Counter(_offs(given)) - Counter(_offs(kept)),
        "controllers, bends, pressures": Counter(_acting(given, seam)) - Counter(_acting(kept, seam)),
        "acting behind the seam": Counter(_acting_behind(kept, seam)),
        "texts": Counter(_texts(given, seam)) - Counter(_texts(kept, seam)),
        "tempos, meters, keys": set(_maps(given, seam)) - set(_maps(kept, seam)),
        "system-exclusive events": Counter(_exclusives(given, seam)) - Counter(_exclusives(kept, seam)),
        "names": [name for name in _names(given) if not any(other.startswith(name) for other in _names(kept))],
        "hanging at the seam": list(_hanging(kept, seam)),
    }
    return [f"{what}: {[*found][:4]}" for what, found in lost.items() if found]


def states(data: bytes) -> list[tuple[Any, ...]]:
    """(quarter, pitch, velocity, bend, controllers) of each note, as its channel stands once its tick is over.

    Settings that choose what others mean (banks, data entry) are left out.
    """
    bend, controls = Counter[int](), defaultdict[int, dict[int, int]](dict)
    found, waiting, now = [], list[Any](), Fraction(0)
    for time, m in [*events(data), (Fraction(1 << 40), None)]:
        if time != now:
            found += [(now, n.note, n.velocity, bend[n.channel], dict(controls[n.channel])) for n in waiting]
            waiting, now = [], time
        if m is None:
            break
        if m.type == "pitchwheel":
            bend[m.channel] = m.pitch
        elif m.type == "control_change" and m.control not in SETTINGS:
            controls[m.channel][m.control] = m.value
        elif _is_on(m):
            waiting.append(m)
    return found


def changed_states(primer: bytes, written: bytes, around: tuple[Fraction, Fraction]) -> list[str]:
    """Notes of the primer, outside the stretch that is composed anew, that sound otherwise than they did."""
    first, last = around[0] - NEAR, around[1] + NEAR
    kept = defaultdict[Any, list[tuple[int, dict[int, int]]]](list)
    for time, pitch, velocity, bend, controls in states(written):
        kept[time, pitch, velocity].append((bend, controls))
    return [
        f"{time}: pitch {pitch}, bend {bend}, {controls} became {kept[time, pitch, velocity]}"
        for time, pitch, velocity, bend, controls in states(primer)
        if not first <= time < last and not any(_same(bend, controls, *other) for other in kept[time, pitch, velocity])
    ]


def _same(bend: int, controls: dict[int, int], other_bend: int, others: dict[int, int]) -> bool:
    return bend == other_bend and all(others.get(number) == value for number, value in controls.items())


def _is_on(message: Any) -> bool:
    return message.type == "note_on" and message.velocity > 0


def _ons(found: list[Timed]) -> Iterator[tuple[Any, ...]]:
    return ((time, m.note, m.velocity) for time, m in found if _is_on(m))


def _offs(found: list[Timed]) -> Iterator[tuple[Any, ...]]:
    return ((time, m.note) for time, m in found if m.type in ("note_on", "note_off") and not _is_on(m))


def _key(message: Any) -> tuple[Any, ...]:
    values = message.dict()
    return tuple(value for name, value in values.items() if name not in ("time", "channel"))


def _acting(found: list[Timed], seam: Fraction) -> Iterator[tuple[Any, ...]]:
    return ((time, *_key(m)) for time, m in found if m.type in ACTING and time <= seam)


def _acting_behind(found: list[Timed], seam: Fraction) -> Iterator[tuple[Any, ...]]:
    return ((time, *_key(m)) for time, m in found if m.type in (*ACTING, "sysex") and time > seam)


def _exclusives(found: list[Timed], seam: Fraction) -> Iterator[tuple[Any, ...]]:
    return ((time, tuple(m.data)) for time, m in found if m.type == "sysex" and time <= seam)


def _maps(found: list[Timed], seam: Fraction) -> Iterator[tuple[Any, ...]]:
    for time, m in found:
        if m.type in MAPS and time < seam:
            value = (m.numerator, m.denominator) if m.type == "time_signature" else _key(m)
            yield time, m.type, value


def _texts(found: list[Timed], seam: Fraction) -> Iterator[tuple[Any, ...]]:
    """(quarter, type, bytes): of those behind the seam at it, of UTF-16 and copyrights as melody may write them."""
    for time, m in found:
        if m.type in TEXTS:
            words = (m.name if "name" in m.type else m.text).encode("latin-1")
            yield min(time, seam), m.type, _as_written(m.type, words)
        elif m.type in LABELS and not bytes(m.data if hasattr(m, "data") else b"").startswith(b"\x7d"):
            yield min(time, seam), *_key(m)


def _as_written(kind: str, words: bytes) -> bytes:
    if words[:2] == b"\xff\xfe" and kind in ("text", "lyrics", "marker", "cue_marker"):
        return words[2:].decode("utf-16-le").encode()
    if kind == "copyright":
        return words.replace(b"\xc2\xa9", b"(c)").replace(b"\xa9", b"(c)")
    return words


def _names(found: list[Timed]) -> list[str]:
    """Names of tracks in plain ASCII; those that it cannot say are written otherwise, and kept beside."""
    names = [m.name.encode("latin-1") for _, m in found if m.type == "track_name"]
    texts = [n.decode("utf-16" if n[:2] == b"\xff\xfe" else "utf-8") for n in names]
    return [name for name in map(ascii_name, texts) if name.strip() and "?" not in name]


def _hanging(found: list[Timed], seam: Fraction) -> Iterator[str]:
    """Yield what acts on a new note, as it stands on its channel when the note begins."""
    bend, pedals = Counter[int](), defaultdict[int, Counter[int]](Counter)
    for time, m in sorted(found, key=lambda event: (event[0], _is_on(event[1]))):
        if m.type == "pitchwheel":
            bend[m.channel] = m.pitch
        elif m.type == "control_change" and m.control in (64, 66, 69):
            pedals[m.channel][m.control] = m.value
        elif _is_on(m) and time >= seam and (bend[m.channel] or any(pedals[m.channel].values())):
            yield f"at {time}: bend {bend[m.channel]}, pedals {dict(pedals[m.channel])}"
