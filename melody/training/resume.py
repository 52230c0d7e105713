"""Resuming a run: ``last.safetensors`` holds the whole state, of all ranks, and the run it belongs to."""

from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from melody.errors import ConfigError
from melody.models import carry as carries
from melody.training.checkpoint import load_newest, save_checkpoint
from melody.training.state import RunState, part_of, random_states, restore_random_states, rows_of


def save_last(fabric: Fabric, state: RunState, folder: Path, info: dict[str, Any]) -> None:
    """Write the state; every rank must call it and brings its lanes."""
    tensors = {f"carry.{name}": _gather(fabric, part) for name, part in carries.flatten(state.carry).items()}
    for name, part in random_states(fabric.device).items():
        tensors[f"random.{name}"] = _gather(fabric, part[None].to(fabric.device))  # (ranks, bytes)
    if fabric.is_global_zero:
        save_checkpoint(folder, "last", {**state.tensors(), **tensors}, {**info, "progress": state.info()})


def _gather(fabric: Fabric, tensor: Tensor) -> Tensor:
    """The rows of all ranks, one after the other."""
    if fabric.world_size == 1:
        return tensor
    gathered = fabric.all_gather(tensor)  # (ranks, rows, ...)
    assert isinstance(gathered, Tensor)
    return gathered.flatten(0, 1)


def resume_last(fabric: Fabric, state: RunState, folder: Path, run: dict[str, Any]) -> None:
    """Take over the state in a run's folder, if there is one. Raises `ConfigError` where it is of another `run`."""
    found = load_newest(folder, "last")
    if found is None:
        return
    tensors, info = found
    _check_same_run(folder, info["run"], run)
    state.restore(tensors, info["progress"])
    state.carry = rows_of(carries.unflatten(part_of(tensors, "carry")), state.initial, fabric.global_rank)
    states = part_of(tensors, "random")
    if fabric.global_rank < len(states["cpu"]):
        mine = {name: part[fabric.global_rank].clone() for name, part in states.items()}
        restore_random_states(mine, fabric.device)


def _check_same_run(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with another model or other data."""
    was, comes = _flat(then), _flat(now)
    for key in {**was, **comes}:
        if was.get(key) != comes.get(key):
            raise ConfigError(
                f"{folder}: its run has {key} = {was.get(key)}, "
                f"the configuration {comes.get(key)}; choose another `run`"
            )


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    parts = [
        {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {key: value}
        for key, value in values.items()
    ]
    return {name: value for part in parts for name, value in part.items()}
