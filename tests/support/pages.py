"""Pages with piano rolls for tests: made pieces, and what a page holds as HTML."""

from html.parser import HTMLParser

from symusic import ControlChange, Note, Tempo, TimeSignature, Track

from melody.music.score import Score
from melody.render import stems
from melody.render.player import Panel

HOSTILE = '</script><img src=x onerror="window.hacked=1"><u>&\''
RATE = stems.SAMPLE_RATE


def duo(quarters: int = 8, name: str = "Left", qpm: float = 120) -> Score:
    """Two organs, one low and left, one high and right."""
    score = Score(480)
    score.tempos, score.time_signatures = [Tempo(0, qpm=qpm)], [TimeSignature(0, 4, 4)]
    for pitch, side, title in ((57, 0, name), (76, 127, "Right")):
        track = Track(title, 19, False)
        track.controls.append(ControlChange(0, 10, side))
        for index in range(quarters):
            track.notes.append(Note(480 * index, 440, pitch + index % 3, 90))
        score.tracks.append(track)
    return score


def endless(name: str = "Left") -> Score:
    """Too long for sound: eleven minutes in two bars."""
    return duo(8, name, qpm=0.7)


def panel(score: Score, name: str = "take", **known: object) -> Panel:
    return Panel(name, score, b"MThd and so on", **known)


class Seen(HTMLParser):
    """The elements of a page with their attributes, the text in it, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.raw = "", {"script": [], "style": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        else:
            self.text += data

    def all(self, kind: str) -> list[dict[str, str]]:
        """The attributes of all elements of a class."""
        return [attributes for _, attributes in self.elements if kind in attributes.get("class", "").split()]
