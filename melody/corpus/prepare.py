"""Preparing: a recipe or a folder of music becomes a token store. Read, drop duplicates, split, limit, write.

A recipe says which piece belongs to which split. A folder is split here, 90 / 5 / 5, and versions of one tune stay on
one side. Nothing is transposed before the split; the store only notes by how much each piece may be.

What was read stays on disk, piece by piece, and is not read again: neither after Ctrl-C nor when files are added.
"""

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from melody.corpus.duplicates import clusters
from melody.corpus.gather import Gathered, How, gather
from melody.corpus.limits import allowed_shifts, pitch_limits
from melody.corpus.pieces import Dropped
from melody.corpus.played import gather_played, write_played
from melody.corpus.recipe import READERS, SPLITS, Counts, PieceList
from melody.corpus.report import music_of, page, warnings_of
from melody.corpus.retokenize import RetellingTokenizer, learn_miditok, retokenized
from melody.corpus.shards import FOLDER, Entry, Grams, Shards, numbers_in
from melody.corpus.sources import Corpus, find_corpus
from melody.corpus.splits import Home, Homes, settle
from melody.corpus.store import StoreRow, TokenStore, check_place, publish, read_channels
from melody.corpus.workers import TIMEOUT_SECONDS
from melody.errors import MelodyError
from melody.jsb16.tokenizer import VoicesTokenizer
from melody.music.score import Ints
from melody.storage.files import write_bytes
from melody.storage.locks import locked
from melody.tokens import EventTokenizer
from melody.tokens.channels import STYLES
from melody.tokens.contract import Tokenizer

if TYPE_CHECKING:
    pass

READING = 1  # to be raised when other pieces come out of the same files, so that all are read again
BETWEEN = "between splits"


@dataclass(frozen=True)
class CorpusReport:
    """Result of preparing a corpus."""

    name: str
    folder: Path  # of the store
    pieces: dict[str, int]  # by split
    notes: dict[str, int]
    tokens: dict[str, int]
    dropped: list[Dropped]
    clusters: int  # groups of versions of one tune
    shared_clusters: int  # with pieces in more than one split; 0 for a folder
    overlaps: dict[str, str]  # held-out piece -> train piece with which it shares music
    differences: list[str]  # from what the recipe expects
    remark: str  # of what is not in it, and how to get it; mostly empty
    warnings: list[str]  # where there is too little to learn from
    tokenizer: str
    lossless: float  # share of the pieces that the tokenizer keeps whole
    items: int  # files, mostly
    read: int  # of these now, and not before
    seconds: float

    @property
    def reasons(self) -> dict[str, int]:
        """Counts of dropped pieces by reason."""
        return dict(Counter(drop.reason for drop in self.dropped))

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self) | {
            "folder": str(self.folder),
            "dropped": [drop._asdict() for drop in self.dropped],
            "reasons": self.reasons,
        }


