"""A take, or a score, as a panel of the page that `melody.render.player` makes: its figures, in words that explain."""

import json
from typing import TYPE_CHECKING, Any

from melody.music.key import estimate_key
from melody.music.score import Score, bars, note_count
from melody.render.player import Figure, Panel, notebook

if TYPE_CHECKING:
    from melody.generation.take import Take

NATS = "how surprising a new note is to the model, on average: the less, the more expected"
IN_TRAINING = "how much of the new music, by figures of eight notes, stands in what the model learned from"
CHORD_TONES = "how much of what sounds on strong beats belongs to the chords asked for"
NATS_AFTER = "how surprising the two bars after the gap are, given what fills it: the less, the better it leads on"
NATS_OF_RETURN = "how surprising the first two bars are behind the last one: the less, the better it leads on"
BREACHES = "what the rules of part-writing and the ranges of the tracks say against it"
UNSET: tuple[Any, ...] = (None, False, "", [], (), {})


def panel(take: "Take", name: str, midi: bytes) -> Panel:
    """Return the panel of a take, whose file is called `name` and holds `midi`."""
    letters = dict(take.sections)
    return Panel(name, take.score, midi, take.first_new_tick, take.resumes_tick, figures(take), settings(take), letters)


def score_panel(score: Score, name: str, midi: bytes) -> Panel:
    """Return the panel of a score that somebody has: notes, bars and key."""
    notes = note_count(score)
    key = estimate_key(score).name if notes else "none"
    shown = [Figure("notes", f"{notes:,}"), Figure("bars", f"{len(bars(score)) - 1:,}"), Figure("key", key)]
    return Panel(name, score, midi, figures=shown)


def figures(take: "Take") -> list[Figure]:
    """Return what is known of a take, as on the command line."""
    found = [Figure("new notes", f"{take.notes:,}")]
    if take.key:
        found.append(Figure("key", take.key))
    found.append(Figure("nats a note", f"{take.nats_per_note:.2f}", NATS))
    if take.in_training is not None:
        found.append(Figure("in training", f"{take.in_training:.1%}", IN_TRAINING))
    if take.chord_tones is not None:
        found.append(Figure("chord tones", f"{take.chord_tones:.0%}", CHORD_TONES))
    if take.nats_after is not None:
        name, means = ("of the return", NATS_OF_RETURN) if take.settings.get("loop") else ("after the gap", NATS_AFTER)
        found.append(Figure(f"nats {name}", f"{take.nats_after:.1f}", means))
    if take.breaches is not None:
        found.append(Figure("breaches", str(take.breaches.total), BREACHES))
        found.append(Figure("candidate", f"{take.candidate} of {take.candidates}"))
    return found


def settings(take: "Take") -> list[tuple[str, str]]:
    """Return the settings of a take by name; the hashes stay in its file."""
    told = {name: value for name, value in take.settings.items() if name not in ("step_graph", "sampling", "primer")}
    told |= take.settings["sampling"]
    told["plan"] = take.settings.get("plan", {}).get("bars")
    told["primer"] = (take.settings["primer"] or {}).get("name")
    return [(name.replace("_", " "), _plain(value)) for name, value in told.items() if value not in UNSET]


def subtitle(take: "Take") -> str:
    """Return the model and the seed."""
    return f"model {take.settings['model']}, seed {take.seed}"


def html(take: "Take") -> str:
    """Return the take for a notebook's cell."""
    name = f"{take.settings['model']}-{take.seed}-{take.number}"
    return notebook(panel(take, name, take.to_midi()), subtitle(take))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
