"""Train the page reader on engraved staves, measure it, and write it for `melody.senses.page`.

    python -m melody.learning.page_reader.train --staves outputs/pages/train --valid outputs/pages/valid \
        --minutes 50 --out outputs/page_reader
    python -m melody.learning.page_reader.train --measure outputs/pages/test --out outputs/page_reader

Minutes are those of the processor; with a GPU, of the clock, and `--workers` processes distort staves for it.
The engraving says in which frame each symbol begins, so the network first learns frame by frame (cross entropy), which
is quick, and then by CTC (Graves et al. 2006), which lets it choose the frames. Half of the staves are distorted as
photographs, a quarter as scans. The figure is the symbol error rate: edit distance over symbols.
"""

import argparse
import io
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.optim import swa_utils
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from melody.learning.page_reader.distorted import STRONG, WEAK, crowded, distorted
from melody.learning.page_reader.network import StaffReader
from melody.senses.page.symbols import INDEX, STRIDE

BATCH = 16
LEARNING_RATE = 2e-3
ALIGNED = 0.45  # share of the time in which frames are learned
CROWDED = 0.2  # share of staves with ink of their neighbours
REPORTED = 60.0  # processor seconds from one line of the log to the next
SMOOTHED = 0.995  # decay of the mean of weights that is kept
IGNORED = -1
Pixels = NDArray[np.uint8]


class StaffSample(NamedTuple):
    """A staff's picture as PNG, its symbols, and the column where each begins."""

    png: bytes
    symbols: list[int]
    columns: list[int]


def samples(folder: Path) -> list[StaffSample]:
    """Return all staves that lie in a folder."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as shard:
            data, ends = shard["data"].tobytes(), np.cumsum(shard["sizes"]).tolist()
            columns, at = shard["columns"].tolist(), 0
            for start, end, text in zip([0, *ends], ends, shard["texts"].tolist(), strict=False):
                symbols = [INDEX[symbol] for symbol in text.split()]
                found.append(StaffSample(data[start:end], symbols, columns[at : at + len(symbols)]))
                at += len(symbols)
    return found


def picture(sample: StaffSample) -> Pixels:
    """Return a sample's picture."""
    return np.asarray(Image.open(io.BytesIO(sample.png)))


def batches(
    pool: list[StaffSample], draw: np.random.Generator, size: int = BATCH
) -> Iterator[tuple[Tensor, list[StaffSample]]]:
    """Yield pictures (B, 1, H, W), distorted, in 8 bits, with their samples; staves of like length go together."""
    order = draw.permutation(len(pool))
    for chunk in range(0, len(order), size * 32):
        part = sorted(order[chunk : chunk + size * 32], key=lambda index: len(pool[index].png))
        groups = [part[start : start + size] for start in range(0, len(part) - size + 1, size)]
        for number in draw.permutation(len(groups)):
            chosen = [pool[index] for index in groups[number]]
            shown = [picture(sample) for sample in chosen]
            for row in np.flatnonzero(draw.random(len(shown)) < CROWDED):
                shown[row] = crowded(shown[row], shown[row - 1], draw)
            strengths = draw.choice((STRONG, STRONG, WEAK, 0.0), len(chosen))
            yield stacked([distorted(p, draw, float(k)) for p, k in zip(shown, strengths, strict=True)]), chosen


def stacked(pictures: list[Pixels]) -> Tensor:
    """Return pictures as one tensor (B, 1, H, W) in 8 bits, filled up with paper at the right."""
    width = -(-max(p.shape[1] for p in pictures) // STRIDE) * STRIDE
    result = np.full((len(pictures), 1, pictures[0].shape[0], width), 255, np.uint8)
    for row, pixels in zip(result, pictures, strict=True):
        row[0, :, : pixels.shape[1]] = pixels
    return torch.from_numpy(result)


def inked(pictures: Tensor) -> Tensor:
    """Return pictures in 8 bits as the network sees them: ink 1, paper 0."""
    return 1 - pictures.float() / 255


class ShownStaves(IterableDataset[tuple[Tensor, list[StaffSample]]]):
    """Batches of a folder's staves for ever, by a chance of its own in each process."""

    def __init__(self, folder: Path, seed: int, size: int) -> None:
        self.folder, self.seed, self.size = folder, seed, size

    def __iter__(self) -> Iterator[tuple[Tensor, list[StaffSample]]]:
        worker = get_worker_info()
        draw = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield from batches(samples(self.folder), draw, self.size)  # more may have come


def frame_targets(chosen: list[StaffSample], frames: int) -> Tensor:
    """Return the class of each frame (B, T): a symbol where it begins, one frame after it that is free, else blank."""
    target = np.zeros((len(chosen), frames + 2), np.int64)
    for row, sample in zip(target, chosen, strict=True):
        last = -1
        for symbol, column in zip(sample.symbols, sample.columns, strict=True):
            place = min(frames - 1, max(last + 1, round((column + 4) / STRIDE)))
            row[place] = symbol
            if row[place + 1] == 0:
                row[place + 1] = IGNORED
            last = place
    return torch.from_numpy(target[:, :frames])


def loss_of(logits: Tensor, chosen: list[StaffSample], by_frame: bool) -> Tensor:
    """Return the mean loss: of frames, or CTC's for each symbol."""
    if by_frame:
        targets = frame_targets(chosen, logits.shape[1]).to(logits.device)
        weight = torch.ones(logits.shape[2], device=logits.device)
        weight[0] = 0.3
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), weight, ignore_index=IGNORED)
    flat = torch.tensor([symbol for sample in chosen for symbol in sample.symbols], device=logits.device)
    lengths = torch.tensor([len(sample.symbols) for sample in chosen])
    frames = torch.full((len(chosen),), logits.shape[1])
    return nn.functional.ctc_loss(logits.log_softmax(2).transpose(0, 1), flat, frames, lengths, zero_infinity=True)


