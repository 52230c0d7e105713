"""The columns of a Humdrum file, followed as they split, join, change places, begin and end (user guide, chapter 5).

*	*^	*       the second column is two from the next line on
*	*v	*v	*   columns two and three are one again
*x	*x	*       they change places        *+ a column more to the right        *- it ends
"""

from dataclasses import dataclass, field, replace
from itertools import groupby

from melody.errors import LimitExceeded, UnreadableFile

MAX_COLUMNS = 512
PATHS = frozenset(("*^", "*v", "*x", "*+", "*-"))


@dataclass(eq=False)
class Spine:
    """A spine as it begins in the file; what its tandem interpretations say of it."""

    number: int
    kind: str = ""  # kern, dynam, text ...
    part: str = ""
    staff: str = ""
    code: str = ""  # of its instrument: violn
    name: str = ""


@dataclass(eq=False)
class Column:
    """A column: a spine, or a part of one that has split; `end` is when its last token ends."""

    spine: Spine
    end: int = 0


@dataclass
class Columns:
    """The columns of the line being read."""

    name: str  # of the file
    columns: list[Column] = field(default_factory=list)
    spines: list[Spine] = field(default_factory=list)

    def begin(self, tokens: list[str], time: int = 0) -> None:
        """Begin a spine for each token of a line of exclusive interpretations."""
        self.columns = [self._new(time, token.removeprefix("**")) for token in tokens]

    def _new(self, time: int, kind: str = "") -> Column:
        spine = Spine(len(self.spines), kind)
        self.spines.append(spine)
        return Column(spine, time)

    def check(self, tokens: list[str], line: int) -> None:
        """Raise `UnreadableFile` where a line has not one field a column."""
        if len(tokens) != len(self.columns):
            raise UnreadableFile(
                f"{self.name}: line {line:,} has {len(tokens)} fields where {len(self.columns)} columns run; "
                "check the splits and joins before it, and its tabs"
            )

    def follow(self, tokens: list[str], line: int, time: int) -> None:
        """Split, join, exchange, add and end columns as a line of interpretations says."""
        result: list[Column] = []
        for token, group in groupby(zip(tokens, self.columns, strict=True), key=lambda pair: pair[0]):
            columns = [column for _, column in group]
            if token == "*v":
                result += self._join(columns, line)
            elif token == "*x":
                if len(columns) % 2:
                    raise UnreadableFile(f"{self.name}: line {line:,} exchanges one column (*x); name two side by side")
                result += [column for pair in zip(columns[1::2], columns[::2], strict=True) for column in pair]
            elif token == "*^":
                result += [one for column in columns for one in (column, replace(column))]
            elif token == "*+":
                result += [one for column in columns for one in (column, self._new(time))]
            elif token != "*-":
                result += columns
                if token.startswith("**"):
                    for column in columns:
                        column.spine.kind = token[2:]
        if len(result) > MAX_COLUMNS:
            raise LimitExceeded(f"{self.name}: line {line:,} makes over {MAX_COLUMNS} columns, all that melody reads")
        self.columns = result

    def _join(self, columns: list[Column], line: int) -> list[Column]:
        """Join columns side by side: those of each spine where every spine has several, else all."""
        groups = [[*group] for _, group in groupby(columns, key=lambda column: column.spine)]
        if min(map(len, groups)) < 2:
            groups = [columns]
        if len(columns) < 2:
            raise UnreadableFile(f"{self.name}: line {line:,} joins one column (*v); name two side by side")
        return [replace(group[0], end=max(column.end for column in group)) for group in groups]
