"""Repeats, endings, D.C. and D.S.: the order in which written measures are played.

A repeat goes back to the last repeat that opens, or to where the one before it ended. Endings are played in the passes
that they name. After D.C. or D.S. each repeat is played once, with its last ending, unless it says otherwise; up to
Fine, or to where the coda is left for. Each of these jumps is taken once. Signs that contradict each other give the
order as written, and the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

START = ""  # the target of a D.C.


@dataclass
class BarSigns:
    """Signs of one measure that say what is played after it, or where others lead."""

    opens: bool = False  # a repeat begins here
    times: int = 0  # that what is repeated up to here is played; 0: no repeat ends here
    after_jump: bool = False  # it is repeated after D.C. and D.S. too
    ending: tuple[int, ...] = ()  # of an ending that begins here, the passes
    ends_ending: bool = False
    jumps: list[str] = field(default_factory=list)  # at the end: to a segno by name, or to `START`
    worded_jumps: list[str] = field(default_factory=list)  # those that only words ask for
    segnos: list[str] = field(default_factory=list)
    codas: list[str] = field(default_factory=list)
    to_codas: list[str] = field(default_factory=list)
    fine: bool = False

    @property
    def redirects(self) -> bool:
        """Tell whether another measure than the next may follow."""
        return bool(self.times or self.ending or self.jumps)


def merged(signs: Sequence[BarSigns]) -> BarSigns:
    """Return the signs of one measure in all parts together."""
    result = BarSigns()
    for sign in signs:
        result.opens |= sign.opens
        result.times = max(result.times, sign.times)
        result.ending = result.ending or sign.ending
        result.ends_ending |= sign.ends_ending
        result.fine |= sign.fine
        result.after_jump |= sign.after_jump
        for name in ("jumps", "worded_jumps", "segnos", "codas", "to_codas"):
            getattr(result, name).extend(n for n in getattr(sign, name) if n not in getattr(result, name))
    return result


def settle_worded_jumps(signs: Sequence[BarSigns]) -> int:
    """Make words such as D.C. count where a Fine or a coda says how far; return the number of those that do not."""
    if any(sign.fine or sign.to_codas or sign.codas for sign in signs):
        for sign in signs:
            sign.jumps = sign.jumps or sign.worded_jumps
        return 0
    return sum(bool(sign.worded_jumps and not sign.jumps) for sign in signs)


def playing_order(signs: Sequence[BarSigns], limit: int) -> tuple[list[int], str]:
    """Return the measures' indices in the order in which they are played, and why that is the written one after all.

    The reason is empty where the signs could be followed.
    """
    if not any(sign.redirects for sign in signs):
        return list(range(len(signs))), ""
    try:
        return _PlayThrough(signs, limit).play(), ""
    except _UnclearSignsError as unclear:
        return list(range(len(signs))), str(unclear)


class _UnclearSignsError(Exception):
    """Signs that contradict each other."""


@dataclass
class _Volta:
    first: int
    last: int
    passes: tuple[int, ...]
    group_passes: int = 0  # how often what its group ends is played
    is_last: bool = True  # of its group


class _PlayThrough:
    """One walk through the measures."""

    def __init__(self, signs: Sequence[BarSigns], limit: int) -> None:
        self.signs, self.limit = signs, limit
        endings = _endings(signs)
        self.begins = {ending.first: ending for ending in endings}
        self.ends = {ending.last: ending for ending in endings}
        self.order: list[int] = []
        self.start, self.turn = 0, 1  # of the passage that a repeat may play again, and its pass
        self.taken: set[int] = set()  # measures whose jumps have been
        self.is_back = False  # after D.C. or D.S.
        self.segnos = _targets(signs, "segnos")
        self.codas, self.to_codas = _codas(signs)

    def play(self) -> list[int]:
        """Return the order."""
        index = 0
        while index < len(self.signs):
            if len(self.order) >= self.limit:
                raise _UnclearSignsError(f"they make more than {self.limit:,} measures")
            if self.signs[index].opens and index != self.start:
                self._begin(index)
            ending = self.begins.get(index)
            if ending and self._pass_of(ending) not in ending.passes:
                index = ending.last + 1
                continue
            self.order.append(index)
            following = self._after(index)
            if following is None:
                break
            index = following
        return self.order

    def _pass_of(self, ending: _Volta) -> int:
        """Return the pass that counts for an ending: after a jump the last one, or that of a repeat played then too."""
        repeats = any(sign.after_jump for sign in self.signs[ending.first : ending.last + 1])
        return ending.group_passes if self.is_back and not repeats else self.turn

    def _begin(self, index: int) -> None:
        self.start, self.turn = index, 1

    def _after(self, index: int) -> int | None:
        """Return the measure that is played after this one; None at the end."""
        sign, ending = self.signs[index], self.ends.get(index)
        if sign.times and (sign.after_jump or not self.is_back):
            passes = ending.group_passes if ending else sign.times
            if self.turn < passes:
                self.turn += 1
                return self.start
        if sign.times or (ending and ending.is_last):
            self._begin(index + 1)
        if self.is_back and sign.fine:
            return None
        if self.is_back and index in self.to_codas:
            self.is_back = False
            self._begin(_named(self.codas, self.to_codas[index], "a coda"))
            return self.start
        if sign.jumps and index in self.taken:
            self.is_back = False  # what follows has not been heard
        elif sign.jumps:
            self.taken.add(index)
            self.is_back = True
            self._begin(0 if sign.jumps[0] == START else _named(self.segnos, sign.jumps[0], "a segno"))
            return self.start
        return index + 1


def _targets(signs: Sequence[BarSigns], kind: str) -> dict[str, int]:
    return {name: index for index, sign in reversed([*enumerate(signs)]) for name in getattr(sign, kind)}


def _named(targets: dict[str, int], name: str, what: str) -> int:
    """Return the target of that name, or else the only one."""
    if name in targets:
        return targets[name]
    if len(set(targets.values())) != 1:
        raise _UnclearSignsError(f"they lead to {what} that is not there")
    return next(iter(targets.values()))


def _codas(signs: Sequence[BarSigns]) -> tuple[dict[str, int], dict[int, str]]:
    """Return the codas by name, and the measures that lead to one: of two bare signs the first does."""
    leading = {index: sign.to_codas[0] for index, sign in enumerate(signs) if sign.to_codas}
    places = [index for index, sign in enumerate(signs) if sign.codas and index not in leading]
    if not leading and len(places) == 2:
        first = places.pop(0)
        leading = {first: signs[places[0]].codas[0]}
    return {name: index for index in reversed(places) for name in signs[index].codas}, leading


def _endings(signs: Sequence[BarSigns]) -> list[_Volta]:
    """Return the endings in order. Raises `_UnclearSignsError` where their numbers make no sense."""
    result: list[_Volta] = []
    is_open = False
    for index, sign in enumerate(signs):
        if sign.ending:
            result.append(_Volta(index, index, sign.ending))
            is_open = True
        if is_open and (sign.ends_ending or sign.times or sign.jumps):
            result[-1].last, is_open = index, False
    groups: list[list[_Volta]] = []
    for ending in result:
        if not groups or groups[-1][-1].last + 1 != ending.first:
            groups.append([])
        groups[-1].append(ending)
    for group in groups:
        _settle(group, signs)
    return result


def _settle(group: list[_Volta], signs: Sequence[BarSigns]) -> None:
    """Check the endings of one passage and say how often it is played."""
    passes = sorted(number for ending in group for number in ending.passes)
    if passes != list(range(1, len(passes) + 1)):
        raise _UnclearSignsError(f"endings for passes {', '.join(map(str, passes[:8]))}")
    returns = [bool(signs[ending.last].times or signs[ending.last].jumps) for ending in group]
    if not all(returns[:-1]):
        raise _UnclearSignsError("an ending that leads into the next one")
    for ending in group:
        ending.group_passes = len(passes) + (len(group) == 1 and returns[0])
        ending.is_last = ending is group[-1]
