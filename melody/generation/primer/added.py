"""Parts to be added to a song: which places of the model they take, and which of the song's tracks have none then.

A part is asked for by its role (``bass``) or, of a model without roles, by the name of one of its tracks; with a style
of the model after it (``drums:rock``) all of them are composed in that style.
"""

from collections.abc import Sequence

from melody.bundle import Bundle
from melody.errors import UsageError
from melody.generation.ranges import listed

PLAYED_BY = {"chords": ("piano",), "lead": ("voice", "tune")}  # by tracks of models without roles


def parse_parts(texts: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """``["bass,drums:rock"]`` as ``(("bass", "drums"), "rock")``. Raises `UsageError` for two styles, or no part."""
    parts, styles = [], []
    for text in ",".join(texts).split(","):
        part, colon, style = (word.strip().lower() for word in text.partition(":"))
        if not part or (colon and not style):
            raise UsageError("`add`: write the parts as bass,drums, or drums:rock for a style that the model knows")
        parts.append(part)
        styles += [style] if style else []
    if len(set(styles)) > 1:
        raise UsageError(f"`add`: one piece has one style, not {listed(sorted(set(styles)))}")
    return tuple(parts), styles[0] if styles else None


def places_of(part: str, bundle: Bundle) -> list[int]:
    """Return the model's places of a part, by role or by name; none where it has no such part."""
    infos = bundle.tracks
    names = (part.casefold(), *PLAYED_BY.get(part, ()))
    by_role = [place for place, info in enumerate(infos) if info.role == part]
    return by_role or [place for place, info in enumerate(infos) if info.name.casefold() in names]


def parts_of(bundle: Bundle) -> list[str]:
    """Return what the parts of a model are called."""
    return list(dict.fromkeys(info.role or info.name for info in bundle.tracks))


def places_to_add(parts: Sequence[str], roles: Sequence[str], names: Sequence[str], bundle: Bundle) -> tuple[int, ...]:
    """Return the place that each part takes in a song whose tracks have these roles and names.

    Raises `UsageError` where the model has no such part, or the song plays all of them already.
    """
    result: list[int] = []
    for part in parts:
        places = places_of(part, bundle)
        if not places:
            raise UsageError(f"add {part}: {bundle.name} has no such part; it has {listed(parts_of(bundle))}")
        playing = [
            name for role, name in zip(roles, names, strict=True) if role and role == bundle.tracks[places[0]].role
        ]
        free = [place for place in places[len(playing) :] if place not in result]
        if not free:
            there = f"{listed(playing) or part} {'have' if len(playing) > 1 else 'has'} that part already"
            raise UsageError(f"add {part}: {there}; to compose it anew use `fill` with `tracks`")
        result.append(free[0])
    return tuple(sorted(result))
