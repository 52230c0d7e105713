"""An encoder-decoder in the engines: the same music as in torch, told and untold, and torch is not asked for."""

import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load, save  # noqa: E402
from support.tiny_bundle import write_bundle  # noqa: E402
from support.told_bundle import (  # noqa: E402
    NAME,
    OPTIONS,
    TOKENIZER,
    VIEWS,
    arrays_of,
    conditions,
    grids,
    told_files,
    told_model,
    write_told_bundle,
)
from support.tunes import tune  # noqa: E402

from melody.bundle import Bundle, open_bundle  # noqa: E402
from melody.bundle.bundle import ENCODER  # noqa: E402
from melody.config import EncoderDecoderConfig  # noqa: E402
from melody.engine import Engine, open_engine, reorder  # noqa: E402
from melody.engine.graphs import STEP_GRAPHS  # noqa: E402
from melody.engine.native import NativeEngine  # noqa: E402
from melody.engine.onnx import OnnxEngine  # noqa: E402
from melody.engine.told import EngineEncoder, start_for, told_by  # noqa: E402
from melody.engine.torch import TorchEngine  # noqa: E402
from melody.engine.weights import weights_of  # noqa: E402
from melody.errors import MelodyError  # noqa: E402
from melody.evaluation.likelihood import token_nats  # noqa: E402
from melody.generation import Composer, Take  # noqa: E402
from melody.generation.decoders import sampling  # noqa: E402
from melody.music.score import bars, clip  # noqa: E402
from melody.native import library as native  # noqa: E402
from melody.tokens import Plan  # noqa: E402
from melody.tokens import encoder as encoders  # noqa: E402
from melody.tokens.channels import layout_of  # noqa: E402
from melody.web.model import page_model  # noqa: E402

needs_core = pytest.mark.skipif(native.core() is None, reason=f"no native core: {native.opened()[1]}")
IDS = TOKENIZER.encode(tune(3))
CONTEXT = TOKENIZER.context(IDS).astype(np.int64)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_told_bundle(tmp_path_factory.mktemp("told") / "told"))


def walked(engine: Engine, *pitches: int, steps: int = 120) -> np.ndarray:
    """Logits (T, B, V) of a tune in rows that are told something each."""
    carry, found = engine.start_told(grids(*pitches)), []  # type: ignore[attr-defined]
    for token, told in zip(IDS[:steps], CONTEXT, strict=False):
        logits, carry = engine.step(np.full(len(pitches), token), np.repeat(told[None], len(pitches), axis=0), carry)
        found.append(logits.copy())
    return np.stack(found)


