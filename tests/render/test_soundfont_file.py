"""SoundFonts from strangers: made ones sound, and one that claims more than it holds is refused before it is loaded."""

import struct
from pathlib import Path

import numpy as np
import pytest
from support.soundfonts import INSTRUMENT, KEYS, SAMPLE, Zone, chunk, sample, sine, soundfont

from melody.errors import UnreadableFile
from melody.render import soundfonts
from melody.render.soundfont_file import check_soundfont


def fault(tmp_path: Path, data: bytes) -> str:
    """What is said against a font; empty where it is taken."""
    path = tmp_path / "made.sf2"
    path.write_bytes(data)
    try:
        check_soundfont(path)
    except ValueError as error:
        return str(error)
    return ""


def layered(zones: int, width: int = 1) -> list[list[Zone]]:
    """One owner with a sample for each so many keys, over and over again."""
    keys = [width * (number % (128 // width)) for number in range(zones)]
    return [[{KEYS: low | (low + width - 1) << 8, SAMPLE: 0} for low in keys]]


def test_a_made_font_and_the_one_that_comes_with_melody_are_taken(tmp_path: Path) -> None:
    assert fault(tmp_path, soundfont()) == ""
    assert fault(tmp_path, soundfont(instruments=layered(256), modulators=3)) == ""
    check_soundfont(soundfonts.bundled())


def vorbis(frames: int) -> bytes:
    """The beginning and the end of a sample in Ogg Vorbis that says it has so many frames."""
    page = struct.pack("<4sBBqIII", b"OggS", 0, 0, frames, 1, 0, 0)
    return page + bytes(100)


HOSTILE = {
    "claims more than it has": (
        b"RIFF" + struct.pack("<I", 10**6) + b"sfbk" + chunk(b"LIST", b"INFO", 2**31),
        r"its part LIST claims 2,147,483,648 bytes",
    ),
    "no tables": (chunk(b"RIFF", b"sfbk" + chunk(b"LIST", b"INFO")), "lacks its presets"),
    "many parts": (chunk(b"RIFF", b"sfbk" + chunk(b"JUNK", b"") * 5000), "more than 64 parts"),
    "a table missing": (soundfont(replaced={"shdr": b""}), "lacks its part shdr"),
    "zones by zones": (soundfont([[{INSTRUMENT: 0}] * 5000], layered(4500)), r"22,500,000 voices"),
    "many zones": (soundfont([[{INSTRUMENT: 0}]] * 20_000), r"20,001 zones"),
    "one note, many voices": (soundfont(instruments=layered(70, 128)), "one note would begin"),
    "layers of layers": (soundfont([[{INSTRUMENT: 0}] * 9], layered(8, 128)), "one note would begin"),
    "modulators": (soundfont(modulators=60_000), "modulators"),
    "an instrument that is not there": (soundfont([[{INSTRUMENT: 7}]]), "not there"),
    "zones that go back": (soundfont(replaced={"ibag": struct.pack("<HHHH", 9, 0, 0, 0)}), "do not fit"),
    "presets that lead out": (soundfont(replaced={"pbag": bytes(4)}), "do not fit"),
    "a sample beyond the end": (soundfont(samples=[sample(0, 10**9)]), "lies outside"),
    "a packed sample beyond the end": (soundfont(samples=[sample(0, 10**9, 0x11)]), "lies outside"),
    "packed a million to one": (
        soundfont(data=vorbis(2**40), samples=[sample(0, 120, 0x11)]),
        "unpack to 1,099,511,627,776 frames",
    ),
    "packed, over and over": (soundfont(data=sine(), samples=[sample(0, 20_000, 0x11)] * 50), "over each other"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_font_that_asks_for_more_than_it_holds_is_refused(name: str, tmp_path: Path) -> None:
    data, said = HOSTILE[name]
    path = tmp_path / "made.sf2"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match=rf"made\.sf2: .*{said}") as caught:
        soundfonts.find(path)
    assert "\n" not in str(caught.value)


def test_what_a_font_may_ask_for_grows_with_it(tmp_path: Path) -> None:
    dense = layered(600) * 20
    assert "zones" in fault(tmp_path, soundfont(instruments=dense, data=sine()))
    assert fault(tmp_path, soundfont(instruments=dense, data=sine(seconds=20))) == ""


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    font, chance = bytearray(soundfont(instruments=layered(40))), np.random.default_rng(0)
    said = set()
    for _ in range(300):
        spoilt = bytearray(font[: chance.integers(12, len(font))] if chance.random() < 0.3 else font)
        for place in chance.integers(12, len(spoilt), 8) if len(spoilt) > 20 else ():
            spoilt[place] = chance.integers(256)
        said.add(fault(tmp_path, bytes(spoilt)).split(";")[0])
    assert len(said) > 3
