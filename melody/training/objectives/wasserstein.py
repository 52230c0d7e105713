"""A Wasserstein critic as the adversary, whose gradient goes through the tokens that were drawn.

- Each token of a drawn window is a Gumbel-softmax sample (Jang, Gu & Poole 2016, arXiv:1611.01144) that agrees with
  what was drawn (Tucker et al. 2017, arXiv:1703.07370), straight through: what the critic reads is the token, and what
  it asks for reaches the logits of all.
- The critic's value is no probability: it sets people's windows as far above drawn ones as it can while its weights
  stay within `BOUND` (Wasserstein GAN, Arjovsky et al. 2017, arXiv:1701.07875).
- What a token changes in those behind it is not followed, since the channels are counted from whole tokens. The policy
  gradient of `adversarial` follows that, with more noise.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from melody.models.discriminator import Discriminator
from melody.training.objectives.adversarial import APART, FOOLED, Adversarial, whole
from melody.training.objectives.policy import DrawnPieces, Policy

BOUND = 0.05  # of each weight of the critic
LEAST_NOISE = 1e-20


class Wasserstein(Adversarial):
    """The objective with a Wasserstein critic; see the module, and `melody.training.objectives`."""

    def __init__(
        self, policy: Policy, discriminator: Discriminator, *, temperature: float = 1.0, **options: Any
    ) -> None:
        """`temperature` is that of the samples; all else is as in `Adversarial`."""
        super().__init__(policy, discriminator, **options)
        self.temperature = temperature
        policy.beside = self.through

    @property
    def options(self) -> dict[str, Any]:
        """Arguments it was made with, besides the policy and the critic."""
        return {**super().options, "temperature": self.temperature}

    def drawn(self, model: torch.nn.Module, number: int) -> DrawnPieces:
        """Draw pieces; the critic's word comes through their tokens, not as a reward."""
        self.discriminator.to(next(model.parameters()).device)
        return self.draw(model, number)

    def through(self, logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of a window of drawn pieces: how little the critic thinks of it.

        Logits (B, T, V), targets and mask (B, T). A piece's first window counts nothing, nor one that is not whole.
        """
        reading, rows = self.policy.reading, whole(mask, self.policy.window)
        if reading is None or reading.window < 2 or self.policy.kept.drawn <= self.silent or not rows.any():
            return logits.new_zeros(())
        as_it_is = {name: weight.detach().clone() for name, weight in self.discriminator.named_parameters()}
        read = relaxed(logits[rows], targets[rows], self.temperature)
        value: Tensor = functional_call(self.discriminator, as_it_is, (read, mask[rows]))
        return -self.weight * value.mean()

    def _learn(self, theirs: Tensor, ours: Tensor) -> None:
        """Let the critic learn from windows (B, T) of people and of the model."""
        tokens = torch.cat([theirs, ours])
        with torch.enable_grad():
            values = self.discriminator(tokens, torch.ones_like(tokens, dtype=torch.bool))
            apart = values[: len(theirs)].mean() - values[len(theirs) :].mean()
            (-apart).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            for weight in self.discriminator.parameters():
                weight.clamp_(-BOUND, BOUND)
        self.latest = {FOOLED: float(values[len(theirs) :].detach().mean()), APART: float(apart.detach())}


def relaxed(logits: Tensor, chosen: Tensor, temperature: float) -> Tensor:
    """Return Gumbel-softmax samples (..., V) whose greatest share is that of the token `chosen` (...).

    Their values are those of the tokens alone, their gradients those of the shares.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    noise = torch.empty_like(log_p).exponential_().clamp(min=LEAST_NOISE).log()
    place = chosen[..., None]
    of_chosen = noise.gather(-1, place)
    scores = -torch.logaddexp(noise - log_p, of_chosen).scatter(-1, place, of_chosen)
    shares = torch.softmax(scores / temperature, dim=-1)
    whole_ones = functional.one_hot(chosen, logits.shape[-1]).to(shares.dtype)
    return whole_ones + shares - shares.detach()
