"""A curve of pruning: nats, music, size and speed of a model with fewer weights, by each way of choosing them.

    python benchmarks/pruning.py [--model drums] [--ways movement magnitude ...] [--shares 0.25 0.5 0.75 0.9]
                                 [--steps 60] [--drawn 400] [--pieces 40] [--into FILE] [--quick]

`melody.learning.prune` says which ways there are; its controls are of equal size. Each variant is trained for the same
steps on the same windows of the model's corpus, with a warm-up and a cosine of that length, and evaluated on all pieces
of valid in fp32 without the grammar, as training does. Its step graph of 8 bits then takes the model's place in the
bundle: continuations of held-out pieces are composed and told apart from what followed, and the native core is timed.

`blocks` is a comparison: as many weights of the layers as a share of units leaves, in blocks of 8 rows of a column,
those of the largest norm. All units stay, and so does the size, since no engine skips zeros.

`distilled` and `drawn` begin as `movement` does and are taught by the whole model: half of their loss is what it thinks
at each place of the corpus, or of the corpus and of so many pieces that it has composed (`melody.learning.drawn`).

With `--steps 0 --pieces 0` nothing is trained: sizes and speeds alone, close together in time.

One line of JSON a variant goes to FILE as it comes; what stands there is not measured again.
"""

import argparse
import hashlib
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from race import one_thread  # noqa: E402

one_thread()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from melody.bundle import Bundle, open_bundle  # noqa: E402
from melody.config import TrainConfig  # noqa: E402
from melody.corpus import open_store  # noqa: E402
from melody.engine.graphs import STEP_GRAPHS  # noqa: E402
from melody.engine.native import NativeEngine  # noqa: E402
from melody.engine.torch import model_of  # noqa: E402
from melody.engine.weights import weights_of  # noqa: E402
from melody.evaluation.continuations import continued, cuts  # noqa: E402
from melody.evaluation.critic import FOLDS, told_apart  # noqa: E402
from melody.evaluation.form import GROOVES, TUNES, Excerpt  # noqa: E402
from melody.generation import Composer  # noqa: E402
from melody.generation.decoders.sampling import Sampled  # noqa: E402
from melody.generation.prepared import prepare  # noqa: E402
from melody.generation.seeds import Seed  # noqa: E402
from melody.generation.settings import Settings  # noqa: E402
from melody.learning import prune  # noqa: E402
from melody.learning.drawn import with_drawn  # noqa: E402
from melody.learning.sources import Sources, sources_of  # noqa: E402
from melody.learning.train import told_as_base  # noqa: E402
from melody.tokens.views import views_of  # noqa: E402
from melody.training import Lanes, Window, evaluate  # noqa: E402
from melody.training.devices import make_fabric  # noqa: E402
from melody.training.objectives import CrossEntropy, Distilled  # noqa: E402
from melody.training.state import RunState  # noqa: E402
from melody.training.step import take_step  # noqa: E402

SHARES = (0.25, 0.5, 0.75, 0.9)
BLOCKS, ROWS = "blocks", 8
DISTILLED, DRAWN = "distilled", "drawn"
WAYS = (*prune.WAYS, BLOCKS, DISTILLED, DRAWN)
AS_MOVEMENT = ("lottery", DISTILLED, DRAWN)  # ways that keep the same units
EMA = 0.98  # of so few steps
TAUGHT = 0.5  # share of the loss that is a teacher's
TREES = 100  # of the critic
SEEDS, BARS = range(1, 9), 32  # by which the core is timed
Weights = Mapping[str, NDArray[np.float32]]
Masks = dict[str, torch.Tensor]