@pytest.mark.parametrize("in_c", [pytest.param(True, marks=needs_core), False], ids=["C", "numpy"])
def test_the_encoder_reads_what_torch_reads(in_c: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not in_c:
        monkeypatch.setattr(encoders, "core", lambda: None)
    model = told_model()
    found, tables = EngineEncoder(STEP_GRAPHS[NAME].encoder(arrays_of(model)), VIEWS["given"], OPTIONS["steps"]).start(
        grids(5, 0)
    )
    with torch.no_grad():
        carry = model.start(2, {"told": torch.from_numpy(grids(5, 0))})
        wanted = torch.cat([carry[f"{part}_{layer}"] for layer in range(2) for part in "hc"], 1).numpy()
        beside = model.beside(carry["encoded"]).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    np.testing.assert_allclose(np.stack(list(tables)), beside, atol=2e-6)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.1


def test_in_32_bits_the_graph_steps_as_torch_does() -> None:
    model = told_model()
    told = EngineEncoder(STEP_GRAPHS[NAME].encoder(arrays_of(model)), VIEWS["given"], OPTIONS["steps"])
    engine = OnnxEngine(told_files(model, eight_bit=False)["step.onnx"], told=told)
    exact, found = walked(TorchEngine(model), 5, 0, 7), walked(engine, 5, 0, 7)
    np.testing.assert_allclose(found, exact, atol=1e-4)
    assert all(np.abs(exact[:, 1] - exact[:, row]).max() > 0.1 for row in (0, 2))


@needs_core
def test_in_8_bits_both_engines_step_as_torch_does_with_the_same_weights(bundle: Bundle) -> None:
    exact, onnx, core = (walked(open_engine(bundle, kind), 5, 0) for kind in ("torch", "onnx", "native"))
    assert np.abs(exact - onnx).max() < 0.05 * np.abs(exact).max()
    assert np.abs(onnx - core).max() < 0.02 * np.abs(exact).max()
    assert np.median(np.abs(onnx - core)) < 1e-3


@needs_core
def test_all_kernels_give_the_same_bits_alone_and_among_others(bundle: Bundle) -> None:
    library, told, graph = native.core(), told_by(bundle), bundle.read("step.onnx")
    assert library is not None
    found = [walked(NativeEngine(graph, kernels=n, told=told), 5, 0, 7, 5, 3) for n in range(library.kernels_count())]
    assert all(np.array_equal(one, found[0]) for one in found)
    assert np.array_equal(walked(NativeEngine(graph, told=told), 7)[:, 0], found[0][:, 2])


@pytest.mark.parametrize("kind", ["onnx", pytest.param("native", marks=needs_core)])
def test_what_is_told_is_all_that_is_known_of_later_bars(kind: str, bundle: Bundle) -> None:
    """What is told of a later step is heard at once; a later token never changes an earlier logit."""
    engine = open_engine(bundle, kind)
    told, other = grids(5), grids(5)
    other[0, -1, 0] += 1
    first = IDS[:1], CONTEXT[:1]
    heard, changed = (engine.step(*first, engine.start_told(one))[0] for one in (told, other))  # type: ignore[attr-defined]
    assert np.abs(heard - changed).max() > 1e-5
    whole = walked(engine, 5)
    assert np.array_equal(walked(engine, 5, steps=60), whole[:60])


@pytest.mark.parametrize("kind", ["onnx", pytest.param("native", marks=needs_core)])
def test_rows_change_places_with_what_they_are_told(kind: str, bundle: Bundle) -> None:
    engine, rows = open_engine(bundle, kind), np.array([2, 0, 2])
    carry = engine.start_told(grids(5, 0, 7))  # type: ignore[attr-defined]
    whole, moved = walked(engine, 5, 0, 7), []
    for time, (token, told) in enumerate(zip(IDS[:80], CONTEXT, strict=False)):
        if time == 30:
            carry = reorder(carry, rows)
        logits, carry = engine.step(np.full(3, token), np.repeat(told[None], 3, axis=0), carry)
        moved.append(logits.copy())
    assert np.array_equal(np.stack(moved[30:]), whole[30:80, rows])


@needs_core
@pytest.mark.parametrize("hidden_size", [64, 40])
def test_reading_in_c_is_stepping_and_goes_on_from_what_was_read_under_the_same_condition(
    hidden_size: int, tmp_path: Path
) -> None:
    bundle = open_bundle(write_told_bundle(tmp_path, hidden_size=hidden_size))
    engine, layout = open_engine(bundle), layout_of(bundle.tokenizer.names)
    assert isinstance(engine, NativeEngine)
    for foreseen in (conditions(5), None, conditions(7), conditions(5)):
        plan = Plan(foreseen=foreseen)
        own, carry = bundle.tokenizer.reader(plan), start_for(engine, [bundle.tokenizer.reader(plan)])
        logits, (states, tables), nats = engine.read(engine.reader(layout, plan), IDS.tolist(), carry)
        for token in IDS:
            own.read(int(token))
            stepped, carry = engine.step(np.array([token]), own.context[None], carry)
        assert np.array_equal(stepped[0], logits)
        assert np.array_equal(states, carry[0])
        assert tables[0] is carry[1][0]
        assert nats() > 0


@needs_core
def test_a_reader_in_c_tells_what_one_in_python_tells(bundle: Bundle) -> None:
    engine, layout = open_engine(bundle), layout_of(bundle.tokenizer.names)
    for foreseen in (conditions(5), conditions(7, ticks=90), None):
        plan = Plan(foreseen=foreseen)
        readers = bundle.tokenizer.reader(plan), engine.reader(layout, plan)  # type: ignore[attr-defined]
        (own, (table,)), (core, (same,)) = (start_for(engine, [reader]) for reader in readers)
        assert np.array_equal(own, core)
        assert table is same
    pieces, plans = [IDS, IDS], iter([Plan(foreseen=conditions(5)), Plan()])
    found = token_nats(pieces, bundle, engine, lambda ids: next(plans))
    assert abs(found[0][0].sum() - found[1][0].sum()) > 1


@needs_core
def test_the_loop_in_c_draws_what_the_loop_in_python_draws(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    composer, song = Composer(bundle), tune(3)
    in_c = composer.compose(song, fill=(2, 3), seed=7, takes=3)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    in_python = composer.compose(song, fill=(2, 3), seed=7, takes=3)
    assert [take.to_midi() for take in in_c] == [take.to_midi() for take in in_python]


def streamed(stream: Generator[Any, None, Take]) -> bytes:
    """The take that a stream of notes ends with."""
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            return stop.value.to_midi()


@pytest.mark.parametrize("kind", ["onnx", pytest.param("native", marks=needs_core)])
def test_takes_beams_streams_and_replay(kind: str, bundle: Bundle) -> None:
    composer, song = Composer(bundle, kind), tune(3)
    (take,), (alone,) = (composer.compose(song, fill=(2, 3), seed=7, best_of=1) for _ in range(2))
    assert take.to_midi() == alone.to_midi()
    for part in ((0, 1), (3, len(bars(take.score)) - 1)):
        kept, before = (clip(score, *part) for score in (take.score, song))
        assert [list(map(str, one.notes)) for one in kept.tracks] == [
            list(map(str, one.notes)) for one in before.tracks
        ]
    for width in (1, 3):
        (found,), (again,) = (composer.compose(song, bars=1, seed=2, beam_width=width) for _ in range(2))
        assert found.to_midi() == again.to_midi()
    assert streamed(composer.stream(bars=2, seed=5)) == composer.compose(bars=2, seed=5)[0].to_midi()
    settings = {**composer.compose(bars=2, takes=3, seed=9)[2].settings}
    assert settings["step_graph"] == bundle.step_graph
    assert composer.recompose(settings).to_midi() == composer.compose(bars=2, takes=3, seed=9)[2].to_midi()


def test_it_composes_without_torch(bundle: Bundle) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import melody; from melody.generation import Composer\n"
        "for engine in ('onnx', 'auto'):\n"
        f"    assert Composer({str(bundle.folder)!r}, engine).compose(bars=1, seed=1)[0].notes >= 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_its_weights_come_back_out_of_a_bundle(bundle: Bundle) -> None:
    wanted, found = arrays_of(told_model()), weights_of(bundle)
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert found[name].shape == weight.shape, name
        if "bias" not in name:  # of two biases of a layer only the sum counts
            assert np.abs(found[name] - weight).max() <= 0.51 * np.abs(weight).max() / 127 + 1e-3, name


def test_another_encoder_is_another_model(bundle: Bundle, tmp_path: Path) -> None:
    files = told_files(told_model(seed=2))
    other = open_bundle(write_told_bundle(tmp_path, told_model(seed=3)))
    assert other.step_graph != bundle.step_graph
    assert set(files) == set(bundle.settings["files"])


Arrays = dict[str, np.ndarray]


def spoilt(folder: Path, change: Callable[[Arrays], Arrays], **settings: object) -> Path:
    """A bundle whose encoder has been changed; without arrays it has none."""
    files = told_files(told_model())
    arrays = change(load(files.pop(ENCODER)))
    files |= {ENCODER: save(arrays)} if arrays else {}
    changes = {"model": {"name": NAME, **OPTIONS, **settings}, "channels": list(TOKENIZER.names)}
    return write_bundle(folder, files, changes)


def without(arrays: Arrays, part: str) -> Arrays:
    return {name: array for name, array in arrays.items() if part not in name}


ATTACKS: dict[str, tuple[Callable[[Arrays], Arrays], dict[str, object], str]] = {
    "no encoder": (lambda arrays: {}, {}, "encoder are not of one model"),
    "a matrix less": (lambda arrays: without(arrays, "encoder.1.weight_hh"), {}, "is no encoder"),
    "another width": (
        lambda arrays: without(arrays, "beside") | {"beside.weight": np.ones((32, 24), np.float16)},
        {},
        "encoder are not of one model",
    ),
    "other channels": (
        lambda arrays: without(arrays, "told.0") | {"told.0.weight": np.ones((3, 24), np.float16)},
        {},
        "other channels",
    ),
    "too many steps": (dict, {"steps": 10**4}, "10000 steps"),
    "no steps": (dict, {"steps": 0}, "0 steps"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["onnx", "auto"])
def test_an_encoder_of_another_model_is_refused_in_a_line(name: str, kind: str, tmp_path: Path) -> None:
    change, settings, reason = ATTACKS[name]
    with pytest.raises(MelodyError, match=reason) as caught:
        open_engine(open_bundle(spoilt(tmp_path, change, **settings)), kind)
    assert "\n" not in str(caught.value)


def test_limits_of_a_configuration_are_those_of_an_encoder() -> None:
    fields = EncoderDecoderConfig.model_fields
    found = [
        most.le
        for name in ("encoder_size", "encoder_layers", "steps")
        for most in fields[name].metadata
        if hasattr(most, "le")
    ]
    assert found == [encoders.MOST_UNITS, encoders.MOST_LAYERS, encoders.MOST_STEPS]


def test_a_page_is_not_made_of_it(bundle: Bundle) -> None:
    with pytest.raises(MelodyError, match="nothing runs the encoder"):
        page_model(bundle)
