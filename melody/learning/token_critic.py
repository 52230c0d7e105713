"""A critic that reads tokens: a bidirectional LSTM beside the forest of `melody.evaluation.critic`.

The network is the adversary's (`melody.models.discriminator`), trained anew for each fold of pieces: the continuations
of a primer are never divided between what it learns from and what it judges. It learns from windows, each time
transposed anew, for a fixed number of steps, so that its time is bounded; a continuation is judged by its mean logit.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.tokens.plan import DRUM_HIT, Bar
from melody.tokens.vocabulary import event_vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from melody.models.discriminator import Discriminator

Ids = NDArray[np.int64]
FOLDS, STEPS, BATCH, WINDOW = 5, 250, 32, 128
WIDTH, DROPOUT, RATE, DECAY = 48, 0.3, 3e-3, 0.05
FARTHEST = 5  # semitones of a transposition
MOST_PIECES = 60


def judge_tokens(ours: Sequence[Sequence[Bar]], theirs: Sequence[Sequence[Bar]], seed: int = 0) -> float:
    """Return the area under the ROC curve of telling our continuations from what followed, of up to `MOST_PIECES`.

    Raises `MelodyError` without torch or scikit-learn.
    """
    try:
        import torch
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MelodyError(f"a critic of tokens needs {error.name}: pip install 'melody[train]'") from error

    pairs = list(zip(ours, theirs, strict=True))[:MOST_PIECES]
    rows = [(piece, human, spelled(bars)) for piece, pair in enumerate(pairs) for human, bars in enumerate(pair)]
    fold = np.random.default_rng(seed).permutation(len(pairs)) % FOLDS
    scores = np.zeros(len(rows))
    with torch.random.fork_rng(devices=[]):
        for held_out in range(FOLDS):
            torch.manual_seed(seed + held_out)
            known = [(ids, human) for piece, human, ids in rows if fold[piece] != held_out]
            net = _learned(known, np.random.default_rng([seed, held_out]))
            with torch.no_grad():
                for place, (piece, _, ids) in enumerate(rows):
                    if fold[piece] == held_out:
                        tokens, mask = _padded(windows(ids))
                        scores[place] = float(net(tokens, mask).mean())
    return float(roc_auc_score([human for _, human, _ in rows], scores))


def _learned(known: Sequence[tuple[Ids, int]], generator: np.random.Generator) -> "Discriminator":
    """A discriminator that has learned from continuations."""
    import torch
    from torch.nn import functional

    from melody.models.discriminator import Discriminator

    net = Discriminator(len(event_vocabulary()), WIDTH, DROPOUT).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    for batch, label in _batches(known, generator):
        logits = net(*_padded(batch))
        loss = functional.binary_cross_entropy_with_logits(logits, torch.tensor(label))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return net.eval()


def _batches(
    known: Sequence[tuple[Ids, int]], generator: np.random.Generator
) -> Iterator[tuple[list[Ids], NDArray[np.float32]]]:
    """Batches of windows from both sides, transposed by chance, and whether people wrote them."""
    for _ in range(STEPS):
        here = [known[place] for place in generator.integers(len(known), size=BATCH)]
        shifts = generator.integers(-FARTHEST, FARTHEST + 1, BATCH).tolist()
        cut = [windows(moved(ids, shift)) for (ids, _), shift in zip(here, shifts, strict=True)]
        chosen = [several[int(generator.integers(len(several)))] for several in cut]
        yield chosen, np.array([human for _, human in here], np.float32)


def spelled(bars: Sequence[Bar]) -> Ids:
    """Bars as tokens (T,): bar lines, places, tracks, velocities where they change, pitches or drums, durations."""
    ids = event_vocabulary().ids
    found: list[int] = []
    loud: dict[int, int] = {}
    for bar in bars:
        found.append(ids["Bar"].start)
        at: tuple[int, int] | None = None
        for place, track, hit, velocity, duration in bar:
            if at is None or at[0] != place:
                found.append(ids["Position"].start + place)
            if at != (place, track):
                found.append(ids["Track"].start + track)
            if loud.get(track) != velocity:
                found.append(ids["Velocity"].start + velocity)
            at, loud[track] = (place, track), velocity
            kind, value = ("Drum", hit - DRUM_HIT) if hit >= DRUM_HIT else ("Pitch", hit)
            found.append(ids[kind].start + value)
            found.append(ids["Duration"].start + min(duration, len(ids["Duration"])) - 1)
    return np.array(found, np.int64)


def moved(tokens: Ids, semitones: int) -> Ids:
    """The tokens with all pitches higher; as they are where one would have no token."""
    span = event_vocabulary().ids["Pitch"]
    pitched = (tokens >= span.start) & (tokens < span.stop)
    result = tokens + semitones * pitched
    here = result[pitched]
    return result if not len(here) or (here.min() >= span.start and here.max() < span.stop) else tokens


def windows(tokens: Ids) -> list[Ids]:
    """The tokens in windows; a short last one is left out where there is another."""
    cut = [tokens[start : start + WINDOW] for start in range(0, max(1, len(tokens)), WINDOW)]
    return [one for one in cut if len(one) == WINDOW] or cut


def _padded(cut: Sequence[Ids]) -> "tuple[Tensor, Tensor]":
    """Windows as tensors: tokens and mask (B, T)."""
    import torch

    tokens, mask = np.zeros((len(cut), WINDOW), np.int64), np.zeros((len(cut), WINDOW), bool)
    for row, window in enumerate(cut):
        tokens[row, : len(window)], mask[row, : len(window)] = window, True
    return torch.from_numpy(tokens), torch.from_numpy(mask)
