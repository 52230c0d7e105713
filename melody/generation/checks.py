"""Checks of types at the door: what came, what fits, in one line that a musician understands."""

from collections.abc import Mapping
from functools import cache
from numbers import Integral, Real
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from melody.errors import UsageError
from melody.music.score import Score

_WORDS: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


def check_types(settings: Any) -> None:
    """Raise `UsageError` where a field of a dataclass does not have its type."""
    kind: Any = type(settings)
    for name, hint in _hints(kind).items():
        if not _fits(value := getattr(settings, name), hint):
            raise UsageError(f"`{name}`: give {_wanted(hint)}, got {value!r}")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def check_primer(primer: object) -> None:
    """Raise `UsageError` for a primer that is no score."""
    if primer is None or isinstance(primer, Score):
        return
    kind = type(primer).__name__
    raise UsageError(f"primer: give a score, as melody.read('theme.mid') returns it, got {kind} {primer!r:.80}")


def check_number(name: str, value: object, least: int, most: int) -> None:
    """Raise `UsageError` for what is no whole number, or none from `least` to `most`."""
    if not _fits(value, int):
        raise UsageError(f"`{name}`: give a whole number, got {value!r}")
    if not least <= int(value) <= most:  # type: ignore[call-overload]
        raise UsageError(f"`{name}` must lie in [{least}, {most}], got {value}")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        kinds = inner[:1] * len(value) if inner[1:] == (...,) and isinstance(value, tuple) else inner
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    return isinstance(value, hint)


def _wanted(hint: Any) -> str:
    """Return the kind of value that fits, in words."""
    if get_origin(hint) is UnionType:
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple:
        return "names" if get_args(hint)[0] is str else "two whole numbers, as (3, 4)"
    if get_origin(hint) is Mapping:
        pitches = get_args(get_args(hint)[1])[-1] is int
        return "a dictionary from tracks to " + ("two MIDI numbers, as (60, 81)" if pitches else "names")
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
