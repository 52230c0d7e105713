"""Where training runs: the GPUs that there are, or this processor; in bf16 where that works."""

from typing import Literal

import torch
from lightning_fabric import Fabric

from melody.config import TrainConfig
from melody.errors import ConfigError


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for a configuration; several devices train as one (DDP). Sets torch's number of threads.

    On a busy machine one thread is faster than two that wait for each other at every step of an LSTM.
    """
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cpu":
        torch.set_num_threads(config.threads or max(1, torch.get_num_threads() // config.devices))
    strategy = "auto" if config.devices == 1 else "ddp"
    precision = _precision(config, accelerator)
    return Fabric(accelerator=accelerator, devices=config.devices, strategy=strategy, precision=precision)


def _precision(config: TrainConfig, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    if config.precision == "32-true":
        return "32-true"
    if accelerator == "cuda" or bf16_works():
        return "bf16-mixed"
    if config.precision == "bf16-mixed":
        raise ConfigError("precision bf16-mixed does not work on this processor; use precision=auto or 32-true")
    return "32-true"


def bf16_works() -> bool:
    """Whether this processor trains an LSTM in bf16: oneDNN refuses it without AVX-512."""
    lstm = torch.nn.LSTM(16, 16)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lstm(torch.zeros(2, 1, 16))[0].float().sum().backward()
    except RuntimeError:
        return False
    return True
