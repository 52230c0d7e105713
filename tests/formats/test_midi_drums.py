"""Drum tracks by kind: channel 10, banks, system-exclusive messages of GS and XG, and names with the look of a kit."""

import pytest
from support.midi_files import EOT, file, meta, number

from melody.formats.midi import cautions, dumps, parse
from melody.formats.midi.events import scan
from melody.formats.midi.track import Limits
from melody.music.score import Score

XG_ON, GS_RESET = "43 10 4C 00 00 7E 00 F7", "41 10 42 12 40 00 7F 00 41 F7"
GM_ON, GM2_ON = "7E 7F 09 01 F7", "7E 7F 09 03 F7"
KIT = (36, 42, 38, 42, 36, 42, 38, 46)
TUNE = (60, 62, 64, 65, 67, 65, 64, 62)


def sysex(text: str) -> bytes:
    """A system-exclusive event at once, from its bytes in hexadecimal digits."""
    payload = bytes.fromhex(text)
    return b"\x00\xf0" + number(len(payload)) + payload


def gs_part(part: int, value: int) -> str:
    """The GS message that makes a part (its block number) melodic (0) or drums (1, 2)."""
    body = [0x40, 0x10 | part, 0x15, value]
    return f"41 10 42 12 {bytes([*body, -sum(body) % 128]).hex()} F7"


def track(channel: int, pitches: tuple[int, ...], *, bank: int | None = None, name: bytes = b"Part") -> bytes:
    """Eighths on a channel, with a bank chosen and its program."""
    body = meta(3, name)
    if bank is not None:
        body += bytes([0, 0xB0 | channel, 0, bank, 0, 0xC0 | channel, 0])
    for pitch in pitches:
        body += bytes([0, 0x90 | channel, pitch, 80, 120, 0x80 | channel, pitch, 0, 120, 0xB0 | channel, 91, 1])
    return body + EOT


CASES: dict[str, tuple[list[str], bytes, bool]] = {
    "channel 10": ([], track(9, KIT), True),
    "channel 10 under GM": ([GM_ON], track(9, KIT, bank=0), True),
    "another channel": ([], track(10, TUNE), False),
    "XG bank 127": ([XG_ON], track(10, KIT, bank=127), True),
    "XG bank 126": ([XG_ON], track(3, KIT, bank=126), True),
    "XG bank 0": ([XG_ON], track(10, KIT, bank=0), False),
    "bank 127 without XG": ([], track(10, TUNE, bank=127), False),
    "XG turned off by GM": ([XG_ON, GM_ON], track(10, TUNE, bank=127), False),
    "GM2 bank 120": ([GM2_ON], track(10, KIT, bank=120), True),
    "GM2 bank 121 on channel 10": ([GM2_ON], track(9, TUNE, bank=121), False),
    "GS part 11 as drums": ([GS_RESET, gs_part(0xA, 1)], track(10, KIT), True),
    "GS part 1 as second drums": ([gs_part(1, 2)], track(0, KIT), True),
    "GS part 10 as melody": ([GS_RESET, gs_part(0, 0)], track(9, TUNE), False),
    "GS part 10 after another reset": ([gs_part(0, 0), GS_RESET], track(9, KIT), True),
    "XG part mode": (["43 10 4C 08 02 07 02 F7"], track(2, KIT), True),
    "a kit by name and look": ([], track(0, KIT, name=b"Drums"), True),
    "a kit by name and look, in words": ([], track(0, KIT, name=b"My Drum Kit (dry)"), True),
    "percussion": ([], track(4, KIT, name=b"PERC"), True),
    "steel drums": ([], track(0, TUNE, name=b"Steel Drums"), False),
    "a bass called drum": ([], track(0, (36, 43, 41, 36), name=b"Drum bass"), False),
    "a look without a name": ([], track(0, KIT, name=b"Kitty"), False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_a_drum_track(case: str) -> None:
    messages, body, is_drum = CASES[case]
    score = parse(file(b"".join(map(sysex, messages)) + EOT, body)).score
    assert [found.is_drum for found in score.tracks] == [is_drum]
    again = parse(dumps(score, own_channels=parse(file(body)).channels)).score
    assert [found.is_drum for found in again.tracks] == [is_drum]


def test_messages_that_come_a_little_late_count() -> None:
    late = b"\x0a" + sysex(gs_part(0, 0))[1:]
    assert not parse(file(late + EOT, track(9, TUNE))).score.tracks[0].is_drum


def test_what_moved_the_drums_is_not_written_again_and_said() -> None:
    reading = parse(file(sysex(GS_RESET) + sysex(gs_part(0, 0)) + EOT, track(9, TUNE)))
    data = dumps(reading.score, own_channels=reading.channels, others=reading.beside)
    assert not parse(data).score.tracks[0].is_drum
    assert any("move the drum part" in remark for remark in reading.remarks)
    payloads = [payload for found in scan(data, "a.mid", Limits()).tracks for payload in found.payloads.values()]
    assert bytes.fromhex(GS_RESET) in payloads
    assert bytes.fromhex(gs_part(0, 0)) not in payloads


def test_two_drum_tracks_are_said() -> None:
    two: Score = parse(file(track(9, KIT), track(9, KIT, name=b"More"))).score
    assert ["LMMS" in caution for caution in cautions(two)] == [True]
