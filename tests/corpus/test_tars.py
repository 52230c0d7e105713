"""Tars and packed tars: streams one after the other, headers, ends, and how much one may say and hold."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.made_music import drummer

from melody.corpus import archives, prepare
from melody.corpus.archives import Budget, unpack
from melody.errors import LimitExceeded, MelodyError
from tests.corpus.test_archives import FILES, tar_of, unpacked, zip_of

PACKS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKS)
@pytest.mark.parametrize("parts", [2, 7])
def test_an_archive_of_several_streams_is_read_whole(kind: str, parts: int, tmp_path: Path) -> None:
    tar = tar_of(FILES)
    size = -(-len(tar) // parts)
    assert unpacked(b"".join(PACKS[kind](tar[i : i + size]) for i in range(0, len(tar), size)), tmp_path) == FILES


@pytest.mark.parametrize("kind", PACKS)
def test_a_stream_that_ends_where_a_file_ends_hides_nothing(kind: str, tmp_path: Path) -> None:
    tar = tar_of(FILES)
    cut = tar.index(b"top/deep/b.txt")
    assert unpacked(PACKS[kind](tar[:cut]) + PACKS[kind](tar[cut:]), tmp_path) == FILES


@pytest.mark.parametrize("kind", PACKS)
def test_zeros_behind_a_stream_are_padding(kind: str, tmp_path: Path) -> None:
    tar, padding = tar_of(FILES), bytes(5000)
    assert unpacked(PACKS[kind](tar[:700]) + padding + PACKS[kind](tar[700:]) + padding, tmp_path) == FILES


@pytest.mark.parametrize("kind", PACKS)
def test_empty_streams_hide_nothing(kind: str, tmp_path: Path) -> None:
    assert unpacked(PACKS[kind](b"") * 3000 + PACKS[kind](tar_of(FILES)), tmp_path) == FILES


@pytest.mark.parametrize("kind", PACKS)
def test_what_stands_behind_the_last_stream_is_said(kind: str, tmp_path: Path) -> None:
    refused: list[tuple[str, str]] = []
    data = PACKS[kind](tar_of(FILES)) + b"and so on"
    assert unpacked(data, tmp_path, lambda *said: refused.append(said)) == FILES
    assert [name for name, _ in refused] == [""]
    assert "behind its end" in refused[0][1]


@pytest.mark.parametrize("kind", PACKS)
def test_a_second_stream_that_is_cut_off_is_refused(kind: str, tmp_path: Path) -> None:
    tar = tar_of(FILES)
    with pytest.raises(MelodyError, match="cut off"):
        unpacked(PACKS[kind](tar[:700]) + PACKS[kind](tar[700:])[:-5], tmp_path)


def test_tars_in_a_row_are_all_read(tmp_path: Path) -> None:
    assert unpacked(tar_of(FILES) + tar_of({"second.mid": b"2"}), tmp_path) == FILES | {"second.mid": b"2"}


@pytest.mark.parametrize(("behind", "said"), [(b"", "has no end"), (bytes(1024) + b"odd" * 500, "that are no tar")])
def test_a_tar_without_an_end_or_with_more_behind_it_is_said_to_be_so(behind: bytes, said: str, tmp_path: Path) -> None:
    refused: list[str] = []
    data = tar_of({"a.mid": b"1"})[:1024] + behind
    assert unpacked(data, tmp_path, lambda _, reason: refused.append(reason)) == {"a.mid": b"1"}
    assert len(refused) == 1
    assert said in refused[0]


def test_a_header_damaged_in_the_middle_ends_nothing_in_silence(tmp_path: Path) -> None:
    tar = bytearray(tar_of(FILES))
    tar[tar.index(b"top/deep/b.txt")] ^= 1
    with pytest.raises(MelodyError, match="damaged"):
        unpacked(bytes(tar), tmp_path)


# ---- bounds ---------------------------------------------------------------------------------------------------------


def told(kind: bytes, record: bytes, count: int) -> bytes:
    """An extended header of so many records."""
    entry = tarfile.TarInfo("x")
    body = b"".join(record % number for number in range(count))
    entry.type, entry.size = kind, len(body)
    return entry.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)


def test_what_a_tar_says_of_all_its_entries_is_bounded(tmp_path: Path) -> None:
    honest, far_too_much = (told(tarfile.XGLTYPE, b"10 k%03d=v\n", count) for count in (20, 900))
    assert unpacked(honest + tar_of(FILES), tmp_path) == FILES
    (tmp_path / "second").mkdir()
    with pytest.raises(LimitExceeded, match="of all its entries"):
        unpacked(far_too_much + tar_of(FILES), tmp_path / "second")


def test_headers_are_bounded_one_by_one(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(LimitExceeded, match="header of"):
        unpacked(header.tobuf(tarfile.USTAR_FORMAT) + bytes(2048), tmp_path)


def test_headers_are_bounded_together(tmp_path: Path) -> None:
    entries = [told(tarfile.XHDTYPE, b"12 k%05d=v\n", 60_000) + tar_of({f"{n}.mid": b""})[:512] for n in range(9)]
    with pytest.raises(LimitExceeded, match="headers of a length"):
        unpacked(lzma.compress(b"".join(entries)), tmp_path)


def test_a_chain_of_headers_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(MelodyError, match=r"damaged|header"):
        unpacked(lzma.compress(told(tarfile.XHDTYPE, b"6 k=%d\n", 1) * 3000 + tar_of(FILES)), tmp_path)


@pytest.mark.parametrize("pack", [zip_of, lambda files: lzma.compress(tar_of(files))])
def test_a_small_archive_has_few_entries(pack: Callable[..., bytes], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "_FREE_ENTRIES", 40)
    monkeypatch.setattr(archives, "_ENTRY_BYTES", 400)
    with pytest.raises(LimitExceeded, match=r"more than \d+ entries"):
        unpacked(pack({f"{number}.mid": b"" for number in range(1000)}), tmp_path)


def test_an_archive_within_an_archive_counts_with_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 1 << 20)
    inner = zip_of({"in.mid": bytes(600_000)})
    (tmp_path / "in.zip").write_bytes(inner)
    budget = Budget(len(inner))
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    unpack(tmp_path / "in.zip", tmp_path / "0", budget=budget)
    with pytest.raises(LimitExceeded, match=r"inner: unpacks to more than"):
        unpack(tmp_path / "in.zip", tmp_path / "1", name="inner", budget=budget)


# ---- what prepare makes of them -------------------------------------------------------------------------------------


def test_prepare_reads_the_rest_and_names_what_it_left_out(tmp_path: Path) -> None:
    tunes = [(f"tunes/{number}.mid", drummer(number)) for number in range(4)]
    inner = zip_of([*tunes[2:], ("tunes/Bach: Air.mid", b""), ("broken.zip", b"PK\3\4")])
    odd = [("../up.mid", b""), ("more.zip", inner), ("old.7z", b"7z\xbc\xaf\x27\x1c"), ("bad.tgz", b"no")]
    (tmp_path / "all.tar.gz").write_bytes(gzip.compress(tar_of([*tunes[:2], *odd])))
    report = prepare(tmp_path / "all.tar.gz", tmp_path / "store", workers=1)
    assert sum(report.pieces.values()) == 4
    left_out = {drop.name: drop.detail for drop in report.dropped}
    assert sorted(left_out) == ["../up.mid", "bad.tgz", "more.zip/tunes/Bach: Air.mid", "old.7z"]
    assert left_out["../up.mid"] == "../up.mid: its path leads out of its folder"
    assert left_out["old.7z"] == "old.7z: a 7z archive; unpack it first: 7z x FILE"
    assert not any("melody-corpus-" in detail for detail in left_out.values())


def test_damage_to_one_file_of_a_zip_costs_that_file(tmp_path: Path) -> None:
    data = bytearray(zip_of([("a.mid", b"MThd" * 50), ("b.mid", b"MTrk" * 50)]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        data[archive.infolist()[1].header_offset + 40] ^= 0xFF
    refused: list[str] = []
    assert list(unpacked(bytes(data), tmp_path, lambda name, _: refused.append(name))) == ["a.mid"]
    assert refused == ["b.mid"]
