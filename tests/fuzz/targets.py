"""What the fuzzer does with an input, by kind of file; each target raises where a promise is broken.

The promise: a result, or a `MelodyError` of one printable line; nothing outside of its own folder is written, and no
input takes seconds. Seeds are honest and hostile files that tests make anyway.
"""

import io
import json
import random
import struct
import tarfile
import tempfile
import zipfile
import zlib
from bz2 import compress as bzip2
from collections.abc import Callable, Iterable
from functools import cache
from gzip import compress as gzip
from lzma import compress as xz
from pathlib import Path
from typing import NamedTuple

import numpy as np

from melody.bundle.bundle import FORMAT
from melody.corpus.archives import unpack
from melody.engine.check.graph import check_step_graph
from melody.errors import MelodyError
from melody.formats.abc import parse_abc
from melody.formats.kern import parse_kern
from melody.formats.midi import SEQUENCER, Limits, Reading, parse
from melody.formats.midi.events import Repairs, scan
from melody.formats.midi.metas import OWN_ID, PieceLabels, read_metas
from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.document import document
from melody.generation.replay import embedded
from melody.music.score import notes_of
from melody.native.library import core
from melody.render.soundfont_file import check_soundfont
from melody.storage.untrusted import check_index, check_settings, check_weights, parse_json

NAME, LIMITS = "any", Limits()
WHOLE_ONE_IN = 16
MOST_SEED = 65_536  # bytes
TUNES = (
    "X:1\nT:Air\nC:Trad.\nM:6/8\nL:1/8\nQ:3/8=100\nK:G\n|: G2A BAG | [1 d3 d3 :| [2 (3efg a2 z |\n"
    "{cd}e>f !trill!g2- g |]\n",
    'X:2\nM:4/4\nL:1/16\n%%MIDI program 40\nV:1 clef=treble name="Tune"\nV:2 clef=bass transpose=-12\nK:Dm\n'
    '[V:1] "Am7"[A,CE]4 D\'2^F,2 | z16 |\nw: la le lu\n[V:2] D,,8 x8 & F,16 | Z |\n',
    "X:3\nM:C|\nL:1/4\nP:AABA\nK:Bb mix\nP:A\n|:: BcdB ::|\nP:B\n[M:3/4] [K:Eb] fed (3:2:2c2B|\\\n"
    "I:linebreak $\n+segno+ A4 |\n",
)
BUNDLE_FILES = ("bundle.json", "weights.safetensors", "originality.npz", "step.onnx")


