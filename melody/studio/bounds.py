"""Bounds of the server: what one request may cost, and all of them together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Limits of size, time and parallel work. A request beyond one is refused with its name and a code."""

    body_bytes: int = 8 << 20  # of a request: as much as a MIDI file may have
    session_bytes: int = 64 << 20  # of a session file that is opened, and of one that grows
    bodies_bytes: int = 128 << 20  # of all requests at once
    body_seconds: float = 20.0  # for a request to come in
    answer_seconds: float = 120.0  # for an answer to go out to a client that reads slowly
    requests: int = 64  # at once; beyond them 429
    composers: int = 2  # compositions at once
    waiting: int = 16  # compositions that wait for one of these; beyond them 429
    compose_seconds: float = 120.0  # of a composition
    takes: int = 9
    bars: int = 128  # new ones
    candidates: int = 32  # `best_of` and `beam_width`
    notes: int = 50_000  # of a score
    shelf_bytes: int = 48 << 20  # of MIDI files in memory
    open_scores: int = 32  # of these, read and ready
    sound_bytes: int = 192 << 20  # of rendered tracks in memory
    track_seconds: float = 2400.0  # of all tracks of a score that sounds
    excerpts: int = 3  # that are rendered at once; beyond them 429
    sounding: int = 8  # scores that wait to be rendered; beyond them 429
    listening_seconds: float = 1800.0  # to a MIDI port
    sessions: int = 500
    states: int = 5000  # of a session
