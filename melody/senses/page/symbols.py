"""The symbols that the page reader knows, as text: what stands on a staff from left to right.

A note is its written length and its place on the staff (0 = the bottom line, 8 = the top one, by lines and spaces);
what it sounds like follows from clef, key and accidentals (`melody.senses.page.music`). After a note come its dots and
a tie, before it its accidental; `triplet` stands before the first note of three in the time of two.
"""

LENGTHS = (1, 2, 4, 8, 16, 32)
PLACES = range(-6, 15)
CLEFS = ("G2", "G2_8vb", "F4", "C3", "C4")
METERS = (*("2/4", "3/4", "4/4", "5/4", "6/4", "2/2", "3/2", "4/2", "3/8", "4/8", "6/8", "9/8", "12/8", "C", "C|"),)
ACCIDENTALS = {"s": 1, "f": -1, "n": 0, "x": 2, "ff": -2}
BARS = ("bar", "bar.double", "bar.final", "bar.start", "bar.end", "bar.both")  # start, end: of a repeat

SYMBOLS = (
    *(f"clef.{clef}" for clef in CLEFS),
    *(f"key.{sharps}" for sharps in range(-7, 8)),
    *(f"meter.{meter}" for meter in METERS),
    *(f"note.{length}.{place}" for length in LENGTHS for place in PLACES),
    *(f"rest.{length}" for length in LENGTHS),
    *(f"acc.{accidental}" for accidental in ACCIDENTALS),
    *("dot", "tie", "triplet"),
    *BARS,
)
INDEX = {symbol: number for number, symbol in enumerate(SYMBOLS, 1)}  # 0 is the blank of CTC

SPACE = 8  # pixels between two lines of a staff as the network sees it
ABOVE, BELOW = 4, 4  # spaces of the picture above the top line and below the bottom one
HEIGHT = (ABOVE + 4 + BELOW) * SPACE
STRIDE = 4  # pixels of a frame
