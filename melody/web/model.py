"""A model for the page that composes by itself: what it needs of a bundle, as arrays and facts.

The rules, the plan and the tokens before the new music are those that `prepare` makes of a piece from nothing. Of these
only the rule of exact bars and the plan know how many bars are asked for; the page puts the number there, 2 or more: a
single bar is no piece that begins with a pickup. The plan of bars is drawn in the page, from the same random numbers
(`page/planner.js`), and so are the chords, as soon as key and meter are known (`page/harmonist.js`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import open_engine
from melody.engine.adapted import step_graph_of
from melody.engine.native_weights import CoreWeights, read_weights
from melody.errors import UsageError
from melody.generation.form import BEGIN
from melody.generation.prepared import Prepared, prepare
from melody.generation.rules.contract import Rule
from melody.generation.rules.native_form import FORMS, form_of
from melody.generation.settings import Settings
from melody.tokens import harmonist
from melody.tokens.harmony import WAITS
from melody.tokens.native_reader import NativeReader
from melody.tokens.plan import LAGS, LIKES
from melody.tokens.plan_limits import APART, LEAVE, MOST_REST, MOST_SAID, RIFF
from melody.tokens.planner import CASTS, FILLED, LONG_FILL, MOST_TRACKS
from melody.tokens.small_lstm import WIDTH
from melody.tokens.vocabulary import MAX_DURATION, METERS, TEMPOS, VELOCITIES

_CODES = {"int8": "i1", "uint8": "u1", "int16": "i2", "int32": "i4", "float32": "f4"}
_ALIGNED = 8


@dataclass
class Packed:
    """Arrays one after the other, and where each stands: its type, first byte and number of values."""

    index: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)

    def add(self, name: str, array: NDArray[Any]) -> str:
        """Put an array behind the others; return its name."""
        self.data += bytes(-len(self.data) % _ALIGNED)
        self.index[name] = (_CODES[array.dtype.name], len(self.data), array.size)
        self.data += np.ascontiguousarray(array).tobytes()
        return name


def page_model(bundle: Bundle) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a model for the page, and its arrays. Raises `UsageError` for one that it cannot serve."""
    try:
        graph = step_graph_of(bundle) if bundle.has_step_graph else None
        if graph is None:
            raise ValueError("this kind of model has no step graph")
        weights, engine = read_weights(graph), open_engine(bundle, "native")
        if weights.shapes.beside:
            raise ValueError("nothing runs the encoder of this kind of model")
    except ValueError as error:
        raise UsageError(f"{bundle.name}: the page steps models by the native core, and here {error}") from error
    prepared = prepare(bundle, engine, None, Settings())
    native = prepared.prefix.native
    if native is None:
        raise UsageError(f"{bundle.name}: its tokens or channels are unknown to the native core; try folk or drums")
    if any(form_of(rule).name == FORMS[0] for rule in prepared.rules):
        raise UsageError(f"{bundle.name}: a rule of its style has no form in the native core; try folk or drums")
    packed = Packed()
    facts = {
        **_about(prepared.bundle),
        **_weights(weights, [*bundle.layer_bits], packed),
        **_reading(prepared, native, packed),
        "carry": packed.add("carry", engine.start(1)[0]),
        "rules": [_rule(rule, place, packed) for place, rule in enumerate(prepared.rules)],
        "bars_rule": _place_of("exact bars", prepared.rules),
        "planner": _planner(prepared, packed),
        "harmonist": _harmonist(prepared, packed),
    }
    return facts | {"index": packed.index}, bytes(packed.data)


def _about(bundle: Bundle) -> dict[str, Any]:
    ids = bundle.tokenizer.vocabulary.ids
    return {
        "name": bundle.name,
        "description": bundle.settings["description"],
        "licence": bundle.settings["licence"],
        "tempo_qpm": bundle.tempo_qpm,
        "vocabulary": {
            "kinds": [(kind, span.start) for kind, span in ids.items()],
            "meters": METERS,
            "tempos": TEMPOS,
            "velocities": VELOCITIES,
            "sustain": MAX_DURATION,
            "tracks": [{"name": track.name, "drums": track.drums} for track in bundle.tracks],
        },
    }


