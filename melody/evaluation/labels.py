"""Labels of the measures: a sentence on each for a reader of the page, and which way is better."""

from typing import NamedTuple

LIKE = "Best: as the held-out pieces."
FEWER = "Better: fewer, and as few as the held-out pieces have is enough."


class Meaning(NamedTuple):
    """A measure in words. `percent` shows its values as shares."""

    says: str
    better: str = LIKE
    percent: bool = False


MEASURES = {
    "parallels per 1,000 notes": Meaning(
        "Two voices that move from a fifth to a fifth, or from an octave to an octave, cease to be two.", FEWER
    ),
    "crossings per 1,000 notes": Meaning("How often a voice comes to sound below its lower neighbour."),
    "out of range per 1,000 notes": Meaning(
        "Notes that a voice of the choir would not reach; counted where there are four voices.", FEWER
    ),
    "wide spacing per 1,000 notes": Meaning(
        "How often neighbours among the upper voices come to stand more than an octave apart."
    ),
    "doubled leading notes per 1,000 notes": Meaning(
        "The leading note wants to rise to the tonic; where two voices have it, they rise in octaves.", FEWER
    ),
    "pitch-class entropy": Meaning(
        "How evenly the twelve notes of the octave are used, in bits: a major scale used evenly has 2.81, all twelve "
        "3.58. Lower is plainer, higher more chromatic."
    ),
    "scale consistency": Meaning(
        "The share of notes that the best-fitting scale holds. Lower has more chromatic notes and modulations.",
        percent=True,
    ),
    "groove consistency": Meaning(
        "How much the onsets of each bar are those of the bar before. Lower is more restless.", percent=True
    ),
    "polyphony": Meaning("How many pitches sound together while any does."),
    "pitch range": Meaning("Semitones from the lowest to the highest pitch. A longer piece has more room for it."),
    "empty-beat rate": Meaning("The share of quarters in which nothing sounds.", percent=True),
    "notes a bar": Meaning("How busy the music is, all tracks together."),
    "repeated bars": Meaning(
        "The share of bars that equal an earlier one, which is what form begins with. A longer piece has more.",
        percent=True,
    ),
    "longest pitch run": Meaning("The most notes in a row that repeat one pitch; very many are a model that is stuck."),
    "longest empty run": Meaning("The most bars in a row in which nothing sounds; more than a few are a hole."),
}
HISTOGRAMS = {
    "pitch classes": Meaning("Which notes of the octave there are: which keys are chosen, and what is used of them."),
    "scale degrees": Meaning("The same from the tonic of each piece, in the key that its notes suggest."),
    "note lengths": Meaning("In quarters, as ½ for an eighth."),
    "intervals": Meaning("Semitones from each note of a track to its next: steps lie near 0, leaps outside."),
    "places in the bar": Meaning("The sixteenth of its bar at which a note begins: the metre as it is heard."),
    "drums": Meaning("What is struck how often."),
}
