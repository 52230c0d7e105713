"""An adversary: a discriminator learns beside the model to tell its pieces from music; fooling it is a reward.

It reads whole windows of tokens, those of the training music and those of drawn pieces, the first of a piece left out,
and learns from both at every step. Its probability that people wrote a window is earned by the tokens of that window,
beside what rewards give (SeqGAN, Yu et al. 2017, arXiv:1609.05473, by the policy gradient of `policy`, with its KL and
limits). As it learns on, a reward that is earned by worse music does not stay one (arXiv:2511.17879). The first draws
only teach it.

It is judged by another: the forest of `melody.evaluation.critic` over statistics, which it never saw.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from melody.models.carry import Carry
from melody.models.discriminator import Discriminator
from melody.training.lanes import Window
from melody.training.objectives.policy import DrawnPieces, Policy
from melody.training.objectives.verdict import Verdict

FOOLED, APART = "fooled", "told_apart"  # figures of a step
CRITIC = "critic"  # figure of an evaluation, by which it counts as a reward
CLIP = 1.0


class Adversarial:
    """The objective with an adversary; see the module, and `melody.training.objectives`."""

    def __init__(
        self,
        policy: Policy,
        discriminator: Discriminator,
        *,
        weight: float = 1.0,
        learning_rate: float = 1e-3,
        silent: int = 4,
    ) -> None:
        """`policy` draws and learns; the discriminator's word counts `weight`, after so many `silent` draws."""
        self.policy, self.discriminator = policy, discriminator.train()
        self.weight, self.silent = weight, silent
        self.optimizer = torch.optim.AdamW(discriminator.parameters(), lr=learning_rate, weight_decay=0.01)
        self.draw = policy.draw
        policy.draw = self.drawn
        self.latest = {FOOLED: 0.0, APART: 0.0}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Adversarial":
        """Return a copy for an estimate of the cost."""
        policy = copy.deepcopy(self.policy)
        policy.draw = self.draw
        return type(self)(policy, copy.deepcopy(self.discriminator), **self.options)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments it was made with, besides the policy and the discriminator."""
        rate = self.optimizer.param_groups[0]["lr"]
        return {"weight": self.weight, "learning_rate": rate, "silent": self.silent}

    @property
    def identity(self) -> Mapping[str, Any]:
        """Identity of the policy, whose settings name the adversary too."""
        return self.policy.identity

    def start(self, model: nn.Module, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the model's own carry."""
        return self.policy.start(model, batch_size, condition)

    def drawn(self, model: nn.Module, number: int) -> DrawnPieces:
        """Draw pieces, whose tokens earn what the discriminator says of their windows."""
        pieces = self.draw(model, number)
        self.discriminator.to(next(model.parameters()).device)
        earned, scores = pieces.earned.clone(), []
        for start in range(self.policy.window, pieces.mask.shape[1], self.policy.window):
            here = slice(start, start + self.policy.window)
            rows = whole(pieces.mask[:, here], self.policy.window)
            if rows.any():
                with torch.no_grad():
                    score = torch.sigmoid(
                        self.discriminator(pieces.tokens[:, :-1][rows, here], pieces.mask[rows, here])
                    )
                earned[rows, here] += (number >= self.silent) * self.weight * score[:, None]
                scores.append(score)
        self.latest[FOOLED] = float(torch.cat(scores).mean()) if scores else 0.0
        return replace(pieces, earned=earned)

    def loss(self, network: Any, window: Window, carry: Carry) -> tuple[Tensor, Tensor, Tensor, Carry]:
        """Read a window of music and one of drawn pieces, from which the discriminator learns too."""
        result = self.policy.loss(network, window, carry)
        reading = self.policy.reading
        assert reading is not None
        start = (reading.window - 1) * self.policy.window
        here = slice(start, start + self.policy.window)
        theirs = window.tokens[whole(window.mask, self.policy.window) & ~window.reset]
        rows = whole(reading.pieces.mask[:, here], self.policy.window) & (start > 0)
        if len(theirs) and rows.any():
            self._learn(theirs, reading.pieces.tokens[:, :-1][rows, here])
        return result

    def _learn(self, theirs: Tensor, ours: Tensor) -> None:
        """Let the discriminator learn from windows (B, T) of people and of the model."""
        tokens = torch.cat([theirs, ours])
        label = (torch.arange(len(tokens), device=tokens.device) < len(theirs)).float()
        with torch.enable_grad():
            logits = self.discriminator(tokens, torch.ones_like(tokens, dtype=torch.bool))
            share = torch.where(label > 0, 0.5 / len(theirs), 0.5 / len(ours))  # both sides count alike
            (share * functional.binary_cross_entropy_with_logits(logits, label, reduction="none")).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.discriminator.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        right = torch.sigmoid(logits.detach())
        self.latest[APART] = float(right[label > 0].mean() - right[label == 0].mean())

    # ---- judging ----------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[Sequence[str], Sequence[str]]:
        """Names of the figures of a step, and of an evaluation."""
        steps, evaluations = self.policy.columns
        return (*steps, FOOLED, APART), evaluations

    def figures(self) -> Mapping[str, float]:
        """Return the figures of the latest step."""
        return {**self.policy.figures(), **self.latest}

    def judge(self, model: nn.Module, nats_per_note: float) -> Verdict:
        """Judge a model as `Policy` does; its cost counts the critic, too, as its reward counts the discriminator."""
        verdict = self.policy.judge(model, nats_per_note)
        return replace(verdict, cost=verdict.cost + self.weight * verdict.figures[CRITIC])

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Return the policy's state, and the discriminator with what its optimizer remembers."""
        moments = {
            f"{number}.{name}": value
            for number, weight in enumerate(self.discriminator.parameters())
            for name, value in self.optimizer.state.get(weight, {}).items()
        }
        parts: dict[str, Mapping[str, Tensor]] = {
            "policy": self.policy.state(),
            "discriminator": self.discriminator.state_dict(),
            "moments": moments,
            "latest": {name: torch.tensor(value, dtype=torch.float64) for name, value in self.latest.items()},
        }
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(name + "."): one for key, one in tensors.items() if key.startswith(name + ".")}

        self.policy.restore(part("policy"))
        self.discriminator.load_state_dict(part("discriminator"))
        self.latest = {name: float(value) for name, value in part("latest").items()}
        moments = part("moments")
        for number, weight in enumerate(self.discriminator.parameters()):
            own = {name.partition(".")[2]: one for name, one in moments.items() if name.startswith(f"{number}.")}
            if own:
                self.optimizer.state[weight] = {name: one.to(weight.device) for name, one in own.items()}


def whole(mask: Tensor, window: int) -> Tensor:
    """Return which rows (B,) of a mask (B, T) are true throughout a window."""
    found: Tensor = mask.all(dim=1) & (mask.shape[1] == window)
    return found
