"""Any MidiTok tokenization as a tokenizer of melody, to train on and to compare with: REMI, TSD, MMM and their kin.

MidiTok (Fradet et al. 2021, arXiv:2310.17202) is set up for least loss: 24 positions a beat, all pitches, 32
velocities, melody's own tempo bins, meters, keys, programs, all tracks in one stream. What it loses all the same:

======================================  ================================================================================
tracks of one program (REMI, TSD)       become one, and notes of one pitch that overlap in it are cut; MMM keeps them
the order of tracks (REMI, TSD)         becomes that in which they begin
a note longer than 12 beats             is cut to 12 beats of the meter's unit
meters of whole notes                   are dropped, the one before goes on; so are those of more than 12 quarters
in 2/2                                  the grid is 12 a quarter, as it hangs on the meter's unit: 32nds move
no key at the start                     becomes C major
======================================  ================================================================================

So `decode(encode(score)) == quantize(score)` holds for much music but not for all: ask `is_lossless`. What has come
back once comes back unchanged ever after. There are no context channels and there is no grammar.
MidiTok imports torch where it is installed, so it is imported when a tokenizer is made, and nothing else imports this.
"""

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import ConfigError, MelodyError, UnreadableFile
from melody.music.quantize import HIGHEST_TEMPO, LOWEST_TEMPO, quantize, tempo_of_bin
from melody.music.score import GRID, Score, shift_signature
from melody.storage.files import write_bytes
from melody.tokens.channels import Channel
from melody.tokens.reader import Plan
from melody.tokens.vocabulary import Vocabulary

FILE_NAME = "miditok.json"
LONGEST_BEATS = 12  # of a duration
BASE_OF_MMM = "TSD"

Ids = NDArray[np.int32]


def least_loss() -> dict[str, Any]:
    """MidiTok's options (of its `TokenizerConfig`, as in JSON) that lose least of a quantised score."""
    return {
        "pitch_range": [0, 127],
        "drums_pitch_range": [0, 127],
        "beat_res": {f"0_{LONGEST_BEATS}": GRID},
        "num_velocities": 32,
        "special_tokens": ["PAD", "BOS", "EOS"],
        "use_tempos": True,
        "num_tempos": HIGHEST_TEMPO - LOWEST_TEMPO + 1,
        "tempo_range": [tempo_of_bin(0), tempo_of_bin(HIGHEST_TEMPO - LOWEST_TEMPO)],
        "log_tempos": True,
        "use_time_signatures": True,
        "time_signature_range": {
            "2": [*range(1, 7)],
            "4": [*range(1, 13)],
            "8": [*range(1, 25)],
            "16": [*range(1, 25)],
            "32": [*range(1, 8)],  # of bars cut short
        },
        "use_key_signatures": True,
        "use_programs": True,
        "one_token_stream_for_programs": True,
        "program_changes": True,
        "remove_duplicated_notes": True,
        "delete_equal_successive_tempo_changes": True,
        "delete_equal_successive_time_sig_changes": True,
    }


