"""Augmentation while training: each fetch of a piece is a new transposition, with less of a plan and other conditions.

Louder or faster music is the same music too: all velocities of a piece may move by some bins, and all its tempos.
Nothing is copied: a transposition is a table lookup on the stored ids and channels, drawn evenly from the shifts that
the store allows the piece. What is known of the piece as a whole (its length, its key) is hidden (0 = unknown) now and
then, so that a model learns to compose with and without being told. A `Teller` draws what a model is told besides: what
a musician may want (`melody.corpus.draw_conditions`), or what other pieces did (`melody.jsb16.told`). What follows from
the past, and from the plan of its bars (`melody.corpus.draw_form`), is told of the piece as it is after all that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.draw_form import FormTeller, FormTold
from melody.corpus.store import Split, read_channels
from melody.tokens.aligned_memory import NAMES, OF_MEMORY, part_sizes
from melody.tokens.channels import layout_of
from melody.tokens.contract import Teller, Tokenizer, Told, columns_in
from melody.tokens.counterpoint import names as counterpoint
from melody.tokens.given import GivenView, given_rows, given_view
from melody.tokens.lines import NAMES as LINES
from melody.tokens.whole_pieces import counterpoint_of, lines_of, recalls, remembered

Arrays = dict[str, NDArray[np.int64]]  # a condition, by name
Fetched = tuple[NDArray[np.int32], NDArray[np.int16]] | tuple[NDArray[np.int32], NDArray[np.int16], Arrays]
REPETITION = ("recalled", "agreed", "times", "ago")  # in the order of `recalls`


class Tables(NamedTuple):
    """Lookup tables for the shifts from `lowest` on, one row each, and where a tokenizer's channels stand."""

    lowest: int  # semitones
    ids: NDArray[np.int32]  # (S, V)
    channels: list[NDArray[np.int16]]  # C of (S, size of the channel)
    plans: list[NDArray[np.bool_]]  # for each plan which channels (C,) tell of it
    stored: tuple[NDArray[np.intp], NDArray[np.intp]]  # which of a store's channels are told, and in which columns
    reread: tuple[Tokenizer, NDArray[np.intp]] | None  # what a store lacks is read anew, for these columns
    repetition: tuple[NDArray[np.intp], NDArray[np.intp]]  # the columns of those of `REPETITION`, and which these are
    form: tuple[NDArray[np.intp], NDArray[np.intp]]  # the same of the channels of `melody.tokens.aligned_memory`
    lines: tuple[NDArray[np.intp], NDArray[np.intp]]  # the same of those of `melody.tokens.lines`
    counterpoint: tuple[NDArray[np.intp], NDArray[np.intp]]  # of those of `melody.tokens.counterpoint`
    parts: int  # tracks whose own plans are told
    voices: int  # tracks of whose pitches a model is told


class GivenGrid(NamedTuple):
    """Grid of what a model with an encoder is told of a piece as a whole; see `melody.tokens.given`."""

    view: GivenView
    columns: list[int]  # of the context channels of these names
    voices: int
    steps: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, steps: int) -> "GivenGrid":
        """The grid of so many steps under a tokenizer."""
        view = given_view(tokenizer.vocabulary, tokenizer.channels)
        names = [channel.name for channel in tokenizer.channels]
        return cls(view, [names.index(name) for name in view.names], layout_of(tuple(names)).voices, steps)

    def told(self, told: Told | None, tables: Tables, row: int) -> Arrays:
        """The condition of a piece in a transposition (a row of the tables): zeros where nothing is told."""
        if told is None or told.table is None:
            return {"told": np.zeros((self.steps, len(self.columns)), np.int64)}
        values = given_rows(told.table, self.voices, self.view.names, self.steps)
        moved = [tables.channels[c][row][column] for c, column in zip(self.columns, values.T, strict=True)]
        return {"told": np.stack(moved, axis=1).astype(np.int64)}


def shift_tables(tokenizer: Tokenizer, split: Split) -> Tables:
    """The tables for all transpositions that a split allows."""
    lowest = int(split.shifts[:, 0].min(initial=0))
    highest = int(split.shifts[:, 1].max(initial=0))
    ids, channels = tokenizer.shift_tables(list(range(lowest, highest + 1)))
    plan = np.array([channel.plan for channel in tokenizer.channels], str)
    column = {channel.name: place for place, channel in enumerate(tokenizer.channels)}
    parts = layout_of(tuple(column)).parts if column.keys() & part_sizes(0).keys() else 0
    opposed = len(columns_in(tokenizer.channels, "counterpoint")) > 0
    voices = layout_of(tuple(column)).voices if opposed else 0
    stored = held_columns(tokenizer, split)
    read = [channel.name for channel in read_channels(tokenizer)]
    is_held = len(stored[0]) == len(read)
    reread = None if is_held else (tokenizer.telling(read), np.array([column[name] for name in read], np.intp))
    return Tables(
        lowest,
        ids,
        channels,
        [plan == name for name in ("length", "key")],
        stored,
        reread,
        _places(tokenizer, ("repetition",), REPETITION),
        _places(tokenizer, ("form", "parts"), formed_names(parts)),
        _places(tokenizer, ("lines",), LINES),
        _places(tokenizer, ("counterpoint",), counterpoint(voices)),
        parts,
        voices,
    )


