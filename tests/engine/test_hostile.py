"""Hostile and damaged files: each is read right with its repairs stated, or refused in one line, in bounded time.

The files come from `hostile_midi`, `hostile_extremes` and `hostile_text`; ``python tests/hostile.py`` prints how
readers fare with them.
"""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile_extremes, hostile_midi, hostile_text, strategies
from support.hostile import MOST_MEGABYTES, Read, is_bad, judge, melody_reads, run_case
from support.hostile_pieces import DUO, Case
from symusic.core import ScoreTick as Score

from melody.cli import run
from melody.errors import LimitExceeded, MelodyError
from melody.formats.abc import first_tune
from melody.formats.midi import dumps, parse
from melody.formats.musicxml import parse_musicxml
from melody.formats.reading import read_file
from melody.music.quantize import quantize
from melody.tokens import EventTokenizer

DAMAGED = [*hostile_midi.damaged(), *hostile_text.damaged()]
ODD = [*hostile_extremes.odd(), *hostile_text.odd()]


def by_name(cases: list[Case]) -> dict[str, Case]:
    """Cases by name, each name once."""
    named = {case.name: case for case in cases}
    assert len(named) == len(cases)
    return named


def name_of(case: Case) -> str:
    return case.name


# ---- the set ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", by_name(DAMAGED).values(), ids=name_of)
def test_damaged_files_are_mended_and_the_repairs_stated(case: Case) -> None:
    read = melody_reads(case)
    verdict, detail = judge(case, read)
    assert verdict in ("stated", "read"), detail
    assert all(repair.isprintable() for repair in read.repairs)
    assert any(case.says in repair for repair in read.repairs)


@pytest.mark.parametrize("case", by_name(ODD).values(), ids=name_of)
def test_odd_but_sound_files_are_read_without_repairs(case: Case) -> None:
    read = melody_reads(case)
    assert judge(case, read) == ("unsaid", "")


REFUSED = [case for case in [*hostile_extremes.refused(), *hostile_text.refused()] if len(case.data) < 300_000]


@pytest.mark.parametrize("case", by_name(REFUSED).values(), ids=name_of)
def test_what_cannot_be_read_is_refused_in_one_line(case: Case) -> None:
    refusal = melody_reads(case).refusal
    assert case.says in refusal
    assert f"case{case.suffix}: " in refusal
    assert refusal.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("make", [hostile_extremes.refused, hostile_text.refused])
def test_what_is_too_large_is_refused_in_time(make: Callable[[], list[Case]]) -> None:
    for case in make():
        outcome = run_case(melody_reads, case)
        assert outcome.verdict == "refused", outcome.detail
        assert case.says in outcome.detail
        assert not is_bad(outcome), outcome.detail


@pytest.mark.slow
@pytest.mark.parametrize("make", [hostile_extremes.heavy, hostile_text.heavy])
def test_no_file_takes_long_or_much_memory(make: Callable[[], list[Case]]) -> None:
    for case in make():
        outcome = run_case(melody_reads, case)
        assert not is_bad(outcome), (case.name, outcome.detail, outcome.seconds, outcome.megabytes)


def test_the_set_holds_what_it_should() -> None:
    assert len(hostile_midi.damaged()) >= 168
    assert hostile_midi.damaged() == hostile_midi.damaged()  # the same each time
    assert all(case.surely is not None for case in [*hostile_midi.damaged(), *hostile_extremes.odd()])


def test_the_judge_knows_wrong_from_right() -> None:
    case = Case("x", b"", ((0, 10, 60), (10, 10, 62)), ((20, 0, 64),), "cut", ((0, 500_000),))
    whole = Read(((0, 10, 60), (10, 10, 62)), ("it was cut off",), ((0, 500_000),))
    assert judge(case, whole)[0] == "stated"
    assert judge(case, Read((*whole.notes, (20, 99, 64)), whole.repairs, whole.tempos))[0] == "stated"
    assert judge(case, Read(whole.notes, ("other",), whole.tempos))[0] == "unsaid"
    assert judge(case, Read(whole.notes[:1], whole.repairs, whole.tempos))[0] == "partly"
    assert judge(case, Read(whole.notes[:1], (), whole.tempos))[0] == "misleading"
    assert judge(case, Read((*whole.notes, (20, 99, 65)), whole.repairs, whole.tempos))[0] == "misleading"
    assert judge(case, Read(((0, 11, 60), (10, 10, 62)), whole.repairs, whole.tempos))[0] == "misleading"
    assert judge(case, Read(whole.notes, whole.repairs, ((0, 1),)))[0] == "misleading"
    assert judge(case, Read(refusal="no"))[0] == "refused"


# ---- devices, through the command line -------------------------------------------------------------------------------

