"""Staves that sound together agree: what one of them, or the sum of a bar, tells about what was not seen."""

from fractions import Fraction

from melody.senses.page.bars import PageBar, ReadSymbol, bars_of_staves
from melody.senses.page.systems import agreed, lengths, settled, with_triplets

SEEN, DOUBTED = 0.95, 0.4


def staff(text: str, wide: float = 3.0) -> list[ReadSymbol]:
    """Symbols so many spaces apart; `@20` puts the one before it elsewhere, `?` says that it is unsure."""
    result: list[ReadSymbol] = []
    for word in text.split():
        name, _, at = word.rstrip("?").partition("@")
        place = float(at) if at else (result[-1].at + wide if result else 0.0)
        result.append(ReadSymbol(name, DOUBTED if word.endswith("?") else SEEN, place))
    return result


def texts(symbols: list[ReadSymbol]) -> str:
    return " ".join(symbol.text for symbol in symbols)


def parts(*staves: str) -> list[list[PageBar]]:
    return [bars_of_staves([symbols])[0] for symbols in agreed([staff(text) for text in staves])]


def told(bars: list[PageBar]) -> list[list[tuple[float, int]]]:
    return [[(round(float(note.onset), 2), note.pitch) for note in bar.notes] for bar in bars]


def test_a_bar_line_seen_on_one_staff_is_there_on_the_other() -> None:
    upper = staff("clef.G2 note.2.0@10 bar@20 note.2.1@24 bar@40")
    lower = staff("clef.F4 note.2.0@10 note.2.1@24.5 bar@40.7")
    assert [texts(symbols) for symbols in agreed([upper, lower])] == [
        "clef.G2 note.2.0 bar note.2.1 bar",
        "clef.F4 note.2.0 bar note.2.1 bar",
    ]
    doubted = staff("clef.G2 note.2.0@10 bar@20? note.2.1@24 bar@40")
    assert texts(agreed([doubted, lower])[0]) == "clef.G2 note.2.0 note.2.1 bar"
    assert agreed([doubted]) == [doubted]  # nothing else is known of a staff alone


def test_a_bar_in_which_nothing_was_seen_stays_one() -> None:
    upper = staff("clef.G2 meter.2/4@8 note.2.0@12 bar@20 bar@40 note.2.1@44 bar@60")
    lower = staff("clef.F4 meter.2/4@8 note.2.0@12 bar@20 note.2.4@24 bar@40 note.2.1@44 bar@60")
    above, below = (bars_of_staves([symbols])[0] for symbols in agreed([upper, lower]))
    assert [len(bar.notes) for bar in above] == [1, 0, 1]
    assert [len(bar.notes) for bar in below] == [1, 1, 1]
    assert above[1].unsure
    assert len(bars_of_staves(agreed([upper]))[0]) == 3  # it is wide, so a staff alone shows it too
    narrow = staff("clef.G2 meter.2/4@8 note.2.0@12 bar@20 bar.start@21 note.2.1@44 bar@60")
    assert len(bars_of_staves(agreed([narrow]))[0]) == 2


def test_the_meter_is_the_one_that_bars_fill() -> None:
    four = "note.4.0 note.4.1 note.4.2 note.4.3 bar " * 4
    for read in ("meter.3/4", "meter.4/4"):
        above, below = settled(parts(f"clef.G2 {read} {four}", f"clef.F4 meter.4/4 {four}"))
        assert {bar.meter for bar in above + below} == {(4, 4)}
    (alone,) = settled(parts(f"clef.G2 meter.3/4 {four}"))
    assert {bar.meter for bar in alone} == {(4, 4)}
    (kept,) = settled(parts("clef.G2 meter.3/4 note.4.0 note.4.1 note.4.2 note.4.3 bar note.2.1 dot bar note.2.1 bar"))
    assert {bar.meter for bar in kept} == {(3, 4)}  # one bar of another length is a mistake in it


def test_a_change_of_meter_that_was_not_seen_shows_in_bars_too_short() -> None:
    (found,) = settled(parts("clef.G2 meter.9/8 " + "note.2.0 dot note.4.1 dot bar " * 4 + "note.2.0 dot bar " * 3))
    assert [bar.meter for bar in found] == [(9, 8)] * 4 + [(6, 8)] * 3


def test_a_bar_as_long_as_two_has_lost_its_line() -> None:
    first = "meter.3/4 note.2.0@10 note.4.1@15 bar@20"
    long = "note.2.0@24 note.4.1@30 note.2.2@40 note.4.3@50 bar@60"
    above, below = settled(parts(f"clef.G2 {first} {long}", f"clef.F4 {first} rest.1@40 bar@60"))
    assert len(above) == len(below) == 2  # the other staff has one bar there
    (alone,) = settled(parts(f"clef.G2 {first} {long}"))
    assert told(alone)[1:] == [[(0, 64), (2, 65)], [(0, 67), (2, 69)]]


def test_a_silent_bar_is_as_long_as_its_meter() -> None:
    (found,) = settled(parts("clef.G2 meter.4/4 rest.1 bar " + "note.2.0 dot bar " * 4))
    assert [bar.length for bar in found] == [3] * 5


def test_triplets_without_their_number_are_the_notes_that_stand_closest() -> None:
    eighths = [f"note.8.{place}" for place in range(7)]
    at = [10, 15, 20, 25, 28, 31, 34]  # after two eighths and two more, three that are close; the bar ends at 37
    symbols = staff("meter.3/4 " + " ".join(f"{name}@{x}" for name, x in zip(eighths, at, strict=True)) + " bar@37")
    (bar,) = bars_of_staves([symbols])[0]
    assert bar.length == Fraction(7, 2)
    mended = with_triplets(bar)
    assert mended.length == 3
    assert mended.unsure
    assert told([mended]) == [[(0, 64), (0.5, 65), (1, 67), (1.5, 69), (2, 71), (2.33, 72), (2.67, 74)]]
    (whole,) = bars_of_staves([staff("meter.3/4 note.4.0 note.4.1 note.4.2 note.8.3 bar")])[0]
    assert with_triplets(whole) is whole  # no three notes are as much too long


def test_a_pickup_and_bars_that_a_repeat_divides_keep_their_lengths() -> None:
    (bars,) = settled(parts("meter.3/4 note.4.0 bar note.2.0 dot bar note.2.1 bar.end note.4.1 bar note.2.2 bar"))
    assert lengths([bars]) == [1, 3, 2, 1, 2]
    (odd,) = settled(parts("meter.3/4 note.2.0 dot bar note.2.0 bar note.2.0 dot bar"))
    assert lengths([odd]) == [3, 3, 3]
    wrong = [PageBar((3, 4), 0, length=Fraction(2), unsure=1), *bars[1:]]
    assert lengths([wrong, bars])[0] == 1  # of two that differ the one that is sure, or that the last bar completes
