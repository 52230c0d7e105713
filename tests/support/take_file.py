"""A take as a file for `take_runner.c`: the model, what it has read, its plan, rules and seed, array after array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.generation.prepared import Prepared
from melody.generation.seeds import Seed
from melody.tokens.plan import FormPlan
from melody.web.model import page_model

TYPES = {"i1": np.int8, "u1": np.uint8, "i2": np.int16, "i4": np.int32, "f4": np.float32}
NO_ARRAY = np.zeros(0, np.uint8)


def take_file(bundle: Bundle, prepared: Prepared, seed: Seed, bars: int) -> bytes:
    """Return the file of a take from nothing."""
    facts, data = page_model(bundle)
    out = bytearray()

    def array(name: str) -> NDArray[Any]:
        kind, offset, count = facts["index"][name]
        return np.frombuffer(data, TYPES[kind], count, offset)

    def put(value: Any, dtype: Any = np.int32) -> None:
        raw = np.ascontiguousarray(value, dtype).tobytes()
        out.extend(len(raw).to_bytes(4, "little") + raw)

    sizes, heads = facts["sizes"], facts["intervals"]
    shape = [sizes[name] for name in ("width", "layers", "channels", "vocabulary")]
    table = array("table").reshape(-1, sizes["width"]) * array("table_scales")[:, None]
    put([*shape, len(table), len(facts["matrices"]), bool(heads)])
    put(table)
    put(array("table_places"))
    put(array("first"))
    for place, matrix in enumerate(facts["matrices"]):
        put([matrix[name] for name in ("outputs", "blocks", "bits")])
        for name, dtype in (("values", np.uint8), ("scales", np.float32), ("bias", np.float32)):
            put(array(f"{name}_{place}"), dtype)
    if heads:
        put([heads[name] for name in ("references", "pitches", "first_pitch", "values")])
        put(array("interval_columns"))
        put(array("interval_first"))
        put(array("interval_places"), np.int16)
    put(array("columns"))
    put([bars, *(facts["plan"][name] for name in ("stop", "key_told", "whole", "had_pickup", "foreseen_ticks"))])
    put(array("foreseen") if facts["plan"]["foreseen_ticks"] else NO_ARRAY, np.int16)
    form = prepared.plan_of(seed)
    for plan in (None if form is None else form.with_lines([()] * len(form.lines)), form):
        _put_form(plan, put)
    put(array("carry"), np.float32)
    line = len(facts["ids"]) - 1 - facts["ids"][::-1].index(facts["bar"])
    for ids in (facts["ids"][:line], facts["ids"][line:]):
        put([len(ids)])
        put(ids)
    put([len(facts["rules"])])
    for place, rule in enumerate(facts["rules"]):
        numbers = [*rule["numbers"]]
        numbers[0] = bars if place == facts["bars_rule"] else numbers[0]
        put([rule["kind"], *numbers, rule["count"], rule["width"]])
        put(array(rule["mask"]) if rule["mask"] else NO_ARRAY, np.uint8)
        put(array(rule["table"]) if rule["table"] else NO_ARRAY)
    put([facts["sampling"][name] for name in ("temperature", "top_p", "min_p", "top_k")], np.float64)
    put([seed.seed % 2**32, seed.seed >> 32, seed.take], np.uint32)
    return bytes(out)


def _put_form(form: FormPlan | None, put: Any) -> None:
    """Put a plan as core/aligned_memory.h has it."""
    if form is None:
        put([0] * 5)
        put(NO_ARRAY)
        return
    symbols = np.zeros((len(form.lines), form.bars, 2), np.int32)
    for line, own in zip(symbols, form.lines, strict=True):
        line[: len(own)] = np.array(own, np.int32).reshape(-1, 2)
    put([1, form.pickup, len(form.lines), bool(form.tracks), form.bars])
    put(symbols)
