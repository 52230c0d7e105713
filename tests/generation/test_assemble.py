"""New notes beside old ones: cut as the plain definition cuts them, for whatever stands there."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melody.generation.assemble import beside
from melody.music.score import Notes

rows = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 14), st.sampled_from([0, 42, 127]), st.integers(1, 127)), max_size=12
)


def columns(found: list[tuple[int, ...]]) -> Notes:
    """Rows as notes."""
    return Notes(*np.array(found, np.int64).reshape(-1, 4).T)


def by_definition(old: Notes, new: Notes, single: bool) -> list[tuple[int, ...]]:
    """Each new note from the end of what sounds when it begins to the next onset."""
    found = []
    for onset, duration, pitch, velocity in zip(*new, strict=True):
        same = old.take(np.ones(len(old.pitch), bool) if single else old.pitch == pitch)
        ends = same.onset + same.duration
        start = max([onset, *ends[(same.onset <= onset) & (ends > onset)].tolist()])
        stop = min([onset + duration, *same.onset[same.onset > onset].tolist()])
        if stop > start:
            found.append((start, stop - start, pitch, velocity))
    return found


@given(rows, rows, st.booleans())
def test_new_notes_make_room_for_old_ones(old: list[tuple[int, ...]], new: list[tuple[int, ...]], single: bool) -> None:
    cut = beside(columns(old), columns(new), single)
    assert list(zip(*(column.tolist() for column in cut), strict=True)) == by_definition(
        columns(old), columns(new), single
    )
