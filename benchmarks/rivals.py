"""Rivals of the engine's step: `nn.LSTM` token by token, a GPT-2-style decoder, and the machine's own limit.

A subject is one model in both forms, with the same weights: the step graph in the engine, and the module in torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import process_time
from typing import Any

import numpy as np
import onnx
import torch
from decoder import CachedDecoder, shape_of
from numpy.typing import NDArray
from race import Contestant

from melody.engine import Engine
from melody.engine.graphs.residual_lstm import build_step_graph, step_weights
from melody.engine.native import NativeEngine
from melody.engine.native_weights import read_weights
from melody.engine.onnx import OnnxEngine
from melody.engine.passages import MOST_KEPT
from melody.engine.torch import use_onednn
from melody.engine.weights import weights_of
from melody.generation import Composer
from melody.models import build
from melody.models.residual_lstm import ResidualLSTM
from melody.models.transformer import Transformer
from melody.native.library import core
from melody.tokens.channels import Layout, layout_of
from melody.tokens.reader import Plan
from melody.tokens.views import views_of


@dataclass(frozen=True)
class Subject:
    """A model in both forms: the step graph in the engine, and the module that was trained."""

    name: str
    engine: Engine
    model: ResidualLSTM
    graph: bytes
    layer_bits: Sequence[int] = ()  # 8 where nothing is said
    text: tuple[Layout, Sequence[int]] | None = None  # channels and tokens of a piece

    @property
    def channel_sizes(self) -> list[int]:
        return [len(weight) for weight in self.model.channels.parameters()]

    @property
    def weights_bytes(self) -> int:
        """Bytes that every step reads: all constants but the embedding table, of which it reads a few rows."""
        graph = onnx.load_from_string(self.graph).graph
        looked_up = {node.input[0] for node in graph.node if node.op_type == "Gather"}
        whole = sum(onnx.numpy_helper.to_array(t).nbytes for t in graph.initializer if t.name not in looked_up)
        if not isinstance(self.engine, NativeEngine):
            return whole
        layers = zip(read_weights(self.graph).layers, self.layer_bits, strict=False)
        return whole - sum(layer.values.nbytes // 2 for layer, bits in layers if bits == 4)


def shipped(composer: Composer) -> Subject:
    """A bundle's model."""
    state = weights_of(composer.bundle)
    options = {name: value for name, value in composer.bundle.settings["model"].items() if name != "name"}
    options |= views_of(composer.bundle.tokenizer, composer.bundle.settings["model"])
    count = sum(name.startswith("channels.") for name in state)
    sizes = [len(state[f"channels.{index}.weight"]) for index in range(count)]
    model = _module(len(state["embedding.weight"]), sizes, options)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in state.items()})
    name = f"{options['layers']}x{options['hidden_size']} ({composer.bundle.name})"
    bundle = composer.bundle
    take = composer.compose(bars=16, seed=1)[0]
    text = layout_of(bundle.tokenizer.names), bundle.tokenizer.encode(take.score).tolist()
    graph = bundle.file("step.onnx").read_bytes()
    return Subject(name, composer.engine, model, graph, bundle.layer_bits, text)


def untrained(like: Subject, width: int, layers: int = 3) -> Subject:
    """A model of another size with random weights, and the vocabulary and channels of `like`."""
    torch.manual_seed(0)
    model = _module(like.model.embedding.num_embeddings, like.channel_sizes, {"hidden_size": width, "layers": layers})
    graph = build_step_graph(step_weights({name: tensor.numpy() for name, tensor in model.state_dict().items()}))
    engine = OnnxEngine(graph) if core() is None else NativeEngine(graph)
    return Subject(f"{layers}x{width} (random weights)", engine, model, graph)


def _module(vocabulary_size: int, channel_sizes: list[int], options: Mapping[str, Any]) -> ResidualLSTM:
    model = build("residual_lstm", vocabulary_size=vocabulary_size, channel_sizes=channel_sizes, **options)
    assert isinstance(model, ResidualLSTM)  # a bundle of another model has no nn.LSTM to race against
    return model.eval()


