"""Devices: training runs on the GPUs that there are, or on this processor; in bf16 if that works.

`devices` processes are started here, or by torchrun, here and on other machines; torchrun then says how many.
"""

import logging
import os
from typing import Literal

import torch
from lightning_fabric import Fabric

from melody.config import TrainConfig
from melody.errors import ConfigError


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for a configuration; several devices train as one (DDP). Sets torch's number of threads.

    On a busy machine one thread is faster than two that wait for each other at every step of an LSTM. Raises
    `ConfigError` where the lanes cannot be shared out evenly, or there are fewer GPUs than `devices`.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the run's first line tells the precision
    devices, nodes = _devices_and_nodes(config)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cpu":
        torch.set_num_threads(config.threads or max(1, torch.get_num_threads() // devices))
    elif devices > torch.cuda.device_count():
        raise ConfigError(f"devices={devices}: there are {torch.cuda.device_count()} GPUs here")
    return Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="auto" if devices * nodes == 1 else "ddp",
        precision=_precision(config, accelerator),
    )


def _devices_and_nodes(config: TrainConfig) -> tuple[int, int]:
    """Processes on this machine, and machines: as configured, or as torchrun has started them."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return config.devices, 1
    devices, processes = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    for section in ("data", "evaluation"):
        if getattr(config, section).batch_size % processes:
            raise ConfigError(f"{section}.batch_size must be a multiple of the {processes} processes of torchrun")
    return devices, processes // devices


def _precision(config: TrainConfig, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    if config.precision == "32-true":
        return "32-true"
    if accelerator == "cuda" or (bf16_works() and (bf16_pays() or config.precision == "bf16-mixed")):
        return "bf16-mixed"
    if config.precision == "bf16-mixed":
        raise ConfigError("precision bf16-mixed does not work on this processor; use precision=auto or 32-true")
    return "32-true"


def reads_in_bf16(config: TrainConfig) -> bool:
    """Return true where the model of a configuration is read in bf16 on this machine."""
    return _precision(config, "cuda" if torch.cuda.is_available() else "cpu") == "bf16-mixed"


def bf16_works() -> bool:
    """Return true if this processor trains an LSTM in bf16: oneDNN refuses it without AVX-512."""
    lstm = torch.nn.LSTM(16, 16)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lstm(torch.zeros(2, 1, 16))[0].float().sum().backward()
    except RuntimeError:
        return False
    return True


def bf16_pays() -> bool:
    """Return true if this processor multiplies bf16 itself; others imitate it, four times slower than fp32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