@dataclass(frozen=True)
class _Sorted:
    """The pieces of a corpus without duplicates, each in a split."""

    splits: dict[str, list[Entry]]
    dropped: list[Dropped]
    clusters: int
    shared_clusters: int
    homes: list[Home]


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    local: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    force: bool = False,
    seed: int = 0,
    styles: bool = False,
    miditok: str | None = None,
    bpe: int | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> CorpusReport:
    """Make a token store of a recipe (by name) or of a folder or archive of MIDI, MusicXML, ABC and kern files.

    The music of a recipe is read from `local`, a folder or an archive, or else fetched from where it is published.
    Archives within a folder are read too. Where the store is there already, only what is new or was changed is read,
    what has gone leaves it, and no piece changes its split; `force` reads all again and draws the split anew.

    With `styles` each folder within a folder of music is a style of its own, which a model learns to be asked for.

    The tokens are melody's events, or those that a recipe names, or with `miditok` (REMI, TSD, MMM ...) those of
    MidiTok, merged to a vocabulary of `bpe` by byte pair encoding where that is given; such a store is for training and
    comparing.

    `out` is by default ``corpora/NAME/prepared`` for a recipe and ``outputs/stores/NAME`` for a folder; report.html
    and report.json lie there too. `workers` are processes (default: all cores), which joblib carries:
    ``joblib.parallel_config(backend="dask")`` around the call moves them to other machines. A file whose reader needs
    more than `timeout_seconds`, or crashes, is left out. `progress` shows a bar on stderr (default: where that is a
    terminal); `seed` draws the split of a folder. Raises `MelodyError` where there is no such corpus, nothing readable
    in it, it cannot be fetched, or `out` holds something else, or a store that was made otherwise, without `force`.
    """
    began = time.perf_counter()
    corpus = find_corpus(source, Path(local) if local is not None else None)
    folder = Path(out) if out is not None else corpus.out
    if out is None and miditok is not None:
        folder = folder.with_name(f"{folder.name}-{miditok.lower()}" + (f"-bpe{bpe}" if bpe else ""))
    options = {"source": corpus.origin, "seed": seed, "styles": styles, "miditok": miditok, "bpe": bpe}
    old = check_place(folder, options, force)
    how = How(workers, timeout_seconds, sys.stderr.isatty() if progress is None else progress)
    with corpus.root as root, locked(folder / FOLDER, "prepares here"), _shards(corpus, folder, old, force) as shards:
        found = gather(corpus, root, shards, how)
        homes = [] if old is None or force or corpus.pieces else old.homes()
        pieces = _sorted(corpus, shards, found, homes, seed)
        if not any(pieces.splits.values()):
            raise MelodyError(f"{source}: no piece could be read{_first_reason(pieces.dropped)}")
        by_folder = styles or (corpus.recipe is not None and corpus.recipe.styles)
        names = _styles(pieces.splits, source, least=2 if styles else 1) if by_folder else []
        tokens, tokenizer, lossless, said = _said(corpus, pieces.splits, shards, folder, miditok, bpe)
        shards.close()
        report = _report(corpus, folder, found, pieces, tokens, tokenizer.name, lossless, began)
        limits = pitch_limits(pieces.splits["train"], corpus.ranges)
        publish(
            folder,
            corpus.name,
            tokenizer,
            {s: [_row(e, limits, corpus.max_shift, names) for e in entries] for s, entries in tokens.items()},
            shards=[*shards.numbers, *said],
            report=report.to_dict(),
            styles=names,
            options=options,
            homes=pieces.homes,
        )
        entries = [entry for entries in pieces.splits.values() for entry in entries]
        _write_played(corpus, folder, found.items, root, entries)
        _write_report(report, entries)
    return report


def _write_played(corpus: Corpus, folder: Path, items: Sequence[str], root: Path, pieces: Sequence[Entry]) -> None:
    """Keep how the music was played, where its recipe's reader tells."""
    read = READERS[corpus.recipe.reader].played if corpus.recipe else None
    if read is not None:
        write_played(folder, gather_played(read, items, root, [piece.name for piece in pieces]))


def open_store(source: str | os.PathLike[str]) -> TokenStore:
    """The store in a folder, or that of a recipe or a folder of music at its default place, made if it is not there."""
    if (Path(source) / "store.json").is_file():
        return TokenStore.open(source)
    corpus = find_corpus(source, None)
    if not (corpus.out / "store.json").is_file():
        prepare(source)
    return store_of(source)


