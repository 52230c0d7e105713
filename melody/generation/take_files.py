"""A score or a take as a file, whose kind its suffix says: a new kind is one function and one line in `KINDS`.

Sound, pictures and notation of a take know where the new music begins, and a page shows its figures.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from melody.errors import UsageError
from melody.formats.midi import Reading, Text, dumps
from melody.generation.take import Take
from melody.music.score import Score, rescale
from melody.storage.display import shown
from melody.storage.files import write_bytes

SOUND = (".wav", ".flac", ".mp3", ".ogg")
RENDERED = (*SOUND, ".png", ".html")  # what is heard or looked at; the others are notes for programs


@dataclass(frozen=True)
class Writing:
    """Contents of a file: a piece, and the title, texts and channels of the file that it came from."""

    piece: Score | Take
    path: Path
    title: str = ""
    texts: Sequence[str | Text] = ()
    own_channels: Sequence[int] = ()
    given: Reading | None = None  # the file that it came from, all of which goes into MIDI again
    source: str = ""  # the name of the file that a score was read from, for a page
    soundfont: str | os.PathLike[str] | None = None
    force: bool = False
    stems: bool = False  # also the sound of each track, beside .wav

    @property
    def loops(self) -> bool:
        """True for a take whose last bar leads into its first one."""
        return isinstance(self.piece, Take) and bool(self.piece.settings.get("loop"))

    @property
    def score(self) -> Score:
        """The score, which a take holds."""
        return self.piece.score if isinstance(self.piece, Take) else self.piece

    @property
    def notation(self) -> Score:
        """The score as it is notated: on the grid."""
        return self.piece.notation if isinstance(self.piece, Take) else self.piece

    @property
    def headline(self) -> str:
        """The title, or else the file's name."""
        return self.title or shown(self.path.stem)

    def midi(self) -> bytes:
        """Return the bytes of the MIDI file."""
        return midi_bytes(
            self.piece, title=self.title, texts=self.texts, own_channels=self.own_channels, given=self.given
        )


class Written(NamedTuple):
    """The files that were written, and what had to be left out of them, a line each."""

    paths: list[Path]
    left_out: list[str]


def midi_bytes(
    piece: Score | Take,
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    given: Reading | None = None,
) -> bytes:
    """Return a score or a take as the bytes of a MIDI file, with all that the file `given` holds beside its score."""
    if isinstance(piece, Take):
        return piece.to_midi(title=title, texts=texts, own_channels=own_channels, given=given)
    if given is not None:
        moved = [text._replace(tick=rescale(text.tick, given.score.tpq, piece.tpq)) for text in given.texts]
        return dumps(
            piece,
            title=title or given.title,
            texts=[*moved, *texts],
            own_channels=own_channels or given.channels,
            others=given.beside,
        )
    return dumps(piece, title=title, texts=texts, own_channels=own_channels)


def write_piece(writing: Writing) -> Written:
    """Write a file, or several where one page does not hold it all.

    Raises `UsageError` for a suffix of no kind, `MelodyError` where the file exists (unless `force`) or the system
    refuses.
    """
    suffix = writing.path.suffix.lower()
    if suffix not in KINDS:
        known = ", ".join(filter(None, KINDS))
        raise UsageError(f"{writing.path}: no kind of file that melody writes; end the name in {known}")
    return KINDS[suffix](writing)


def _midi(writing: Writing) -> Written:
    return Written([write_bytes(writing.path, writing.midi(), force=writing.force)], [])


def _sound(writing: Writing) -> Written:
    from melody.render.sound import render
    from melody.render.stems import render_stems

    asked: dict[str, Any] = {"soundfont": writing.soundfont, "force": writing.force, "loop": writing.loops}
    if writing.stems and writing.path.suffix.lower() == ".wav":
        return Written(render_stems(writing.score, writing.path, **asked), [])
    return Written([render(writing.score, writing.path, **asked)], [])


def _picture(writing: Writing) -> Written:
    from melody.render.pianoroll import draw

    heading, first, resumes, letters = writing.headline, 0, None, dict[int, str]()
    if isinstance(writing.piece, Take):  # takes of one title are told apart by their names
        heading, first, resumes = shown(writing.path.stem), writing.piece.first_new_tick, writing.piece.resumes_tick
        letters = dict(writing.piece.sections)
    return Written([draw(writing.score, writing.path, first, heading, writing.force, resumes, letters)], [])


def _page(writing: Writing) -> Written:
    from melody.generation.take_page import panel, score_panel, subtitle
    from melody.render.player import write_page

    name = writing.headline
    if isinstance(writing.piece, Take):
        shows, below = panel(writing.piece, name, writing.midi()), subtitle(writing.piece)
    else:
        shows, below = score_panel(writing.piece, name, writing.midi()), writing.source
    left_out = write_page([shows], writing.path, below, writing.soundfont, writing.force)
    return Written([writing.path], left_out)


def _musicxml(writing: Writing) -> Written:
    from melody.formats.musicxml.writer import write_musicxml

    path = write_musicxml(writing.notation, writing.path, title=writing.headline, tidy=True, force=writing.force)
    return Written([path], [])


def _engraving(writing: Writing) -> Written:
    from melody.formats.engraving import write_svg

    return Written(write_svg(writing.notation, writing.path, title=writing.headline, force=writing.force), [])


def _dawproject(writing: Writing) -> Written:
    from melody.formats.dawproject import write_dawproject

    return Written([write_dawproject(writing.score, writing.path, title=writing.headline, force=writing.force)], [])


Writer = Callable[[Writing], Written]
KINDS: dict[str, Writer] = {
    "": _midi,
    ".mid": _midi,
    ".midi": _midi,
    ".kar": _midi,
    **dict.fromkeys(SOUND, _sound),
    ".png": _picture,
    ".html": _page,
    ".musicxml": _musicxml,
    ".mxl": _musicxml,
    ".svg": _engraving,
    ".dawproject": _dawproject,
}
