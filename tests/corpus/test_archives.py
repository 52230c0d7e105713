"""Archives: what unpacks, what is refused (paths that lead out, bombs, damage), and what is passed over."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from melody.corpus import archives
from melody.corpus.archives import opened, unpack
from melody.errors import LimitExceeded, MelodyError, UnreadableFile

FILES = {"top/a.mid": b"MThd" * 1000, "top/deep/b.txt": b"beats\n", "c.mid": b""}


Files = dict[str, bytes] | list[tuple[str, bytes]]


def zip_of(files: Files, change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            change(entry)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a name twice
                archive.writestr(entry, data)
    return buffer.getvalue()


def tar_of(files: Files, *others: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for entry in others:
            archive.addfile(entry)
    return buffer.getvalue()


PACKED = {
    "zip": zip_of(FILES),
    "tar": tar_of(FILES),
    "tar.gz": gzip.compress(tar_of(FILES)),
    "tar.xz": lzma.compress(tar_of(FILES)),
    "tar.bz2": bz2.compress(tar_of(FILES)),
}


def unpacked(data: bytes, folder: Path, refuse: archives.Refuse = archives.refuse_all) -> dict[str, bytes]:
    """What unpacking writes, by path."""
    archive, target = folder / "archive", folder / "target"
    archive.write_bytes(data)
    target.mkdir()
    names = unpack(archive, target, refuse=refuse)
    assert not [p for p in folder.iterdir() if p.name not in ("archive", "target")]
    found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert sorted(found) == sorted(names)
    return found


@pytest.mark.parametrize("kind", PACKED)
def test_every_kind_unpacks_whatever_its_name(kind: str, tmp_path: Path) -> None:
    assert unpacked(PACKED[kind], tmp_path) == FILES


def test_only_what_is_wanted_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(PACKED["zip"])
    with opened(tmp_path / "x.zip", lambda path: path.endswith(".txt")) as folder:
        assert [p.name for p in folder.rglob("*") if p.is_file()] == ["b.txt"]
    assert not folder.exists()


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    with opened(tmp_path, lambda _: False) as folder:
        assert folder == tmp_path
    assert folder.exists()


ODD = {
    "../x.mid": "leads out of its folder",
    "a/../../x.mid": "leads out of its folder",
    "/tmp/x.mid": "leads out of its folder",
    "..\\x.mid": "leads out of its folder",
    "C:\\x.mid": "leads out of its folder",
    "a/\nb.mid": "not every system allows",
    "Bach: Air.mid": "not every system allows",
    "c.mid": "came before",
    "c.mid/d.mid": "no file can have this name",
    f"{'long' * 100}.mid": "no file can have this name",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_an_odd_name_refuses_its_entry_alone(name: str, pack: Callable[..., bytes], tmp_path: Path) -> None:
    entries = [*FILES.items(), (name, b"x"), ("last.mid", b"y")]
    refused: list[tuple[str, str]] = []
    assert unpacked(pack(entries), tmp_path, lambda *said: refused.append(said)) == FILES | {"last.mid": b"y"}
    assert [(said.replace("/", "\\"), ODD[name] in reason) for said, reason in refused] == [
        (name.replace("/", "\\"), True)
    ]


def test_an_odd_name_refuses_the_archive_where_it_is_known_what_should_be_in_it(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"archive: '\.\./x\.mid': its path leads out of its folder"):
        unpacked(zip_of({"../x.mid": b"x"}), tmp_path)


def test_an_odd_name_of_what_nobody_wants_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of(FILES | {"../notes: 1.txt": b""}))
    with opened(tmp_path / "x.tar", lambda path: path.endswith(".mid")) as folder:
        assert len(list(folder.rglob("*.mid"))) == 2


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    others = []
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)):
        others.append(tarfile.TarInfo(f"other{number}.mid"))
        others[-1].type, others[-1].linkname = kind, "/etc/passwd"
    assert unpacked(tar_of(FILES, *others), tmp_path) == FILES


def test_a_link_in_a_zip_is_passed_over(tmp_path: Path) -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = (0o120777 if entry.filename == "c.mid" else 0o100644) << 16

    assert set(unpacked(zip_of(FILES, link), tmp_path)) == set(FILES) - {"c.mid"}


@pytest.mark.parametrize(
    "pack", [zip_of, lambda files: gzip.compress(tar_of(files)), lambda f: lzma.compress(tar_of(f))]
)
def test_a_bomb_is_refused_early(
    pack: Callable[[dict[str, bytes]], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 1 << 20)
    with pytest.raises(LimitExceeded, match="unpacks to more than"):
        unpacked(pack({"zeros.mid": bytes(60 << 20)}), tmp_path)
    written = sum(path.stat().st_size for path in (tmp_path / "target").rglob("*"))
    assert written <= 16 << 20


def test_count_and_size_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 2)
    with pytest.raises(LimitExceeded, match="more than 2 entries"):
        unpacked(PACKED["tar.xz"], tmp_path)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 3999)
    (tmp_path / "second").mkdir()
    with pytest.raises(LimitExceeded, match=r"top/a\.mid has more than 3,999 bytes"):
        unpacked(PACKED["zip"], tmp_path / "second")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of({"a.mid": b"x"}))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(UnreadableFile, match="encrypted"):
        unpacked(bytes(data), tmp_path)


@pytest.mark.parametrize("kind", PACKED)
def test_damage_is_one_line(kind: str, tmp_path: Path) -> None:
    generator = random.Random(0)
    messages = []
    for number in range(60):
        data = bytearray(PACKED[kind])
        if number % 3 == 0:
            data = data[: generator.randrange(len(data))]
        else:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            unpacked(bytes(data), folder)
        except MelodyError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("data", [b"", b"MThd\0\0\0\6", b"no archive at all" * 100])
def test_what_is_no_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="neither a folder nor an archive"):
        unpacked(data, tmp_path)
