"""Checks of types at the door: what came, what fits, in one line that a musician understands."""

from collections.abc import Callable, Mapping
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
    for name, hint, test in _fields(kind):
        if not test(value := getattr(settings, name)):
            raise UsageError(f"`{name}`: give {_wanted(hint)}, got {value!r}")


@cache
def _fields(kind: Any) -> list[tuple[str, Any, Callable[[Any], bool]]]:
    """The fields of a dataclass: their names, types and tests."""
    return [(name, hint, _test(hint)) for name, hint in get_type_hints(kind).items()]


def check_primer(primer: object) -> None:
    """Raise `UsageError` for a primer that is no score."""
    if primer is None or isinstance(primer, Score):
        return
    kind = type(primer).__name__
    raise UsageError(f"primer: give a score, as melody.read('theme.mid') returns it, got {kind} {primer!r:.80}")


def check_number(name: str, value: object, least: int, most: int) -> None:
    """Raise `UsageError` for what is no whole number, or none from `least` to `most`."""
    if not _test(int)(value):
        raise UsageError(f"`{name}`: give a whole number, got {value!r}")
    if not least <= int(value) <= most:  # type: ignore[call-overload]
        raise UsageError(f"`{name}` must lie in [{least}, {most}], got {value}")


@cache
def _test(hint: Any) -> Callable[[Any], bool]:
    """Return what says of a value that it is of a type."""
    origin, inner = get_origin(hint), get_args(hint)
    tests = [_test(one) for one in inner if one is not ...]
    if origin is UnionType:
        return lambda value: any(test(value) for test in tests)
    if origin is tuple and ... in inner:
        return lambda value: isinstance(value, tuple) and all(map(tests[0], value))
    if origin is tuple:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(tests)
            and all(test(one) for test, one in zip(tests, value, strict=True))
        )
    if origin is Mapping:
        key, item = tests
        return lambda value: isinstance(value, Mapping) and all(key(k) and item(v) for k, v in value.items())
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return lambda value: isinstance(value, kind) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)


def _wanted(hint: Any) -> str:
    """Return the kind of value that fits, in words."""
    if get_origin(hint) is UnionType:
        hint = get_args(hint)[0]
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if kinds[1:] == (...,):
            return "names" if kinds[0] is str else "numbers"
        return "two whole numbers, as (3, 4)"
    if get_origin(hint) is Mapping:
        pitches = get_args(get_args(hint)[1])[-1] is int
        return "a dictionary from tracks to " + ("two MIDI numbers, as (60, 81)" if pitches else "names")
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