class Curve:
    """A model, its corpus and the windows that variants learn from."""

    def __init__(self, model: str, steps: int, drawn: int, pieces: int, evaluated: int | None) -> None:
        self.bundle, self.steps, self.drawn = open_bundle(model), steps, drawn
        self.config = prune.config_of(self.bundle, model, "curve", prune.width_of(self.bundle), 1, ("threads=1",))
        self.weights = weights_of(self.bundle)
        self.sources: Sources = sources_of(told_as_base(self.config))
        self.cuts = cuts(open_store(self.config.corpus), self.bundle, pieces)
        if evaluated is not None:
            split = self.sources.held_out.split
            held = replace(split, **{name: getattr(split, name)[:evaluated] for name in ("names", "notes", "lengths")})
            self.sources = self.sources._replace(held_out=replace(self.sources.held_out, split=held))
        self.scores: dict[str, NDArray[np.float64]] = {}
        self._windows: dict[bool, list[Window]] = {}

    def windows(self, drawn: bool) -> list[Window]:
        """The windows of all steps, of the corpus or with what the model has composed."""
        if drawn not in self._windows:
            changes = (
                "objective.name=distilled",
                f"objective.teachers=[{self.bundle.folder}]",
                f"objective.drawn={self.drawn}",
            )
            source = (
                with_drawn(self.sources, self._config(units_of(self.weights), *changes))
                if drawn
                else self.sources.learnt
            )
            data = self.config.data
            lanes = Lanes(source, data.batch_size, data.window, data.seed)
            every = (window for pass_ in count() for window in lanes.windows(pass_))
            self._windows[drawn] = list(islice(every, self.steps))
        return self._windows[drawn]

    def variant(self, way: str, share: float) -> dict[str, Any]:
        """Measure a model of which a share of the units is gone, chosen in this way; of share 0, the model itself."""
        began = process_time()
        width = prune.width_for(self.bundle, share) if share else prune.width_of(self.bundle)
        weights, masks = self._start(way, width, share)
        right_after = self._nats(weights)
        trains = bool(share and self.steps)
        learned = self._train(weights, masks, way) if trains else weights
        row = {"model": self.bundle.name, "way": way, "share": share, "units": units_of(weights)}
        row |= {"steps": self.steps if share else 0}
        row |= {"nats right after": right_after, "nats": self._nats(learned) if trains else right_after}
        with self._bundled(learned) as bundle:
            graph = bundle.read("step.onnx")
            row |= {"MB": round(len(graph) / 1e6, 3), "packed MB": round(len(zlib.compress(graph, 9)) / 1e6, 3)}
            row |= self._music(bundle) | {"tokens a second": self._speed(bundle)}
        return row | {"seconds": round(process_time() - began)}

    def _start(self, way: str, width: int, share: float) -> tuple[Weights, Masks]:
        """Weights before training, and which of them stay zeros."""
        if not share:
            return self.weights, {}
        if way == BLOCKS:
            masks = block_masks(self.weights, 1 - (width / prune.width_of(self.bundle)) ** 2)
            kept = {name: np.where(mask.numpy(), self.weights[name], 0) for name, mask in masks.items()}
            return {**self.weights, **kept}, masks
        if way == "xavier":
            return prune.fresh(self.bundle, width, self.config.data.seed), {}
        chosen = "movement" if way in AS_MOVEMENT else way
        if chosen not in self.scores:
            self.scores[chosen] = prune.scores_of(self.bundle, self.config, self.weights, chosen)
        return prune.cut(self._whole(way), prune.largest(self.scores[chosen], width)), {}

    def _whole(self, way: str) -> Weights:
        before = prune.fresh(self.bundle, prune.width_of(self.bundle), self.config.data.seed)
        return before if way == "lottery" else self.weights

    def _train(self, weights: Weights, masks: Masks, way: str) -> Weights:
        config = self._config(units_of(weights))
        torch.manual_seed(config.data.seed)
        fabric, model = make_fabric(config), self._net(weights)
        taught = way in (DISTILLED, DRAWN)
        objective = Distilled([model_of(self.bundle)], TAUGHT, 1.0) if taught else CrossEntropy()
        state = RunState.fresh(model, config.optimizer, config.data.batch_size, objective)
        network, optimizer = fabric.setup(model, state.optimizer)
        network.mark_forward_method("start")
        network.train()
        for window in self.windows(way == DRAWN):
            take_step(fabric, network, optimizer, state, window, config, self.steps)
            for name, weight in model.named_parameters():
                if name in masks:
                    weight.data.mul_(masks[name])
        found = {name: weight.float().numpy() for name, weight in state.averaged.state_dict().items()}
        return found | {name: found[name] * mask.numpy() for name, mask in masks.items()}

    def _config(self, width: int, *changes: str) -> TrainConfig:
        changes = ("threads=1", "tensorboard=false", f"ema_decay={EMA}", *changes)
        config = prune.config_of(self.bundle, str(self.bundle.folder), "curve", width, 1, changes)
        warmup = max(1, min(config.optimizer.warmup_steps, self.steps // 10))
        return config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"warmup_steps": warmup})})

    def _net(self, weights: Weights) -> Any:
        width = units_of(weights)
        net = prune.net_of(self.bundle, width, self._config(width).model.options())
        net.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()})
        return net

    def _nats(self, weights: Weights) -> float:
        found = evaluate(self._net(weights), self.sources.held_out, batch_size=32)
        assert found is not None
        return round(found.nats_per_note, 4)

    @contextmanager
    def _bundled(self, weights: Weights) -> Iterator[Bundle]:
        """The bundle with these weights in 8 bits, as long as it is needed."""
        options = {**self.bundle.settings["model"], "hidden_size": units_of(weights)}
        views = views_of(self.bundle.tokenizer, options)
        graph = STEP_GRAPHS[options["name"]].build(weights, options, views, True)
        with TemporaryDirectory() as folder:
            files = {name: self.bundle.read(name) for name in self.bundle.settings["files"]} | {"step.onnx": graph}
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            yield Bundle(Path(folder), {**self.bundle.settings, "model": options, "files": hashes})

    def _music(self, bundle: Bundle) -> dict[str, Any]:
        """How continuations of held-out pieces hold a form, and how surely a forest tells them from what followed.

        Nothing where too few pieces are long enough.
        """
        composer, cut = Composer(bundle, "native"), self.cuts
        if len(cut) <= 2 * FOLDS:
            return {}
        new = {"composed": [continued(composer, one, seed) for seed, one in enumerate(cut)]}
        new["followed"] = [list(one.followed) for one in cut]
        found = told_apart([one.given for one in cut], new["composed"], new["followed"], TREES)
        statistics = GROOVES if bundle.tracks[0].drums else TUNES
        figures: dict[str, Any] = {"critic": round(found, 3)}
        for side, continuations in new.items():
            pieces = [
                Excerpt([*one.given, *bars], len(one.given), one.pickup, one.bar_ticks)
                for one, bars in zip(cut, continuations, strict=True)
            ]
            notes = sum(len(bar) for bars in continuations for bar in bars) / sum(map(len, continuations))
            means = {name: statistic(pieces) for name, statistic in statistics.items()} | {"notes a bar": notes}
            figures[side] = {name: round(value, 3) for name, value in means.items()}
        return figures

    def _speed(self, bundle: Bundle) -> int:
        """Tokens of a second of one core, pieces from nothing."""
        engine = NativeEngine(bundle.read("step.onnx"))
        prepared = prepare(bundle, engine, None, Settings(bars=BARS))
        Sampled().decode(prepared, engine, [Seed(0, 1)])
        started = process_time()
        takes = Sampled().decode(prepared, engine, [Seed(seed, 1) for seed in SEEDS])
        return int(round(sum(len(take.ids) for take in takes) / (process_time() - started), -2))


