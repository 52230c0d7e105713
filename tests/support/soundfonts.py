"""SoundFonts made by hand: a sine wave in as many zones as are asked for, and headers that claim too much."""

import struct

import numpy as np

RATE, PITCH = 22_050, 60
KEYS, VELOCITIES, INSTRUMENT, SAMPLE = 43, 44, 41, 53

Zone = dict[int, int]  # amounts by generator; ranges as low + 256 * high


def chunk(name: bytes, data: bytes, claimed: int | None = None) -> bytes:
    """A chunk, which may claim another size than it has."""
    return name + struct.pack("<I", len(data) if claimed is None else claimed) + data + bytes(len(data) % 2)


def sine(seconds: float = 0.5, frequency: float = 261.63) -> bytes:
    wave = 12_000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    return wave.astype("<i2").tobytes()


def owners(side: str, groups: list[list[Zone]], modulators: int = 0) -> dict[str, bytes]:
    """The tables of presets (p) or instruments (i): the zones of each."""
    heads, bags, generators, zone = b"", b"", b"", 0
    for number, zones in enumerate([*groups, []]):
        name = struct.pack("<20s", b"EOP" if number == len(groups) else b"own %d" % number)
        heads += name + (struct.pack("<HHHIII", number, 0, zone, 0, 0, 0) if side == "p" else struct.pack("<H", zone))
        zone += len(zones)
    place = 0
    for number, one in enumerate(zone for zones in groups for zone in zones):
        bags += struct.pack("<HH", place, 0 if number == 0 else modulators)
        generators += b"".join(struct.pack("<HH", *item) for item in sorted(one.items()))
        place += len(one)
    bags += struct.pack("<HH", place, modulators)
    generators += bytes(4)
    return {
        "phdr" if side == "p" else "inst": heads,
        f"{side}bag": bags,
        f"{side}mod": bytes(10 * (modulators + 1)),
        f"{side}gen": generators,
    }


def sample(start: int, end: int, kind: int = 1) -> bytes:
    return struct.pack("<20sIIIIIBbHH", b"sine", start, end, start + 8, max(start, end - 8), RATE, PITCH, 0, 0, kind)


def soundfont(
    presets: list[list[Zone]] | None = None,
    instruments: list[list[Zone]] | None = None,
    *,
    samples: list[bytes] | None = None,
    data: bytes | None = None,
    modulators: int = 0,
    replaced: dict[str, bytes] | None = None,
) -> bytes:
    """A font; by default one that plays a sine wave on all keys of its first program."""
    data = sine() if data is None else data
    presets = [[{INSTRUMENT: 0}]] if presets is None else presets
    instruments = [[{SAMPLE: 0}]] if instruments is None else instruments
    samples = [sample(0, len(data) // 2 - 46)] if samples is None else samples
    last = struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    tables = owners("p", presets) | owners("i", instruments, modulators) | {"shdr": b"".join(samples) + last}
    tables |= replaced or {}
    pdta = b"".join(chunk(name.encode(), table) for name, table in tables.items())
    info = chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"made by a test")
    lists = [b"INFO" + info, b"sdta" + chunk(b"smpl", data), b"pdta" + pdta]
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", one) for one in lists))