def formed_names(parts: int) -> tuple[str, ...]:
    """The channels that `remembered` gives, where so many tracks have their own plans, in their order."""
    return (*NAMES, *part_sizes(parts)) if parts else NAMES


def _places(
    tokenizer: Tokenizer, groups: Sequence[str], names: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The columns of some groups' channels, and which of `names` each of them is."""
    columns = np.concatenate([columns_in(tokenizer.channels, group) for group in groups])
    return columns, np.array([names.index(tokenizer.channels[place].name) for place in columns], np.intp)


def held_columns(tokenizer: Tokenizer, split: Split) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The channels of a split (R,) that a tokenizer tells, and the columns (R,) in which it tells them.

    None where the split lacks one: then they are of other voices, and mean something else.
    """
    column = {channel.name: place for place, channel in enumerate(tokenizer.channels)}
    lacks = {channel.name for channel in read_channels(tokenizer)} - set(split.channels)
    held = [place for place, name in enumerate(split.channels) if name in column and not lacks]
    return np.array(held, np.intp), np.array([column[split.channels[place]] for place in held], np.intp)


@dataclass(frozen=True)
class AugmentedSource:
    """The pieces of a split as training fetches them."""

    split: Split
    tables: Tables
    transpose: bool = True
    plan_dropout: float = 0.0  # probability that the length is hidden, and that the key is
    teller: Teller | None = None  # None: nothing is told but what follows from reading
    levels: Sequence[tuple[range, int]] = ()  # tokens in order (velocities, tempos), and by how many a piece may move
    forms: FormTeller | None = None  # None: no plan is told
    given: GivenGrid | None = None  # None: the model has no encoder

    def __len__(self) -> int:
        return len(self.split)

    @property
    def _memories(self) -> list[int]:
        """The columns of what `remembered` gives that follow from the past."""
        return [place for place, name in enumerate(formed_names(self.tables.parts)) if name in OF_MEMORY]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece, shape (P,)."""
        return self.split.lengths

    @property
    def notes(self) -> NDArray[np.int32]:
        """Notes of each piece, shape (P,)."""
        return self.split.notes

    def fetch(self, piece: int, generator: np.random.Generator) -> Fetched:
        """Ids (T,) and context (T, C) of a piece, as chance has it this time, and its condition; the caller's own."""
        least, greatest = self.split.shifts[piece].tolist()
        shift = int(generator.integers(least, greatest + 1)) if self.transpose else 0
        hidden = np.zeros(len(self.tables.channels), bool)
        for plan in self.tables.plans:
            if generator.random() < self.plan_dropout:
                hidden |= plan
        told = self.teller.draw(piece, generator) if self.teller is not None else None
        steps = [int(generator.integers(-most, most + 1)) if most else 0 for _, most in self.levels]
        form = FormTold(None)
        if self.forms is not None and len(self.tables.form[0]):
            form = self.forms(piece, generator, told.ids if told is not None else None)
        found = self.shifted(piece, shift, hidden, told, steps, form)
        return found if self.given is None else (*found, self.given.told(told, self.tables, shift - self.tables.lowest))

    def shifted(
        self,
        piece: int,
        semitones: int,
        hidden: NDArray[np.bool_],
        told: Told | None = None,
        steps: Sequence[int] = (),
        form: FormTold = FormTold(None),
    ) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """A piece in a given transposition, with the channels `hidden` (C,) set to 0.

        `told` is the piece before that; without, it is what the store holds. `steps` say by how many places the tokens
        of each of `levels` move.
        """
        if told is None:
            stored, read = self.split.piece(piece)
            which, columns = self.tables.stored
            told = Told(stored, columns, read[:, which])
        ids, columns, values, _ = told
        row = semitones - self.tables.lowest
        context = np.zeros((len(ids), len(self.tables.channels)), np.int16)
        for column, value in zip(columns.tolist(), values.T, strict=True):
            context[:, column] = self.tables.channels[column][row][value]
        context[:, hidden] = 0
        moved = self.tables.ids[row][ids]
        for (span, _), count in zip(self.levels, steps, strict=False):
            move_levels(moved, span, count)
        if self.tables.reread is not None:
            reader, places = self.tables.reread
            context[:, places] = np.where(hidden[places], 0, reader.context(moved))
        recalled, which = self.tables.repetition
        if len(recalled):  # as quick as to keep it, and a store holds half as many channels
            context[:, recalled] = 0 if form.forgotten else recalls(moved)[:, which]
        formed, which = self.tables.form
        if len(formed):
            values = remembered(moved, form.plan, self.tables.parts)
            if form.forgotten:
                values[:, self._memories] = 0
            context[:, formed] = values[:, which]
        lined, which = self.tables.lines
        if len(lined):
            context[:, lined] = lines_of(moved)[:, which]
        opposed, which = self.tables.counterpoint
        if len(opposed):
            context[:, opposed] = counterpoint_of(moved, self.tables.voices)[:, which]
        return moved, context


def move_levels(ids: NDArray[np.int32], span: range, steps: int) -> None:
    """Move all tokens of a kind in order by so many places, or as many as leave each of them a place; in place."""
    here = (ids >= span.start) & (ids < span.stop)
    if here.any():
        least, greatest = span.start - int(ids[here].min()), span.stop - 1 - int(ids[here].max())
        ids[here] += min(max(steps, least), greatest)