def _weights(weights: CoreWeights, layer_bits: Sequence[int], packed: Packed) -> dict[str, Any]:
    """Add the step's weights, as the step graph has them."""
    packed.add("table", weights.table.values)
    packed.add("table_scales", weights.table.scales)
    packed.add("table_places", weights.table.places)
    packed.add("first", weights.first)
    head = weights.intervals
    linears = [*weights.layers, weights.head, *([head.linear] if head else [])]
    for place, linear in enumerate(linears):
        packed.add(f"values_{place}", linear.values)
        packed.add(f"scales_{place}", linear.scales)
        packed.add(f"bias_{place}", linear.bias)
    if head:
        packed.add("interval_columns", head.columns)
        packed.add("interval_first", head.first)
        packed.add("interval_places", head.places)
    shapes = weights.shapes
    bits = [*layer_bits[: len(weights.layers)], *[8] * len(linears)]
    sizes = {"width": weights.table.values.shape[1], "layers": len(weights.layers)}
    return {
        "sizes": sizes | {"channels": shapes.channels, "vocabulary": shapes.vocabulary},
        "matrices": [
            {"outputs": one.values.shape[0], "blocks": one.values.shape[1], "bits": own}
            for one, own in zip(linears, bits, strict=False)
        ],
        "intervals": head
        and {
            "references": len(head.columns),
            "pitches": head.places.shape[1],
            "first_pitch": head.first_pitch,
            "values": len(head.places),
        },
    }


def _reading(prepared: Prepared, native: NativeReader, packed: Packed) -> dict[str, Any]:
    """Return what is read before the new music, and what is known of it."""
    outset, sampling = native.outset, prepared.settings.sampling
    packed.add("columns", outset.columns)
    if outset.foreseen is not None:
        packed.add("foreseen", outset.foreseen)
    names = ("stop", "key_told", "whole", "had_pickup", "foreseen_ticks")
    return {
        "ids": prepared.ids,
        "bar": prepared.bundle.tokenizer.vocabulary.ids["Bar"][0],
        "plan": {name: getattr(outset.plan, name) for name in names},
        "sampling": {name: getattr(sampling, name) for name in ("temperature", "top_k", "top_p", "min_p")},
    }


def _rule(rule: Rule, place: int, packed: Packed) -> dict[str, Any]:
    """A rule as core/rules.h has it."""
    form = form_of(rule)
    mask, table = (
        None if array is None else packed.add(f"{name}_{place}", np.asarray(array, kind))
        for name, array, kind in (("mask", form.mask, np.uint8), ("rows", form.table, np.int32))
    )
    count, width = (0, 0) if form.table is None else form.table.shape
    numbers: Sequence[int] = [*map(int, form.numbers), *[0] * (5 - len(form.numbers))]
    return {"kind": FORMS.index(form.name), "numbers": numbers, "count": count, "width": width} | {
        "mask": mask,
        "table": table,
    }


def _place_of(name: str, rules: Sequence[Rule]) -> int | None:
    return next((place for place, rule in enumerate(rules) if form_of(rule).name == name), None)


def _planner(prepared: Prepared, packed: Packed) -> Mapping[str, Any] | None:
    """Add the weights of the planner of bars, where the model is told of a plan."""
    form = prepared.form
    if form is None:
        return None
    weights = form.planner.weights
    for name, array in weights.items():
        packed.add(f"planner_{name}", (array >= 0.5).astype(np.uint8) if name == CASTS else array)
    return {
        "weights": list(weights),
        "width": WIDTH,
        "lags": LAGS,
        "likes": LIKES,
        "meter": form.meter,
        "pickup_drawn": form.pickup_drawn,
        "ends_anew": form.ends_anew,
        "loops_on": form.loops_on,
        "tracks": len(form.known.tracks),
        "most_tracks": MOST_TRACKS,
        "rhythm": form.rhythm,
        "begin": BEGIN,
        "together": sorted(form.together),
        "most_rest": MOST_REST,
        "most_said": MOST_SAID,
        "riff": RIFF,
        "apart": APART,
        "hold": form.hold,
        "leave": LEAVE,
        "filled": sorted(FILLED.items(), reverse=True),
        "long_fill": LONG_FILL,
    }


def _harmonist(prepared: Prepared, packed: Packed) -> Mapping[str, Any] | None:
    """Add the weights of the harmonist, where the model is told of its chords."""
    chords = prepared.chord_plan
    if chords is None:
        return None
    for name, array in chords.harmonist.weights.items():
        packed.add(f"harmonist_{name}", array)
    return {
        "weights": list(chords.harmonist.weights),
        "width": WIDTH,
        "ago": harmonist.AGO,
        "waits": WAITS,
        "likes": LIKES,
        "halves": chords.rate == "halves",
        "closes": chords.closes,
        "ends_at_home": chords.ends_at_home and chords.closes,
        "temperature": chords.temperature if chords.plans == 1 else 1.0,
        "plans": chords.plans,
        "pitched": sorted(chords.pitched),
    }
