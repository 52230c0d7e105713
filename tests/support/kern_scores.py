"""Random pieces in **kern for tests: columns split, join and change places; with the notes that they must give."""

from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

LETTERS = "CDEFGAB"
STEPS = (0, 2, 4, 5, 7, 9, 11)
DURATIONS = {"4": Fraction(1), "8": Fraction(1, 2), "2": Fraction(2), "4.": Fraction(3, 2), "12": Fraction(1, 3)}
Row = tuple[Fraction, Fraction, int]  # onset and duration in quarters, pitch


@dataclass
class KernPiece:
    """A text, and its notes in order."""

    text: str = ""
    notes: list[Row] = field(default_factory=list)


def random_piece(random: Random, bars: int) -> KernPiece:
    """A piece of two spines in bars of 4/4; between bars columns of a spine split and join again."""
    columns = [0, 1]  # the spine of each
    rows = ["**kern\t**kern", "*M4/4\t*M4/4"]
    notes: list[Row] = []
    for bar in range(bars):
        for _ in range(random.randrange(3)):
            columns, tokens = _manipulated(columns, random)
            rows.append("\t".join(tokens))
        written = [_voice(random, Fraction(4 * bar)) for _ in columns]
        notes += [row for _, own in written for row in own]
        times = sorted({time for tokens, _ in written for time in tokens})
        rows += ["\t".join(tokens.get(time, ".") for tokens, _ in written) for time in times]
        rows.append("\t".join(["="] * len(columns)))
    rows.append("\t".join(["*-"] * len(columns)))
    return KernPiece("\n".join(rows) + "\n", sorted(notes))


def _manipulated(columns: list[int], random: Random) -> tuple[list[int], list[str]]:
    """Columns after a line of interpretations, and that line."""
    at = random.randrange(len(columns))
    tokens = ["*"] * len(columns)
    has_twin = at + 1 < len(columns) and columns[at] == columns[at + 1]
    if has_twin and random.random() < 0.6:
        kind = random.choice(["*v", "*x"])
        tokens[at] = tokens[at + 1] = kind
        return (columns[:at] + columns[at + 1 :] if kind == "*v" else columns), tokens
    if len(columns) < 7:
        tokens[at] = "*^"
        return columns[: at + 1] + columns[at:], tokens
    return columns, tokens


def _voice(random: Random, start: Fraction) -> tuple[dict[Fraction, str], list[Row]]:
    """Tokens by time, and notes, of a bar of one column."""
    tokens: dict[Fraction, str] = {}
    notes: list[Row] = []
    time, end = start, start + 4
    while time < end:
        left = end - time
        recip = random.choice([r for r, length in DURATIONS.items() if length <= left and _fits(left - length)])
        chord = random.sample(range(7), random.choice([0, 1, 1, 1, 2, 3]))
        tokens[time] = " ".join(f"{recip}{LETTERS[step].lower()}" for step in chord) or f"{recip}r"
        notes += [(time, DURATIONS[recip], 60 + STEPS[step]) for step in chord]
        time += DURATIONS[recip]
    return tokens, notes


def _fits(rest: Fraction) -> bool:
    """If the durations fill what is left of a bar."""
    return rest == 0 or (rest >= Fraction(1, 2) and (2 * rest).denominator == 1) or (3 * rest).denominator == 1