class Target(NamedTuple):
    """What is done with an input, what to begin with, the modules whose branches guide, and the longest input."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    modules: tuple[str, ...]
    most_bytes: int = 2048


def _reads(read: Callable[[bytes], Reading]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            reading = read(data)
        except MelodyError as error:
            check_line(str(error))
            return
        check_reading(reading)

    return run


def check_reading(reading: Reading) -> None:
    """Hold a reading to what is promised of each."""
    for sentence in (*reading.repairs, *reading.remarks):
        check_line(sentence)
    for track in reading.score.tracks:
        notes = notes_of(track)
        assert not len(notes.onset) or (notes.onset.min() >= 0 and notes.duration.min() >= 1)
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in track.name), repr(track.name)


def check_line(text: str) -> None:
    """Hold a sentence to one line that any terminal can show."""
    assert text.isprintable(), repr(text)


# ---- music -----------------------------------------------------------------------------------------------------------


def _midi(data: bytes) -> None:
    """Read one input in sixteen to the end; for the others the walk over the bytes will do, ten times as quick."""
    if zlib.crc32(data) % WHOLE_ONE_IN == 0:
        _reads(lambda data: parse(data, NAME))(data)
        return
    try:
        file = scan(data, NAME, LIMITS)
        for number, track in enumerate(file.tracks, 1):
            assert len(track.ticks) == len(track.messages)
            read_metas(track, number, PieceLabels(), file.repairs, LIMITS)
    except MelodyError as error:
        check_line(str(error))
        return
    for sentence in file.repairs.sentences():
        check_line(sentence)


def _musicxml(data: bytes) -> None:
    if zlib.crc32(data) % WHOLE_ONE_IN == 0:
        _reads(lambda data: parse_musicxml(data, NAME))(data)
        return
    repairs = Repairs()
    try:
        document(data, NAME, repairs)
    except MelodyError as error:
        check_line(str(error))
    for sentence in repairs.sentences():
        check_line(sentence)


def _documents(data: bytes) -> None:
    """The first bytes are the seed of a document made up of elements that exist with values that may not."""
    from support.wild_musicxml import check, made

    check(made(int.from_bytes(data[:4])))


def _abc(data: bytes) -> None:
    try:
        for tune in parse_abc(data.decode("utf-8", "replace"), NAME):
            check_reading(tune)
    except MelodyError as error:
        check_line(str(error))


def _cases(suffixes: tuple[str, ...]) -> list[bytes]:
    from support import hostile_extremes, hostile_midi, hostile_text

    makers = (hostile_midi.damaged, hostile_extremes.odd, hostile_text.damaged, hostile_text.odd, hostile_text.refused)
    cases = [case for make in makers for case in make() if case.suffix in suffixes]
    return [case.data for case in cases if len(case.data) <= MOST_SEED]


def _kern_seeds() -> list[bytes]:
    from support.kern_scores import random_piece

    return [random_piece(random.Random(seed), 1 + seed % 3).text.encode() for seed in range(40)]


# ---- archives --------------------------------------------------------------------------------------------------------


def _archive(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "archive").write_bytes(data)
        (folder / "inside").mkdir()
        refused: list[tuple[str, str]] = []
        try:
            names = unpack(folder / "archive", folder / "inside", refuse=lambda *said: refused.append(said), name=NAME)
        except MelodyError as error:
            check_line(str(error))
            names = None
        for _, reason in refused:
            check_line(reason)
        assert sorted(path.name for path in folder.iterdir()) == ["archive", "inside"]
        found = [path for path in (folder / "inside").rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in found)
        assert names is None or len(found) == len(names)


def _archive_seeds() -> Iterable[bytes]:
    files = {"a.mid": b"MThd" * 9, "deep/b.abc": TUNES[0].encode(), "c: d.mid": b"", "../e.mid": b"x"}
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=kind, pax_headers={"comment": "g"}) as archive:
            for name, content in {**files, f"{'long/' * 25}f.mid": b"y"}.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.pax_headers = len(content), {"mtime": "1.5"}
                archive.addfile(entry, io.BytesIO(content))
        yield buffer.getvalue().rstrip(b"\0") + bytes(1024)
        yield from (pack(buffer.getvalue()) for pack in (gzip, bzip2, xz))
        yield gzip(buffer.getvalue()[:700]) + gzip(buffer.getvalue()[700:])
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        yield buffer.getvalue()


# ---- settings in a take, bundles, SoundFonts -------------------------------------------------------------------------


def _replay(data: bytes) -> None:
    """The input is the settings, so that changes reach them; they lie in a MIDI file as `melody.write` puts them."""
    text = OWN_ID + b"melody " + data
    length = bytes(digit | 0x80 for digit in (len(text) >> 14 & 127, len(text) >> 7 & 127)) + bytes([len(text) & 127])
    events = b"\0\xff" + bytes([SEQUENCER]) + length + text + b"\0\xff\x2f\0"
    head = b"MThd" + struct.pack(">IHHH", 6, 1, 1, 480)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "take.mid"
        path.write_bytes(head + b"MTrk" + struct.pack(">I", len(events)) + events)
        try:
            version, settings = embedded(path)
        except MelodyError as error:
            check_line(str(error))
            return
        assert isinstance(version, str)
        json.dumps(settings)


def _replay_seeds() -> Iterable[bytes]:
    import melody

    composer = melody.load("chorale")
    asked = (
        {},
        {"bars": 2, "chords": "Am F | C G7/B", "key": "C major", "density": "low"},
        {"bars": 1, "beam_width": 2, "temperature": 0.7, "top_p": 0.9},
    )
    for options in asked:
        take = composer.compose(**{"bars": 1, "seed": 1, **options})[0]
        yield b"0.2.0 " + json.dumps(take.settings | {"primer": None}).encode()


def _bundle(data: bytes) -> None:
    """The first byte chooses the file of the bundle, the others are what stands in it."""
    kind = BUNDLE_FILES[data[0] % len(BUNDLE_FILES)] if data else ""
    try:
        if kind == "bundle.json":
            check_settings(parse_json(data[1:]), FORMAT, _tokenizer())
        elif kind == "weights.safetensors":
            check_weights(data[1:])
        elif kind == "originality.npz":
            check_index(data[1:])
        elif kind == "step.onnx":
            check_step_graph(data[1:])
    except (ValueError, MelodyError) as error:
        check_line(str(error))


@cache
def _settings() -> bytes:
    """The bundle.json of a small bundle."""
    from support.tiny_bundle import write_bundle

    with tempfile.TemporaryDirectory() as name:
        write_bundle(Path(name) / "tiny")
        return (Path(name) / "tiny" / "bundle.json").read_bytes()


@cache
def _tokenizer() -> dict[str, object]:
    tokenizer: dict[str, object] = json.loads(_settings())["tokenizer"]
    return tokenizer


def _bundle_seeds() -> Iterable[bytes]:
    from safetensors.numpy import save
    from support.bundle_attacks import small_graph
    from support.tiny_bundle import tiny_files

    weights = save({"a": np.ones((2, 3), np.float16), "b": np.ones(1, np.float32)})
    files = (_settings(), weights, tiny_files()["originality.npz"], small_graph())
    return [bytes([number]) + data for number, data in enumerate(files)]


def _soundfont(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".sf2") as file:
        file.write(data)
        file.flush()
        try:
            check_soundfont(file.name)
        except ValueError as error:
            check_line(str(error))


def _soundfont_seeds() -> Iterable[bytes]:
    from support.soundfonts import INSTRUMENT, KEYS, SAMPLE, sine, soundfont

    wave = sine(0.01)
    yield soundfont(data=wave)
    zones = [{KEYS: low | (low + 15) << 8, SAMPLE: 0} for low in range(0, 128, 16)]
    yield soundfont([[{INSTRUMENT: 0}, {INSTRUMENT: 1}]] * 3, [zones, zones], data=wave, modulators=2)


def _native(data: bytes) -> None:
    """The bytes are the seed of a trial of the native core against Python."""
    if core() is not None:
        from support.native_trials import trial

        trial(zlib.crc32(data))


TARGETS = {
    "midi": Target(_midi, lambda: _cases((".mid",)), ("melody.formats.midi",)),
    "musicxml": Target(_musicxml, lambda: _cases((".musicxml", ".xml", ".mxl")), ("melody.formats.musicxml",)),
    "documents": Target(_documents, lambda: [bytes([0, 0, 0, n]) for n in range(9)], ("melody.formats.musicxml",), 4),
    "abc": Target(_abc, lambda: [*(t.encode() for t in TUNES), *_cases((".abc",))], ("melody.formats.abc",), 512),
    "kern": Target(_reads(lambda data: parse_kern(data, NAME)), _kern_seeds, ("melody.formats.kern",), 1024),
    "archive": Target(_archive, _archive_seeds, ("melody.corpus.archives", "melody.corpus.compressed"), 16_384),
    "replay": Target(_replay, _replay_seeds, ("melody.generation.replay", "melody.generation.settings")),
    "bundle": Target(_bundle, _bundle_seeds, ("melody.storage", "melody.engine.check"), 65_536),
    "native": Target(_native, lambda: [b"reader", b"takes"], ("melody.native",), 16),
    "soundfont": Target(_soundfont, _soundfont_seeds, ("melody.render.soundfont_file",), 4096),
}
