"""The sampling loop in C: reader, grammar, channels, rules, choice and step, many tokens a call.

It draws what the loop in `melody.generation.decoders.sampling` draws, from the same random numbers. A rule that the
core does not know is asked in Python, a token at a time. Where rules go back, or one that it
does not know redirects, the loop in Python does all.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine
from melody.engine.native import NativeEngine
from melody.generation.decoders.contract import Continuation, check_length
from melody.generation.prefix import Prefix
from melody.generation.rules.contract import Rule
from melody.generation.rules.native_form import FORMS, NativeForm, form_of
from melody.generation.sampling import Sampling
from melody.tokens import Reader

CHUNK = 64  # tokens of each row that are drawn in a call
FAILED_IN_PYTHON = 10  # core/loop.c
_Ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_uint8))


class _Rule(ctypes.Structure):  # core/rules.h
    _fields_ = [
        ("kind", ctypes.c_int32),
        ("numbers", ctypes.c_int32 * 5),
        ("count", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("mask", ctypes.c_void_p),
        ("table", ctypes.c_void_p),
    ]


class _Sampling(ctypes.Structure):  # core/sampler.h
    _fields_ = [*((name, ctypes.c_double) for name in ("temperature", "top_p", "min_p")), ("top_k", ctypes.c_int32)]


class CoreRules:
    """Rules as the core has them, and the arrays that they point to."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        forms = [form_of(rule) for rule in rules]
        self._arrays: list[NDArray[Any]] = []
        self.items = (_Rule * max(1, len(forms)))(*map(self._rule, forms))
        self.asked = [place for place, form in enumerate(forms) if form.name == FORMS[0]]

    def _rule(self, form: NativeForm) -> _Rule:
        mask = None if form.mask is None else np.require(form.mask, np.uint8, ["C", "A"])
        table = None if form.table is None else np.require(form.table, np.int32, ["C", "A"])
        self._arrays += [array for array in (mask, table) if array is not None]
        numbers = (ctypes.c_int32 * 5)(*form.numbers)
        count, width = (0, 0) if table is None else table.shape
        pointers = [None if array is None else array.ctypes.data for array in (mask, table)]
        return _Rule(FORMS.index(form.name), numbers, count, width, *pointers)


class NativeLoop:
    """Rows on their way."""

    def __init__(
        self,
        engine: NativeEngine,
        prefixes: Sequence[Prefix],
        rules: Sequence[Rule],
        sampling: Sampling,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.engine, self.rows, self.rules = engine, len(prefixes), rules
        self.core_rules = CoreRules(rules)
        self.readers: list[Reader] = [p.reader.copy() for p in prefixes] if self.core_rules.asked else []
        self._error: BaseException | None = None
        self._ask = _Ask(self._answer)
        self._generators = generators  # their state is used, and advanced, in C
        self._carry = tuple(map(np.concatenate, zip(*(prefix.carry for prefix in prefixes), strict=True)))
        carries = self._carry[0].astype(np.float32)
        logits = np.stack([prefix.logits for prefix in prefixes]).astype(np.float32)
        top_p = 1.0 if sampling.top_p is None else sampling.top_p
        settings = _Sampling(sampling.temperature, top_p, sampling.min_p, sampling.top_k)
        numbers = [generator.bit_generator.ctypes for generator in generators]
        self._begun = [prefix.native for prefix in prefixes if prefix.native is not None]  # the loop uses their plans
        readers = [reader.pointer for reader in self._begun]
        functions, states = [_address(one.next_double) for one in numbers], [one.state_address for one in numbers]
        pointers = [_pointers(places) for places in (readers, functions, states)]
        loop = engine.core.loop_new(
            engine.model, self.core_rules.items, len(rules), ctypes.byref(settings), self._ask, self.rows, pointers[0],
            carries.ctypes.data, logits.ctypes.data, *pointers[1:],
        )  # fmt: skip
        if loop is None:
            raise MemoryError
        if (tables := engine.tables_of(self._carry)) is not None:  # which live in the carry
            engine.core.loop_beside(loop, tables)
        self._loop = loop
        self._close = finalize(self, engine.core.loop_free, loop)

    def drawn(self) -> Iterator[tuple[int, int, float]]:
        """Yield (row, token, nats) up to the end of every row, note by note."""
        for tokens, nats in self._chunks(until_note=True):
            for step, costs in zip(tokens.tolist(), nats.tolist(), strict=True):
                for row, (token, cost) in enumerate(zip(step, costs, strict=True)):
                    if token >= 0:
                        yield row, token, cost

    def continuations(self) -> list[Continuation]:
        """Return what is drawn for each row up to its end."""
        parts = [(tokens.copy(), nats.copy()) for tokens, nats in self._chunks(until_note=False)]
        tokens, nats = (np.concatenate(part) for part in zip(*parts, strict=True))  # (T, B)
        return [
            Continuation(tokens[there, row].tolist(), nats[there, row].tolist())
            for row, there in enumerate((tokens >= 0).T)
        ]

    def _chunks(self, until_note: bool) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float64]]]:
        """Tokens (T, B), -1 behind the end of a row, and their nats: views that the next chunk overwrites."""
        chunk, drawn, going = 1 if self.readers else CHUNK, 0, True
        tokens, nats = np.empty((chunk, self.rows), np.int32), np.empty((chunk, self.rows))
        while going:
            made = self._run(chunk, until_note, tokens, nats)
            drawn += made
            check_length(drawn)
            for reader, token in zip(self.readers, tokens[0].tolist() if self.readers else (), strict=True):
                if token >= 0:
                    reader.read(token)
            yield tokens[:made], nats[:made]
            going = bool(self.engine.core.loop_goes_on(self._loop))

    def _run(self, steps: int, until_note: bool, tokens: NDArray[np.int32], nats: NDArray[np.float64]) -> int:
        made = int(self.engine.core.loop_run(self._loop, steps, until_note, tokens.ctypes.data, nats.ctypes.data))
        if made == -FAILED_IN_PYTHON and self._error is not None:
            raise self._error
        for reader in self._begun if made < 0 else ():
            reader.check()
        self.engine.check(max(0, -made))
        return made

    def _answer(self, row: int, place: int, mask: Any) -> int:
        """Opinion of a rule in Python on a row: 1 and its mask, 0 for none, -1 for a failure."""
        try:
            opinion = self.rules[place](self.readers[row])
            if opinion is None:
                return 0
            np.ctypeslib.as_array(mask, opinion.shape)[:] = opinion
        except BaseException as error:
            self._error = error
            return -1
        return 1


def native_loop(
    engine: Engine,
    prefixes: Sequence[Prefix],
    rules: Sequence[Rule],
    sampling: Sampling,
    generators: Sequence[np.random.Generator],
) -> NativeLoop | None:
    """Return the loop in C, where the engine is the native one and knows what its rules do; else None."""
    if not isinstance(engine, NativeEngine) or any(prefix.native is None for prefix in prefixes):
        return None
    turns = [rule for rule in rules if hasattr(rule, "forbids") or hasattr(rule, "redirect")]  # as their protocols say
    if any(form_of(rule).name == FORMS[0] for rule in turns):
        return None
    return NativeLoop(engine, prefixes, rules, sampling, generators)


def _address(function: Callable[..., Any]) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _pointers(places: Sequence[int]) -> Any:
    return (ctypes.c_void_p * len(places))(*places)