def contestants(
    subject: Subject, contexts: Sequence[int], step_tokens: int, rival_tokens: int
) -> dict[str, Contestant]:
    """The engine's step, its limit, and its rivals."""
    found: dict[str, Contestant] = {"step": _engine_steps(subject.engine, subject, step_tokens)}
    if isinstance(subject.engine, NativeEngine):
        found["step, ONNX Runtime"] = _engine_steps(OnnxEngine(subject.graph), subject, step_tokens)
        if 4 in subject.layer_bits:
            found["step, 8 bits"] = _engine_steps(NativeEngine(subject.graph), subject, step_tokens)
        if subject.text is not None:
            found["step in C"] = _steps_in_c(subject.engine, *subject.text)
    found |= {f"read {index}": reader for index, reader in enumerate(_reads(subject.weights_bytes))}
    for onednn in (False, True):
        found[f"nn.LSTM {onednn}"] = _lstm_steps(subject, rival_tokens, onednn)
    decoder = _decoder_like(subject, max(contexts))
    for context in contexts:
        for onednn in (False, True):
            found[f"decoder {context} {onednn}"] = _decoder_steps(decoder, context, rival_tokens, onednn)
    return found


def _inputs(subject: Subject, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Any tokens (count, 1) and contexts (count, 1, C)."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, subject.model.embedding.num_embeddings, (count, 1))
    return tokens, rng.integers(0, subject.channel_sizes, (count, 1, len(subject.channel_sizes)))


def _steps_in_c(engine: NativeEngine, layout: Layout, ids: Sequence[int]) -> Contestant:
    """Reading a piece in C, the channels of each token and all logits behind it included.

    Each time it is told to be of another length: what an engine has read lately, it does not read again.
    """
    turns = count()

    def turn() -> float:
        reader = engine.reader(layout, Plan(bars=20 + next(turns) % (2 * MOST_KEPT)))
        assert reader is not None
        start = process_time()
        engine.read(reader, ids, engine.start(1))
        return (process_time() - start) / len(ids)

    return turn


def _engine_steps(engine: Engine, subject: Subject, count: int) -> Contestant:
    tokens, contexts = _inputs(subject, count)

    def turn() -> float:
        carry = engine.start(1)
        start = process_time()
        for ids, context in zip(tokens, contexts, strict=True):
            _, carry = engine.step(ids, context, carry)
        return (process_time() - start) / count

    return turn


def _reads(size: int) -> list[Contestant]:
    """Ways to read a buffer of so many bytes once; which is the fastest depends on the machine."""
    buffer = np.ones(size // 8)
    as_bytes, whole_numbers = buffer.tobytes(), np.ones(size // 8, np.int64)

    def timed(read: Callable[[], object]) -> Contestant:
        def turn() -> float:
            seconds = []
            for _ in range(20):
                start = process_time()
                read()
                seconds.append(process_time() - start)
            return float(np.median(seconds))

        return turn

    return [timed(lambda: buffer @ buffer), timed(whole_numbers.max), timed(lambda: as_bytes.find(b"\xff"))]


def _lstm_steps(subject: Subject, count: int, onednn: bool) -> Contestant:
    """The model that was trained, one token after the other."""
    tokens, contexts = (torch.from_numpy(part) for part in _inputs(subject, count))
    model = subject.model

    @torch.inference_mode()
    @use_onednn(onednn)
    def turn() -> float:
        carry = model.start(1)
        start = process_time()
        for ids, context in zip(tokens, contexts, strict=True):
            _, carry = model(ids[None], carry, context[None])
        return (process_time() - start) / count

    return turn


def _decoder_like(subject: Subject, positions: int) -> CachedDecoder:
    """A decoder with as many parameters in its blocks as the LSTM has in its layers."""
    width, layers, heads = shape_of(sum(p.numel() for p in subject.model.lstms.parameters()))
    vocabulary = subject.model.embedding.num_embeddings
    options = {"hidden_size": width, "layers": layers, "heads": heads, "memory": positions}
    return CachedDecoder(Transformer(vocabulary, [], **options))


def _decoder_steps(decoder: CachedDecoder, context: int, count: int, onednn: bool) -> Contestant:
    """The last tokens of a full context; the cache has been filled with what is not read anyway but for its cost."""
    tokens = torch.arange(count)[:, None, None]
    decoder.keys.normal_()
    decoder.values.normal_()

    @torch.inference_mode()
    @use_onednn(onednn)
    def turn() -> float:
        decoder.length = context - count
        start = process_time()
        for token in tokens:
            decoder.step(token)
        return (process_time() - start) / count

    return turn