def units_of(weights: Weights) -> int:
    """Units of each layer."""
    return int(weights["embedding.weight"].shape[1])


def block_masks(weights: Weights, share: float) -> Masks:
    """Masks of the layers' matrices: of all their blocks of rows of a column, this share goes, of the least norm."""
    matrices = {name: weight for name, weight in weights.items() if name.startswith("lstms.") and weight.ndim == 2}
    norms = {
        name: (weight.astype(np.float64) ** 2).reshape(len(weight) // ROWS, ROWS, -1).sum(axis=1)
        for name, weight in matrices.items()
    }
    least = np.quantile(np.concatenate([norm.ravel() for norm in norms.values()]), share)
    return {name: torch.from_numpy((norm > least).repeat(ROWS, axis=0)) for name, norm in norms.items()}


def measure(curve: Curve, ways: Sequence[str], shares: Sequence[float], into: Path) -> None:
    """Measure each variant that is not known yet, and write it down."""
    for share, way in [(0.0, "whole"), *((share, way) for share in shares for way in ways)]:
        if (curve.bundle.name, way, share, curve.steps if share else 0) in _known(into):
            continue
        row = curve.variant(way, share)
        into.parent.mkdir(parents=True, exist_ok=True)
        with into.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def _known(into: Path) -> set[tuple[str, str, float, int]]:
    """Variants that stand in a file; another process may write there too."""
    rows = [json.loads(line) for line in into.read_text().splitlines()] if into.exists() else []
    return {(row["model"], row["way"], row["share"], row["steps"]) for row in rows}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="drums")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--drawn", type=int, default=400, help="pieces that the model composes for `drawn`")
    parser.add_argument("--pieces", type=int, default=40, help="continuations by which music is judged")
    parser.add_argument("--into", type=Path, default=Path("outputs/pruning.jsonl"))
    parser.add_argument("--quick", action="store_true", help="two steps, few pieces, one share")
    asked = parser.parse_args()
    if asked.quick:
        asked.steps, asked.drawn, asked.pieces, asked.shares = 2, 4, 6, [0.9]
    curve = Curve(asked.model, asked.steps, asked.drawn, asked.pieces, 4 if asked.quick else None)
    measure(curve, asked.ways, asked.shares, asked.into)


if __name__ == "__main__":
    main()
