"""Whether a primer is the kind of music that a model knows, by what it costs while it is read.

A model that has learned four voices expects all four: one or two alone surprise it at every note, and what it writes
on from there is weak. On music of its kind it needs up to twice the nats a note of its held-out pieces; voices that are
missing cost five to eight times as much.
"""

from collections.abc import Sequence
from shlex import quote

from melody.bundle import Bundle
from melody.generation.primer.primer_view import Primer
from melody.generation.ranges import listed

STRANGE = 3.0  # times the nats a note of the model's held-out pieces
LEAST_NOTES = 12


def unlike_training(nats: float, ids: Sequence[int], primer: Primer, bundle: Bundle) -> str:
    """One line where the music read (`ids` at `nats` together) is strange to a model, with what to try; else empty."""
    kind_of = bundle.tokenizer.vocabulary.kind_of
    notes = sum(kind_of[token] in ("Pitch", "Drum") for token in ids)
    own = bundle.settings.get("scores", {}).get("test_nats_per_note")
    if own is None or notes < LEAST_NOTES or nats < STRANGE * own * notes:
        return ""
    used = primer.view.tracks
    silent = [info.name for place, info in enumerate(bundle.tracks) if not info.drums and place not in used]
    remedy = "another model may suit it better (without `model`, melody chooses)"
    if silent:
        names = primer.names
        mine = [quote(names[track] or str(track + 1)) for track in sorted(set(used.values()))]
        options = " ".join(f"`with_tracks` {name}" for name in mine)
        remedy = f"{options} composes {listed(silent)} around it, or {remedy}"
    return f"{bundle.name} finds this music strange: {nats / notes:.1f} nats a note, its own kind {own:.1f}; {remedy}"