def train(
    pool_folder: Path,
    valid_folder: Path,
    minutes: float,
    out: Path,
    seed: int = 1,
    resume: float = 0.0,
    batch: int = BATCH,
    workers: int = 0,
) -> None:
    """Train for so many minutes, and leave the weights in `out`.

    With `resume` training goes on from the weights there, at this share of its schedule.
    """
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    clock = time.process_time if device == "cpu" else time.monotonic
    network = StaffReader().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if resume:
        network.load_state_dict(torch.load(out / "weights.pt", map_location=device, weights_only=True))
    average = swa_utils.get_ema_multi_avg_fn(SMOOTHED)  # type: ignore[no-untyped-call]
    mean = swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    begun, step, seen, said = clock(), 0, 0, 0.0
    for pictures, chosen in DataLoader(ShownStaves(pool_folder, seed, batch), batch_size=None, num_workers=workers):
        share = resume + (1 - resume) * (clock() - begun) / (60 * minutes)
        if share >= 1:
            break
        optimizer.param_groups[0]["lr"] = (
            LEARNING_RATE * min(1, (step + 1) / 200) * (0.02 + 0.98 * math.cos(share * math.pi / 2) ** 2)
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=device == "cpu"):
            shown = inked(pictures.to(device)).contiguous(memory_format=torch.channels_last)
            logits = network(shown).float()
        loss = loss_of(logits, chosen, share < ALIGNED)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        mean.update_parameters(network)
        step, seen = step + 1, seen + len(chosen)
        if clock() - begun - said > REPORTED:
            said = clock() - begun
            valid = samples(valid_folder)[:150]
            rates = {str(strength): error_rate(mean.module, valid, strength) for strength in (0.0, STRONG)}
            row = {"minutes": round(said / 60, 1), "step": step, "staves": seen, "loss": float(loss.detach())}
            print(json.dumps(row | {"symbol error rate": rates}), flush=True)
            torch.save(mean.module.state_dict(), out / "weights.pt")
            network.train()
    torch.save(mean.module.state_dict(), out / "weights.pt")


@torch.inference_mode()
def error_rate(network: nn.Module, pool: list[StaffSample], strength: float) -> float:
    """Return the symbol error rate on staves, distorted by a chance that is always the same."""
    network.eval()
    device = next(network.parameters()).device
    draw = np.random.default_rng(5)
    wrong = total = 0
    for start in range(0, len(pool), BATCH):
        chosen = pool[start : start + BATCH]
        shown = [distorted(picture(sample), draw, strength) for sample in chosen]
        best = network(inked(stacked(shown).to(device))).argmax(2).cpu().numpy()
        for row, sample, pixels in zip(best, chosen, shown, strict=True):
            wrong += distance(collapsed(row[: -(-pixels.shape[1] // STRIDE)]), sample.symbols)
            total += len(sample.symbols)
    return wrong / max(1, total)


def collapsed(classes: NDArray[np.int64]) -> list[int]:
    """Return the symbols of a row of frames: runs as one, blanks left out."""
    starts = np.append(True, classes[1:] != classes[:-1])
    return [int(symbol) for symbol in classes[starts] if symbol]


def distance(one: list[int], other: list[int]) -> int:
    """Return the edit distance of two lists."""
    row = list(range(len(other) + 1))
    for i, symbol in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, goal in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (symbol != goal))
    return row[-1]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--staves", type=Path)
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--resume", type=float, default=0.0, help="share of the schedule to go on at")
    parser.add_argument("--batch", type=int, default=BATCH, help="staves of a step")
    parser.add_argument("--workers", type=int, default=0, help="processes that distort staves")
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given: Any = parser.parse_args()
    torch.set_num_threads(1)
    if given.staves:
        train(given.staves, given.valid, given.minutes, given.out, 1, given.resume, given.batch, given.workers)
    if given.measure:
        network = StaffReader()
        network.load_state_dict(torch.load(given.out / "weights.pt", map_location="cpu", weights_only=True))
        pool = samples(given.measure)
        for name, strength in (("clean", 0.0), ("as scans", WEAK), ("as photographs", STRONG)):
            print(f"{given.measure} {name}: {100 * error_rate(network, pool, strength):.2f} % of {len(pool)} staves")


if __name__ == "__main__":
    main()