class MidiTokTokenizer:
    """A MidiTok tokenization by its class name, such as REMI, TSD or MMM; `options` replace those of `least_loss`.

    With `bpe_vocabulary_size` the tokens are merged by byte pair encoding, which `train_bpe` has to learn first;
    `trained` is what it learned. Raises `ConfigError` for what MidiTok does not know, and where it is not installed.
    """

    channels: tuple[Channel, ...] = ()

    def __init__(
        self,
        kind: str = "REMI",
        bpe_vocabulary_size: int | None = None,
        trained: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.kind = kind
        self.bpe_vocabulary_size = bpe_vocabulary_size
        self.options = options
        self._trained = trained
        self._miditok = _build(kind, {**least_loss(), **options}, trained)

    @property
    def name(self) -> str:
        """The kind in lower case, with ``+bpe`` where its tokens are merged."""
        return f"miditok-{self.kind.lower()}" + ("+bpe" if self.bpe_vocabulary_size else "")

    def telling(self, names: Sequence[str]) -> "MidiTokTokenizer":
        """The same: it has no channels."""
        return self

    def intervals(self, widest: int | None) -> None:
        """Its tokens come without channels, so that there is nothing to relate a pitch to: raises `ConfigError`."""
        if widest:
            raise ConfigError(f"model.intervals: {self.name} has no context channels; leave it out, or use events")

    @property
    def config(self) -> dict[str, object]:
        """Settings that rebuild this tokenizer, as JSON can hold them: ``MidiTokTokenizer(**config)``."""
        config: dict[str, object] = {"kind": self.kind, "bpe_vocabulary_size": self.bpe_vocabulary_size}
        return config | ({"trained": self._trained} if self._trained else {}) | self.options

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens: MidiTok's own, then the learned ones, named by their parts as in ``Pitch_60+Velocity_83``."""
        tokens = [token for token, _ in sorted(self._miditok.vocab.items(), key=lambda item: item[1])]
        ids: dict[str, range] = {}
        for index, token in enumerate(tokens):
            kind = token.partition("_")[0]
            ids[kind] = range(ids[kind].start if kind in ids else index, index + 1)
        if self._trained:
            merged = sorted(self._miditok.vocab_model.items(), key=lambda item: item[1])[len(tokens) :]
            ids["Merged"] = range(len(tokens), len(tokens) + len(merged))
            tokens += [self._name_of(text) for text, _ in merged]
        return Vocabulary(tuple(tokens), ids)

    def _name_of(self, text: str) -> str:
        bar = "Start+" if text.startswith("▁") else ""  # BPE marks the start of a bar's tokens
        return bar + "+".join(self._miditok._vocab_learned_bytes_to_tokens[text])

    def encode(self, score: Score) -> Ids:
        """The ids (T,) of a score's quantisation, from BOS to EOS. Raises `LimitExceeded` as `quantize` does."""
        self._require_training()
        body = self._miditok.encode(quantize(score)).ids
        return np.array([self._id("BOS"), *body, self._id("EOS")], np.int32)

    def decode(self, ids: NDArray[np.integer] | Sequence[int]) -> Score:
        """The quantised score of ids; PAD, BOS and EOS may stand anywhere."""
        from miditok import TokSequence

        self._require_training()
        marks = {self._id(name) for name in ("PAD", "BOS", "EOS")}
        body = [int(token) for token in ids if int(token) not in marks]
        if not body:
            return quantize(Score(GRID))
        return quantize(self._miditok.decode(TokSequence(ids=body, are_ids_encoded=self._trained is not None)))

    def is_lossless(self, score: Score) -> bool:
        """Return True where this tokenizer keeps all of a score that `quantize` keeps."""
        return bool(self.decode(self.encode(score)) == quantize(score))

    def context(self, ids: NDArray[np.integer] | Sequence[int], plan: Plan | None = None) -> NDArray[np.int16]:
        """The context channels (T, 0): none."""
        return np.zeros((len(ids), 0), np.int16)

    def transposition(self, ids: Ids) -> tuple[int, int]:
        """The lowest and highest number of semitones by which all pitches stay in range; (0, 0) for merged tokens."""
        span = self.vocabulary.ids["Pitch"]
        pitches = ids[(ids >= span.start) & (ids < span.stop)]
        if self._trained or not len(pitches):
            return 0, 0
        return span.start - int(pitches.min()), span.stop - 1 - int(pitches.max())

    def shift_tables(self, shifts: list[int]) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
        """Lookup tables of ids (S, V) that transpose, one row a shift in semitones; the channels are none.

        A pitch that would leave the range stays where it is; `transposition` says which shifts are safe.
        """
        names, id_of = self.vocabulary.tokens, self.vocabulary.id_of
        rows = [[id_of.get(_shifted(token, shift), i) for i, token in enumerate(names)] for shift in shifts]
        return np.array(rows, np.int32), []

    def train_bpe(self, scores: Iterable[Score], vocabulary_size: int | None = None) -> "MidiTokTokenizer":
        """This tokenizer with merges learned from scores, up to `vocabulary_size` tokens in all.

        Tokens merge within a bar. Raises `ConfigError` where the size leaves no room for merges.
        """
        size = vocabulary_size or self.bpe_vocabulary_size or 0
        base = MidiTokTokenizer(self.kind, **self.options)
        if size <= len(base.vocabulary):
            raise ConfigError(
                f"a BPE vocabulary of {size} tokens; {self.kind} has {len(base.vocabulary)} before merging"
            )
        miditok = base._miditok
        bars = [text for score in scores for text in _bars_as_text(miditok, quantize(score))]
        if not bars:
            raise ConfigError("BPE learns from scores, and got none")
        miditok.train(vocab_size=size, model="BPE", iterator=bars)
        return MidiTokTokenizer(self.kind, size, miditok.to_dict(), **self.options)

    def save(self, folder: Path, *, force: bool = False) -> Path:
        """Write the configuration, with all that BPE has learned, to `folder`; return the path of the file."""
        return write_bytes(folder / FILE_NAME, json.dumps(self.config).encode(), force=force)

    @classmethod
    def load(cls, folder: Path) -> "MidiTokTokenizer":
        """The tokenizer that `save` wrote. Raises `UnreadableFile`."""
        path = folder / FILE_NAME
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UnreadableFile(f"{path}: not a saved MidiTok tokenizer: {error}") from error

    def _id(self, name: str) -> int:
        return int(self._miditok.vocab[f"{name}_None"])

    def _require_training(self) -> None:
        if self.bpe_vocabulary_size and not self._trained:
            raise MelodyError(f"{self.name}: has learned no merges yet; call train_bpe(scores) first")


def _build(kind: str, options: Mapping[str, Any], trained: Mapping[str, Any] | None) -> Any:
    try:
        import miditok
    except ImportError as error:
        raise ConfigError("MidiTok is not installed; pip install 'melody[train]'") from error
    tokenization = getattr(miditok, kind, None)
    if not (isinstance(tokenization, type) and issubclass(tokenization, miditok.MusicTokenizer)):
        raise ConfigError(f"{kind!r} is no MidiTok tokenization; take REMI, TSD or MMM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that a tokenization does without; `is_lossless` tells
        if trained is None:
            tokenizer = tokenization(_configuration(miditok, kind, options))
        else:
            tokenizer = _restored(tokenization, trained)
    if tokenizer.is_multi_voc or not tokenizer.one_token_stream:
        raise ConfigError(f"{kind} does not write one sequence of single tokens a piece; take REMI, TSD or MMM")
    return tokenizer


def _configuration(miditok: Any, kind: str, options: Mapping[str, Any]) -> Any:
    known = miditok.TokenizerConfig().to_dict().keys() - {"additional_params"} | {"base_tokenizer", "max_bar_embedding"}
    for name in options.keys() - known:
        close = get_close_matches(name, known, 1)
        raise ConfigError(f"{name}: no option of MidiTok" + (f"; did you mean {close[0]}?" if close else ""))
    values = {"base_tokenizer": BASE_OF_MMM, **options} if kind == "MMM" else dict(options)
    values["beat_res"] = {tuple(map(int, beats.split("_"))): res for beats, res in values["beat_res"].items()}
    values["time_signature_range"] = {int(unit): list(n) for unit, n in values["time_signature_range"].items()}
    for name in ("pitch_range", "drums_pitch_range", "tempo_range"):
        values[name] = tuple(values[name])
    try:
        return miditok.TokenizerConfig(**values)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"MidiTok refuses these options: {error}") from error


def _restored(tokenization: Any, trained: Mapping[str, Any]) -> Any:
    """A trained tokenizer from what `to_dict` gave; MidiTok reads it only from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        path.write_text(json.dumps(trained), encoding="utf-8")
        return tokenization(params=path)


def _bars_as_text(miditok: Any, score: Score) -> list[str]:
    """The tokens of a score bar by bar, one character a token, as MidiTok's BPE reads them."""
    sequence = miditok.encode(score, encode_ids=False)
    return [miditok._ids_to_bytes(part.ids, as_one_str=True) for part in sequence.split_per_bars() if part.ids]


def _shifted(token: str, semitones: int) -> str:
    """The name of a token after transposition; merged tokens stay as they are, since their like may not exist."""
    if "+" in token:
        return token
    kind, _, value = token.partition("_")
    if kind == "Pitch":
        return f"Pitch_{int(value) + semitones}"
    if kind == "KeySig" and semitones:
        sharps, tonality = value.split(":")
        return f"KeySig_{shift_signature(int(sharps), semitones)}:{tonality}"
    return token
