"""Policy gradient: a model learns from what its own pieces earn, stays near its base, and goes on learning from music.

    loss = cross entropy of the window + tokens of it x (weight x policy + rules + coefficient x KL)

- Pieces are drawn by the model, read once, window after window, and drawn anew: no ratio to an older model is needed.
- policy: -advantage x ln p of each token that was drawn. The advantage is what the token and those after it earned,
  less the mean of its group at the same bar, over the spread of the group (GRPO, Shao et al. 2024, arXiv:2402.03300,
  with rewards where they are earned). A group has the same beginning.
- rules: -ln of the probability of all that the rules of the style leave at that token: what it costs to obey, times
  what the rules count that speak there. A reward that is known for every token before one is drawn needs no draw: the
  sum over all actions has no noise (expected policy gradients, Ciosek & Whiteson 2018, arXiv:1706.05374).
- KL: from the base, exact, over the whole vocabulary at each such token (RL Tuner, Jaques et al. 2017,
  arXiv:1611.02796), or over what the rules leave of it. Where they lead on by one token, the base gives it what it gave
  the forbidden ones. The coefficient adapts until the KL is near `kl_target` (Ziegler et al. 2019, arXiv:1909.08593).
- Both are read without dropout, as pieces are drawn. Tokens that the grammar forbids are not left out of ln p: the base
  gives them next to nothing.

At each evaluation pieces by fixed seeds are judged: the best weights are those of the highest reward among those that
keep all `limits`, set beside the base. Breaking one in two evaluations in a row ends the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from melody.models import carry as carries
from melody.models.carry import Carry
from melody.training.lanes import Window
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.objectives.verdict import Limit, Verdict

REWARD, NATS = "reward", "nats_per_note"  # figures
STEPS = ("kl", "entropy", "coefficient", "forbidden", REWARD)  # figures of a step
MOST_CHANGE, RATE = 0.2, 0.1  # of the coefficient: what an error counts at most, and how much of it a step corrects
LEAST_SPREAD = 1e-4
NOTHING = -1e4  # ln of no probability, finite so that differences are
BREACHES = 2  # in a row, before a run ends


@dataclass(frozen=True)
class DrawnPieces:
    """N pieces that a model has drawn, T tokens at most, with what their tokens earned."""

    tokens: Tensor  # (N, T + 1) int64, zeros behind the end
    context: Tensor  # (N, T, C) int16
    mask: Tensor  # (N, T) bool: the token that follows was drawn, not given
    group: Tensor  # (N,) int64: pieces with the same beginning
    bar: Tensor  # (N, T) int64, of the token that follows
    earned: Tensor  # (N, T) float32, by the token that follows and by those after it
    reward: Tensor  # () float32: the mean of the pieces
    forbidden: Tensor  # (N, T, V) bool: by rules, after each token; (N, T, 0) without rules
    way_on: Tensor  # (N, T) int64: the token by which rules lead on there, -1 for none
    stakes: Tensor  # (N, T) float32: what the rules count that speak there

    def advantage(self) -> Tensor:
        """Return what each token earned beyond its group at the same bar, (N, T), by the spread of the group."""
        result = torch.zeros_like(self.earned)
        for group in sorted(set(self.group.tolist())):
            here = self.mask & (self.group == group)[:, None]
            if not here.any():
                continue
            earned, bar = self.earned[here], self.bar[here]
            count = torch.bincount(bar).clamp(min=1)
            beyond = earned - (torch.bincount(bar, earned.double()) / count)[bar].float()
            result[here] = beyond / beyond.square().mean().sqrt().clamp(min=LEAST_SPREAD)
        return result


Draw = Callable[[nn.Module, int], DrawnPieces]  # by a model, for the n-th time
Judge = Callable[[nn.Module], Mapping[str, float]]  # figures of pieces by fixed seeds, `REWARD` among them


@dataclass
class DrawnReading:
    """Reading of drawn pieces: how far it has come."""

    pieces: DrawnPieces
    advantage: Tensor  # (N, T)
    own: Carry
    base: Carry
    window: int = 0  # of those read


@dataclass
class PolicyState:
    """State that a policy keeps for all lanes together."""

    coefficient: float
    drawn: int = 0  # times
    broken: int = 0  # evaluations in a row
    first: dict[str, float] = field(default_factory=dict)  # figures of the base
    latest: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STEPS, 0.0))


class Policy:
    """The objective that learns from rewards; see the module, and `melody.training.objectives`."""

    def __init__(
        self,
        base: nn.Module,
        draw: Draw,
        judge: Judge,
        *,
        window: int,
        weight: float = 1.0,
        kl_target: float = 0.02,
        coefficient: float = 1.0,
        limits: Sequence[Limit] = (),
        judged: Sequence[str] = (REWARD,),
        smoothing: float = 0.0,
        half: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`base` is frozen; `judged` are the names of what `judge` finds; `settings` are those a run cannot change.

        With `half` the base reads in bf16, as the model does where that is its precision.
        """
        self.base = base.eval().requires_grad_(False)
        self.draw, self.judge_by = draw, judge
        self.window, self.weight, self.kl_target = window, weight, kl_target
        self.limits, self.judged, self.smoothing = tuple(limits), tuple(judged), smoothing
        self.half, self.settings = half, dict(settings or {})
        self.beside: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # logits, targets, mask -> another loss
        self.kept = PolicyState(coefficient)
        self.reading: DrawnReading | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """Rewards, and how pieces are drawn."""
        return {"objective": self.settings} if self.settings else {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Policy":
        """Return a copy for an estimate of the cost: what it draws with is shared."""
        return Policy(
            self.base,
            self.draw,
            self.judge_by,
            window=self.window,
            weight=self.weight,
            kl_target=self.kl_target,
            coefficient=self.kept.coefficient,
            smoothing=self.smoothing,
            half=self.half,
        )

    def start(self, model: nn.Module, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the model's own carry."""
        carry: Carry = model.start(batch_size, condition)  # type: ignore[operator]
        return carry

    def loss(self, network: Any, window: Window, carry: Carry) -> tuple[Tensor, Tensor, Tensor, Carry]:
        """Read a window of music and one of drawn pieces: (loss, nats, count, carry)."""
        logits, carry = network(window.tokens, carry, window.context)
        nats, count = cross_entropy(logits, window.targets, window.mask, self.smoothing)
        return nats + count * self._of_drawn(network), nats, count, carry

    def _of_drawn(self, network: Any) -> Tensor:
        """The loss of the next window of drawn pieces, a mean over the tokens that a window has of them."""
        if self.reading is None or self.reading.window * self.window >= self.reading.advantage.shape[1]:
            self.reading = self._drawn_anew(network)
        reading, pieces = self.reading, self.reading.pieces
        here = slice(reading.window * self.window, (reading.window + 1) * self.window)
        going = pieces.mask[:, here.start :].any(dim=1).nonzero()[:, 0]  # pieces that have not ended
        tokens, targets = pieces.tokens[going, :-1][:, here], pieces.tokens[going, 1:][:, here]
        context, mask = pieces.context[going][:, here].long(), pieces.mask[going][:, here]
        with without_dropout(network):
            logits, own = network(tokens, carries.reorder(reading.own, going), context)
        with torch.no_grad(), torch.autocast(tokens.device.type, torch.bfloat16, enabled=self.half):
            theirs, base = self.base(tokens, carries.reorder(reading.base, going), context)
        reading.own, reading.base = (
            carries.map_tensors(lambda whole, part: whole.index_copy(0, going, part.detach()), *both)
            for both in ((reading.own, own), (reading.base, base))
        )
        reading.window += 1
        forbidden = pieces.forbidden[going][:, here][mask]  # (n, V), or (n, 0)
        log_p, log_base = (torch.log_softmax(part[mask].float(), dim=-1) for part in (logits, theirs))  # (n, V)
        # a mean over the tokens of a window as they come; its own number would make much of a last one with few
        count = pieces.mask.sum() / -(-pieces.mask.shape[1] // self.window)
        chosen = log_p.gather(-1, targets[mask][:, None])[:, 0]
        policy = -(reading.advantage[going][:, here][mask] * chosen).sum() / count
        entropy = -float((log_p.exp() * log_p).detach().sum())
        cost, staked = log_p.new_zeros(len(log_p)), log_p.new_zeros(())
        if forbidden.shape[-1]:
            way_on, stakes = (part[going][:, here][mask] for part in (pieces.way_on, pieces.stakes))  # (n,)
            log_base = led_on(forbidden, way_on, log_base)
            (log_p, left), (log_base, _) = (within(~forbidden, part) for part in (log_p, log_base))
            cost, staked = -left, -(stakes * left).sum()
        kl = (log_p.exp() * (log_p - log_base)).sum()
        coefficient = self.kept.coefficient
        unlawful = float(-torch.expm1(-cost.detach()).sum())
        self._note(float(kl.detach()), entropy, unlawful, int(mask.sum()), float(pieces.reward))
        loss = self.weight * policy + (staked + coefficient * kl) / count
        return loss if self.beside is None else loss + self.beside(logits, targets, mask)

    def _drawn_anew(self, network: Any) -> DrawnReading:
        model = getattr(network, "module", network)  # Fabric's view, or the model itself
        was_training = model.training
        model.eval()
        with torch.no_grad():
            pieces = self.draw(model, self.kept.drawn)
        model.train(was_training)
        device = next(model.parameters()).device
        pieces = DrawnPieces(**{one.name: getattr(pieces, one.name).to(device) for one in fields(DrawnPieces)})
        self.kept.drawn += 1
        count = len(pieces.tokens)
        own, base = (carries.detach(self.start(one, count)) for one in (model, self.base.to(device)))
        return DrawnReading(pieces, pieces.advantage(), own, base)

    def _note(self, kl: float, entropy: float, unlawful: float, tokens: int, reward: float) -> None:
        """Remember the figures of a step, and let the coefficient follow the KL."""
        if not tokens:
            return
        found = (kl / tokens, entropy / tokens, self.kept.coefficient, unlawful / tokens, reward)
        self.kept.latest = dict(zip(STEPS, found, strict=True))
        error = max(-MOST_CHANGE, min(MOST_CHANGE, kl / tokens / self.kl_target - 1))
        self.kept.coefficient *= 1 + RATE * error

    # ---- judging ----------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Sequence[str], Sequence[str]]:
        """Names of the figures of a step, and of an evaluation."""
        return STEPS, self.judged

    def figures(self) -> Mapping[str, float]:
        """Return the figures of the latest step."""
        return self.kept.latest

    def judge(self, model: nn.Module, nats_per_note: float) -> Verdict:
        """Judge what a model composes, beside the base, which comes first."""
        found = dict(self.judge_by(model))
        if not self.kept.first:
            self.kept.first = {**found, NATS: nats_per_note}
        broken = [
            said for limit in self.limits if (said := limit.broken(self.kept.first, {**found, NATS: nats_per_note}))
        ]
        self.kept.broken = self.kept.broken + 1 if broken else 0
        cost = float("inf") if broken else -found[REWARD]
        return Verdict(found, cost, "; ".join(broken), ends=self.kept.broken >= BREACHES)

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Return the coefficient, the figures, and the pieces that are being read."""
        kept = self.kept
        numbers = {"coefficient": kept.coefficient, "drawn": kept.drawn, "broken": kept.broken}
        numbers |= {f"first.{name}": value for name, value in kept.first.items()}
        numbers |= {f"latest.{name}": value for name, value in kept.latest.items()}
        result = {f"kept.{name}": torch.tensor(float(value), dtype=torch.float64) for name, value in numbers.items()}
        if self.reading is None:
            return result
        result |= {f"pieces.{one.name}": getattr(self.reading.pieces, one.name) for one in fields(DrawnPieces)}
        for part in ("own", "base"):
            flat = carries.flatten(getattr(self.reading, part))
            result |= {f"{part}.{name}": tensor for name, tensor in flat.items()}
        return result | {"window": torch.tensor(self.reading.window)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(name + "."): one for key, one in tensors.items() if key.startswith(name + ".")}

        numbers = {name: float(value) for name, value in part("kept").items()}
        first, latest = (
            {name.removeprefix(group): value for name, value in numbers.items() if name.startswith(group)}
            for group in ("first.", "latest.")
        )
        drawn, broken = int(numbers["drawn"]), int(numbers["broken"])
        self.kept = PolicyState(numbers["coefficient"], drawn, broken, first, latest)
        self.reading = None
        if "window" in tensors:
            device = next(self.base.parameters()).device
            tensors = {name: one.to(device) for name, one in tensors.items()}
            pieces = DrawnPieces(**part("pieces"))
            own, base = (carries.unflatten(part(name)) for name in ("own", "base"))
            self.reading = DrawnReading(pieces, pieces.advantage(), own, base, int(tensors["window"]))


def led_on(forbidden: Tensor, way_on: Tensor, log_p: Tensor) -> Tensor:
    """Return ln p (n, V) in which the token that leads on (n,), where there is one, has what was `forbidden`, too."""
    place = way_on.clamp(min=0)[:, None]
    gained = torch.logsumexp(log_p.masked_fill(~forbidden, NOTHING), dim=-1, keepdim=True)
    own = log_p.gather(-1, place)
    return log_p.scatter(-1, place, torch.where(way_on[:, None] < 0, own, torch.logaddexp(own, gained)))


def within(lawful: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln p (n, V) among what is lawful, next to no probability elsewhere, and ln of what is lawful (n,)."""
    rest = log_p.masked_fill(~lawful, NOTHING)
    left = torch.logsumexp(rest, dim=-1)
    return rest - left[:, None], left


@contextmanager
def without_dropout(network: Any) -> Iterator[None]:
    """Let a model read as it composes. Recurrent layers go on as in training, without which cuDNN has no gradient."""
    was_training = network.training
    network.eval()
    for part in network.modules():
        if isinstance(part, nn.RNNBase):
            part.train(was_training)
    try:
        yield
    finally:
        network.train(was_training)
