"""Models that can be asked about music: a bundle, or the best checkpoint of a run, or several of them as an ensemble.

A run may have learned other tokens than a bundle's events; its sizes tell which, so its store need not be there.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from melody.bundle import open_bundle
from melody.config import check_config
from melody.engine import Engine, open_engine
from melody.engine.ensemble import Ensemble
from melody.errors import MelodyError, UnreadableFile, UsageError
from melody.jsb16.tokenizer import VoicesTokenizer
from melody.tokens import EventTokenizer
from melody.tokens.channels import USUAL_VOICES, names_in_older_bundle, names_of
from melody.tokens.contract import Tokenizer
from melody.tokens.views import views_of

if TYPE_CHECKING:
    from torch import nn


class Trained(NamedTuple):
    """A model, and the tokens that it has learned."""

    name: str
    engine: Engine
    tokenizer: Tokenizer


def open_trained(models: Sequence[str], engine: str = "onnx") -> Trained:
    """A bundle by name or folder, by the engine of that name, or a run by its folder, in torch; several are averaged.

    Raises `MelodyError` for what is neither, or has learned tokens that are not melody's, and `UsageError` for models
    of different tokens.
    """
    members = [_run(Path(name)) if _is_run(Path(name)) else _bundle(name, engine) for name in models]
    first = members[0]
    for other in members[1:]:
        if other.tokenizer.name != first.tokenizer.name:
            raise UsageError(
                f"{other.name}: has learned {other.tokenizer.name}, {first.name} {first.tokenizer.name}; "
                "only models of the same tokens can be averaged"
            )
    if len(members) == 1:
        return first
    name = f"ensemble of {len(members)} ({', '.join(member.name for member in members)})"
    return Trained(name, Ensemble([member.engine for member in members]), first.tokenizer)


def _bundle(name: str, engine: str) -> Trained:
    bundle = open_bundle(name)
    return Trained(bundle.name, open_engine(bundle, engine), bundle.tokenizer)


def _is_run(folder: Path) -> bool:
    files = ("lock", "best.safetensors", "last.safetensors")
    return not (folder / "bundle.json").exists() and any((folder / file).is_file() for file in files)


def _run(folder: Path) -> Trained:
    net, tokenizer = net_of(folder)
    from melody.engine.torch import TorchEngine

    return Trained(str(folder), TorchEngine(net), tokenizer)


def net_of(folder: Path) -> "tuple[nn.Module, Tokenizer]":
    """The best model of a run, in torch, and its tokens. Raises `MelodyError` for what is none."""
    try:
        from melody.models import build
        from melody.training.checkpoint import load_best
    except ImportError as error:
        raise MelodyError(f"{folder}: to ask a run needs {error.name}: pip install 'melody[train]'") from error
    if not folder.is_dir():
        raise MelodyError(f"{folder}: there is no such run; give the folder that melody train has left")
    weights, info = load_best(folder)
    try:
        model, run = check_config(info["config"], folder).model, info["run"]
        tokenizer = _tokenizer(folder, info["config"], run)
    except (KeyError, TypeError) as error:
        raise UnreadableFile(f"{folder}: its best checkpoint does not say what it was trained on") from error
    views = views_of(tokenizer, model.model_dump())
    net = build(model.name, run["vocabulary_size"], run["channel_sizes"], **views, **model.options())
    try:
        net.load_state_dict({name: weight.float() for name, weight in weights.items()})
    except RuntimeError as error:
        raise UnreadableFile(f"{folder}: its weights do not fit its configuration; train it again") from error
    return net, tokenizer


def teacher_of(name: str) -> "tuple[nn.Module, Tokenizer, str]":
    """Return a model in torch, its tokens and the hash of its weights: the best of a run, by its folder, or a bundle.

    Raises `MelodyError` for what is neither.
    """
    if _is_run(Path(name)):
        return *net_of(Path(name)), sha256((Path(name) / "best.safetensors").read_bytes()).hexdigest()
    bundle = open_bundle(name)
    from melody.engine.torch import model_of

    return model_of(bundle), bundle.tokenizer, bundle.settings["files"][bundle.weights_file]


def _tokenizer(folder: Path, config: dict[str, Any], run: dict[str, Any]) -> Tokenizer:
    """The tokenizer of these sizes and of the channels that the configuration names."""
    sizes, data = run["channel_sizes"], config.get("data", {})
    names = names_in_older_bundle(len(sizes))
    if "channels" in data:
        names = names_of(data["channels"], data.get("voices", USUAL_VOICES))
    tokenizers: tuple[Tokenizer, ...] = (EventTokenizer(names), VoicesTokenizer())
    for tokenizer in tokenizers:
        known = [channel.size for channel in tokenizer.channels]
        if sizes and (len(tokenizer.vocabulary), known) == (run["vocabulary_size"], sizes):
            return tokenizer
    raise MelodyError(
        f"{folder}: has learned other tokens than melody's events or voices, such as MidiTok's, or those of an earlier "
        "version; train it again"
    )