def store_of(source: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> TokenStore:
    """The store that `prepare` made of a source. Raises `MelodyError` where it did not."""
    return TokenStore.open(out if out is not None else find_corpus(source, None).out)


@contextmanager
def _shards(corpus: Corpus, folder: Path, old: TokenStore | None, force: bool) -> Iterator[Shards]:
    """Open the shards of earlier runs, ready for more; they are removed again where nothing came of it."""
    closed = old.shards if old else []
    with Shards(folder, _key(EventTokenizer(), corpus.reader, corpus.ngram), closed, closed if force else ()) as shards:
        try:
            yield shards
        except MelodyError:
            if old is None and not any(record.entries for record in shards.records.values()):
                shards.close()
                shutil.rmtree(folder / FOLDER, ignore_errors=True)
                folder.rmdir()
            raise


def _key(tokenizer: Any, reader: str, ngram: int) -> dict[str, Any]:
    """Return all that decides the content of a shard, beside the files."""
    return {
        "reading": READING,
        "reader": reader,
        "ngram": ngram,
        "tokenizer": tokenizer.name,
        "vocabulary": tokenizer.vocabulary.hash,
        "channels": len(read_channels(tokenizer)),
    }


def _sorted(corpus: Corpus, shards: Shards, found: Gathered, homes: list[Home], seed: int) -> _Sorted:
    """Drop what a recipe leaves out, and duplicates; find versions of one tune, and a split for each piece."""
    records = [shards.records[item] for item in found.items]
    entries = [entry for record in records for entry in record.entries]
    dropped = [*found.dropped, *(drop for record in records for drop in record.dropped)]
    if corpus.pieces is not None:
        entries, dropped = _listed(entries, dropped, corpus.pieces)
    entries, duplicates = drop_duplicates(entries, corpus.split_of)
    labels = clusters(Grams(shards, entries))
    given = corpus.split_of
    drawn = [given[e.name] for e in entries] if given is not None else settle(entries, labels, Homes(homes), seed)
    between = [
        Dropped(entry.name, BETWEEN, f"{entry.name}: has versions of its tune in two splits")
        for entry, split in zip(entries, drawn, strict=True)
        if not split
    ]
    splits = {split: [e for e, own in zip(entries, drawn, strict=True) if own == split] for split in SPLITS}
    now = {e.fingerprint: (e.name, e.fingerprint, split) for split, members in splits.items() for e in members}
    return _Sorted(
        splits,
        [*dropped, *duplicates, *between],
        len(set(labels.tolist())),
        _shared(labels, drawn),
        [*(home for home in homes if home[1] not in now), *now.values()] if given is None else [],
    )


def _listed(pieces: list[Entry], dropped: list[Dropped], known: PieceList) -> tuple[list[Entry], list[Dropped]]:
    """Return the pieces that a recipe lists, and all that it leaves out or that are not there."""
    wanted = [piece for piece in pieces if piece.name in known.split_of]
    failed = [drop for drop in dropped if drop.name not in known.left_out]
    met = {piece.name for piece in wanted} | {drop.name for drop in failed}
    missing = [Dropped(name, "not there") for name in known.split_of if name not in met]
    return wanted, [*(Dropped(name, reason) for name, reason in known.left_out.items()), *failed, *missing]


def _said(
    corpus: Corpus,
    splits: dict[str, list[Entry]],
    shards: Shards,
    folder: Path,
    miditok: str | None,
    bpe: int | None,
) -> "tuple[Mapping[str, list[Entry]], Tokenizer, float, list[int]]":
    """The splits in the tokens that were asked for, their tokenizer, what share it keeps whole, and further shards."""
    tokenizer: RetellingTokenizer
    if miditok is not None:
        tokenizer = learn_miditok(splits["train"], shards, miditok, bpe)
    elif corpus.recipe is not None and corpus.recipe.tokens == VoicesTokenizer.name:
        tokenizer = VoicesTokenizer()
    else:
        return splits, EventTokenizer(), 1.0, []
    with Shards(folder, _key(tokenizer, "", 0), forgotten=numbers_in(folder)) as said:
        tokens, lossless = retokenized(splits, shards, said, tokenizer)
    return tokens, tokenizer, lossless, said.numbers


def _report(
    corpus: Corpus,
    folder: Path,
    found: Gathered,
    pieces: _Sorted,
    tokens: Mapping[str, list[Entry]],
    tokenizer: str,
    lossless: float,
    began: float,
) -> CorpusReport:
    counts = {split: len(entries) for split, entries in pieces.splits.items()}
    notes = {split: sum(entry.notes for entry in entries) for split, entries in pieces.splits.items()}
    expected = corpus.recipe.expected if corpus.recipe else {}
    return CorpusReport(
        name=corpus.name,
        folder=folder,
        pieces=counts,
        notes=notes,
        tokens={split: sum(entry.place.tokens for entry in entries) for split, entries in tokens.items()},
        dropped=pieces.dropped,
        clusters=pieces.clusters,
        shared_clusters=pieces.shared_clusters,
        overlaps=corpus.pieces.overlaps if corpus.pieces else {},
        differences=found.differences + _differences(counts, notes, expected),
        remark=corpus.remark,
        warnings=warnings_of(counts, notes, pieces.clusters, [] if corpus.pieces else pieces.dropped),
        tokenizer=tokenizer,
        lossless=lossless,
        items=len(found.items),
        read=found.read,
        seconds=round(time.perf_counter() - began, 1),
    )


def _write_report(report: CorpusReport, entries: Sequence[Entry]) -> None:
    content = report.to_dict() | {"music": music_of(entries)}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_bytes(report.folder / "report.json", text.encode(errors="replace"), force=True)
    write_bytes(report.folder / "report.html", page(content).encode(errors="replace"), force=True)


def _first_reason(dropped: Sequence[Dropped]) -> str:
    return f"; the first: {dropped[0].detail or dropped[0].reason}" if dropped else ""


# ---- duplicates, counts, styles -------------------------------------------------------------------------------------


class Fingerprinted(Protocol):
    """A piece that can be told from others."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


P = TypeVar("P", bound=Fingerprinted)


def drop_duplicates(pieces: Sequence[P], split_of: dict[str, str] | None = None) -> tuple[list[P], list[Dropped]]:
    """Keep the first of pieces with the same notes up to transposition.

    Where the split is given, only within its splits: a published split is kept as it is, with what it shares.
    """
    first: dict[tuple[str, str], str] = {}
    kept: list[P] = []
    dropped: list[Dropped] = []
    for piece in pieces:
        key = (piece.fingerprint, split_of[piece.name] if split_of else "")
        if key in first:
            dropped.append(Dropped(piece.name, "duplicate", f"the same notes as {first[key]}"))
        else:
            first[key] = piece.name
            kept.append(piece)
    return kept, dropped


def _shared(labels: Ints, drawn: Sequence[str]) -> int:
    homes = {(int(label), split) for label, split in zip(labels, drawn, strict=True) if split}
    return sum(count > 1 for count in Counter(label for label, _ in homes).values())


def _differences(pieces: dict[str, int], notes: dict[str, int], expected: dict[str, Counts]) -> list[str]:
    return [
        f"{split}: {pieces[split]} pieces and {notes[split]:,} notes; "
        f"the recipe expects {counts.pieces} and {counts.notes:,}"
        for split, counts in expected.items()
        if counts != Counts(pieces=pieces[split], notes=notes[split])
    ]


def _styles(splits: Mapping[str, Sequence[Entry]], source: str | os.PathLike[str], least: int) -> list[str]:
    """The folders in which the pieces are. Raises `MelodyError` where they are no styles."""
    names = sorted({style_of(entry.name) for entries in splits.values() for entry in entries})
    if "" in names or not least <= len(names) <= STYLES:
        raise MelodyError(
            f"{source}: --styles wants 2 to {STYLES} folders in it, a style each, and all pieces in these"
        )
    return names


def style_of(name: str) -> str:
    """The first folder in a piece's name; empty without one."""
    return name.split("/", 1)[0] if "/" in name else ""


def _row(entry: Entry, limits: Sequence[tuple[int, int]], max_shift: int, styles: Sequence[str]) -> StoreRow:
    style = 1 + styles.index(style_of(entry.name)) if styles else 0
    return StoreRow(entry.name, entry.place, entry.notes, allowed_shifts(entry, limits, max_shift), style)