COMMANDS = {
    "compose": ("compose", "{}", "--bars", "1"),
    "inspect": ("inspect", "{}"),
    "check": ("check", "{}"),
    "render": ("render", "{}", "--out", "out.wav"),
    "originality": ("originality", "{}"),
    "prepare": ("prepare", "{}", "--out", "store"),
}


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Paths that are no readable regular file."""
    monkeypatch.chdir(tmp_path)
    paths = {name: tmp_path / f"{name}.mid" for name in ("fifo", "folder", "none", "loop", "link to zeros", "empty")}
    os.mkfifo(paths["fifo"])
    paths["folder"].mkdir()
    paths["loop"].symlink_to(paths["loop"])
    paths["link to zeros"].symlink_to("/dev/zero")
    paths["empty"].write_bytes(b"")
    return paths | {"zeros": Path("/dev/zero"), "long name": tmp_path / ("x" * 300)}


@pytest.mark.parametrize("command", COMMANDS)
def test_devices_are_refused_in_one_line(
    command: str, devices: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, path in devices.items():
        code = run([argument.format(path) for argument in COMMANDS[command]])
        said = capsys.readouterr()
        assert code == 1, (name, said)
        assert said.err.startswith("melody: "), (name, said)
        assert said.err.count("\n") == 1, (name, said)
        assert said.err.strip().isprintable(), (name, said)
    assert {path.name for path in Path().iterdir()} <= {path.name for path in devices.values()}


def test_an_unreadable_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret.mid"
    path.write_bytes(DUO.data)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(MelodyError, match="Permission denied"):
        read_file(path)


def test_a_hostile_file_ends_the_process_in_order(tmp_path: Path) -> None:
    (tmp_path / "far.mid").write_bytes(by_name(hostile_extremes.refused())["37 bytes with a far-away note"].data)
    command = [sys.executable, "-m", "melody", "inspect", "far.mid"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("melody: far.mid: ")
    assert done.stderr.count("\n") == 1


def test_inspect_states_every_repair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "damaged.mid"
    path.write_bytes(by_name(hostile_midi.damaged())["a track name with colours"].data)
    assert run(["inspect", str(path)]) == 0
    said = "".join(capsys.readouterr())
    assert "control characters in a text" in said
    assert "\x1b" not in said


# ---- chance ----------------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[bytes], object]] = {
    "midi": lambda data: parse(data, "any"),
    "musicxml": lambda data: parse_musicxml(data, "any"),
}
SEEDS = {
    "midi": [piece.data for piece in hostile_midi.PIECES.values()] + [c.data for c in hostile_midi.damaged()[::9]],
    "musicxml": [c.data for c in [*hostile_text.odd(), *hostile_text.damaged()[::5]] if c.suffix != ".abc"],
}


def reads_or_refuses(read: Callable[[bytes], object], data: bytes) -> None:
    """A reader returns or raises a `MelodyError` of one printable line."""
    try:
        said = read(data).repairs  # type: ignore[attr-defined]
    except MelodyError as error:
        said = (str(error).removeprefix("any: "),)
        began = str(error).startswith("any: ")
    else:
        began = True
    assert began
    assert all(sentence.isprintable() for sentence in said)


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A file with bytes changed, removed, repeated or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, 40))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


@pytest.mark.parametrize("kind", READERS)
@given(st.data())
@settings(max_examples=150)
def test_mutations_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    reads_or_refuses(READERS[kind], data.draw(mutated(SEEDS[kind])))


@pytest.mark.parametrize("kind", READERS)
@given(st.binary(max_size=300))
@settings(max_examples=80)
def test_bytes_are_read_or_refused(kind: str, data: bytes) -> None:
    reads_or_refuses(READERS[kind], data)


@given(st.text(st.sampled_from("X:1\nT:K:CMLQ/4|[](){}!\"%~^_='ABcdz2<>- \x1b\u202e"), max_size=120))
@settings(max_examples=15)
def test_tunes_are_read_or_refused(text: str) -> None:
    reads_or_refuses(lambda data: first_tune(data, "any"), f"X:1\nK:C\n{text}".encode())


@given(strategies.scores())
@settings(max_examples=40)
def test_what_is_written_needs_no_repair_and_its_tokens_lose_nothing(score: Score) -> None:
    reading = parse(dumps(score))
    assert reading.repairs == ()
    assert loses_nothing(reading.score)


def loses_nothing(score: Score) -> bool:
    """True if tokens bring back the quantised score."""
    tokenizer = EventTokenizer()
    return strategies.content(tokenizer.decode(tokenizer.encode(score))) == strategies.content(quantize(score))


def real_files(folder: Path, archive: str, step: int) -> Iterator[tuple[str, bytes]]:
    """Every `step`-th MIDI file of an archive."""
    with tarfile.open(folder / archive) as archived:
        members = [member for member in archived if member.name.endswith(".mid")]
        for member in members[::step]:
            file = archived.extractfile(member)
            assert file is not None
            yield member.name, file.read()


def test_real_files_pass_through_tokens_without_loss(data_folder: Path) -> None:
    names = [
        name for name, data in real_files(data_folder, "openhymnal.tar.xz", 20) if loses_nothing(parse(data).score)
    ]
    assert len(names) == 15


@pytest.mark.slow
def test_all_real_files_pass_through_tokens_without_loss(data_folder: Path) -> None:
    """Every MIDI file at hand; what lies beyond the vocabulary is refused by name."""
    beyond, lossy, count = [], [], 0
    for archive in ("openhymnal", "quartets", "lieder", "groove", "pop909"):
        for name, data in real_files(data_folder, f"{archive}.tar.xz", 1):
            count += 1
            try:
                lossy += [] if loses_nothing(parse(data, name).score) else [name]
            except LimitExceeded as error:
                beyond.append(f"{name}: {error}")
    assert count > 4_800
    assert not lossy
    assert len(beyond) <= 1, beyond


def test_memory_is_judged_in_a_process_of_its_own() -> None:
    outcome = run_case(melody_reads, ODD[0])
    assert (outcome.verdict, outcome.detail) == ("unsaid", "")
    assert 0 <= outcome.megabytes < MOST_MEGABYTES
    assert run_case(lambda case: os._exit(3), ODD[0]).verdict == "crashed"  # type: ignore[arg-type, return-value]
