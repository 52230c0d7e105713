"""Texts of unknown encoding are read by their look, and written in the bytes in which they came."""

import pytest
from support.midi_files import EOT, TRACK, file, meta

from melody.formats.midi import Text, cautions, dumps, parse
from melody.formats.midi.events import scan
from melody.formats.midi.metas import COPYRIGHT, LYRIC, MARKER, TEXT
from melody.formats.midi.texts import encoding_of
from melody.formats.midi.track import Limits

WORDS = {
    "latin-1": ["Größe", "été", "Çà et là", "Señor Pérez", "Träne für dich"],
    "cp1251": ["Музыка и слова", "Песня", "МОЯ ПЕСНЯ", "Ёлка", "Текст: Пушкин, 1820"],
    "cp932": ["歌", "夜に駆ける", "ピアノ", "Piano 歌", "作曲：山田太郎"],
    "gbk": ["月亮代表我的心", "钢琴", "《茉莉花》", "你好 hello"],
}
ALL = [(encoding, words) for encoding, texts in WORDS.items() for words in texts]
BEYOND_8_BITS = ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be")
MARKS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


def metas(data: bytes, kind: int) -> list[bytes]:
    """The payloads of one type of meta event, in all tracks."""
    tracks = scan(data, "any.mid", Limits()).tracks
    return [payload for track in tracks for _, found, payload in track.metas() if found == kind]


@pytest.mark.parametrize(("encoding", "words"), ALL)
def test_encodings_are_known_by_their_look(encoding: str, words: str) -> None:
    assert encoding_of([b"plain", words.encode(encoding)]) == encoding


@pytest.mark.parametrize("encoding", WORDS)
def test_syllables_are_looked_at_together(encoding: str) -> None:
    syllables = [letter.encode(encoding) for words in WORDS[encoding] for letter in words]
    whole = [words.encode(encoding) for words in WORDS[encoding]]
    assert encoding_of(whole + syllables) == encoding


@pytest.mark.parametrize("kind", [TEXT, LYRIC, MARKER])
@pytest.mark.parametrize(("encoding", "words"), ALL)
def test_bytes_come_back_as_they_were(encoding: str, words: str, kind: int) -> None:
    payload = words.encode(encoding)
    reading = parse(file(meta(kind, payload) + TRACK))
    found = {
        TEXT: [text.text for text in reading.texts],
        LYRIC: [lyric.text for lyric in reading.score.tracks[0].lyrics],
        MARKER: [marker.text for marker in reading.score.markers],
    }
    assert found[kind] == [words]
    assert metas(dumps(reading.score, texts=reading.texts, others=reading.beside), kind) == [payload]


@pytest.mark.parametrize("encoding", BEYOND_8_BITS)
@pytest.mark.parametrize("words", ["Grüße", "さくら", "an", "Ā", "Любовь"])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0"])
def test_unicode_is_certain(encoding: str, words: str, tail: bytes) -> None:
    payload = MARKS.get(encoding, b"") + words.encode(encoding) + tail
    reading = parse(file(meta(LYRIC, payload) + meta(3, payload) + TRACK))
    assert [lyric.text for lyric in reading.score.tracks[0].lyrics] == [words]
    assert reading.score.tracks[0].name == words
    assert metas(dumps(reading.score, others=reading.beside), LYRIC) == [words.encode()]


def test_control_characters_do_not_come_back() -> None:
    reading = parse(file(meta(TEXT, b"\xe9\x1b[31mred") + TRACK))
    assert metas(dumps(reading.score, texts=reading.texts, others=reading.beside), TEXT) == ["éred".encode()]


def test_a_copyright_notice_is_plain_and_its_letters_are_kept_beside() -> None:
    words = "© 2026 Zoë & Søn"
    texts = [Text(0, words, COPYRIGHT)]
    score = parse(file(TRACK)).score
    data = dumps(score, texts=texts)
    assert metas(data, COPYRIGHT) == [b"(c) 2026 Zoe & Son"]
    again = parse(data)
    assert again.texts == tuple(texts)
    assert dumps(again.score, texts=again.texts) == data
    assert any("copyright" in caution for caution in cautions(score, texts))


@pytest.mark.parametrize("words", ["(c) 2026", "著作権 2026"])
def test_a_notice_that_ascii_holds_or_cannot_hold_stays(words: str) -> None:
    texts = [Text(0, words, COPYRIGHT)]
    score = parse(file(TRACK)).score
    assert metas(dumps(score, texts=texts), COPYRIGHT) == [words.encode()]
    assert cautions(score, texts) == []


def test_other_names_are_said() -> None:
    score = parse(file(meta(3, "Flöte".encode()) + TRACK, meta(3, b"Oboe") + TRACK)).score
    assert [caution for caution in cautions(score) if "plain ASCII" in caution]
    assert cautions(parse(file(meta(3, b"Oboe") + EOT, TRACK)).score) == []
