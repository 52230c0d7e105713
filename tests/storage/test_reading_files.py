"""The one reader of files: bounded, regular files alone, one line for whatever else is named."""

import os
from pathlib import Path

import pytest

from melody.errors import LimitExceeded, UnreadableFile
from melody.storage import files
from melody.storage.files import read_bytes


def test_a_file_of_exactly_the_limit_is_read_and_of_one_byte_more_refused(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"12345678")
    assert read_bytes(path, 8) == b"12345678"
    with pytest.raises(LimitExceeded, match=r"a: 8 bytes; melody reads up to 7"):
        read_bytes(path, 7)


def test_a_folder_a_missing_file_and_an_impossible_name_are_told_in_one_line(tmp_path: Path):
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "no", "cannot read: No such"), ("a\0b", "can have this")):
        with pytest.raises(UnreadableFile, match=said) as caught:
            read_bytes(path, 100)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableFile, match="not a regular file"):
        read_bytes(tmp_path / "pipe", 100)


def test_a_file_that_grows_while_it_is_read_counts_with_what_it_has_grown_to(tmp_path: Path, monkeypatch):
    path = tmp_path / "log"
    path.write_bytes(b"1234")
    real = os.fstat

    def then_it_grows(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if status.st_size == 4:
            path.write_bytes(b"12345678")
        return status

    monkeypatch.setattr(files.os, "fstat", then_it_grows)
    assert read_bytes(path, 8) == b"12345678"
    path.write_bytes(b"1234")
    with pytest.raises(LimitExceeded):
        read_bytes(path, 6)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks into /proc")
def test_no_descriptor_stays_open(tmp_path: Path):
    before = len(os.listdir("/proc/self/fd"))
    for path in (tmp_path, tmp_path / "no"):
        with pytest.raises(UnreadableFile):
            read_bytes(path, 1)
    assert len(os.listdir("/proc/self/fd")) == before
