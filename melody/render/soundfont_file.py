"""A SoundFont looked at before a synthesizer loads it: what its headers claim must be there, and be worth loading.

Synthesizers are native code that takes a file at its word. They make a voice for each pair of a preset's zone and a
zone of its instrument, so that a file of a megabyte can ask for 4 thousand million; and they unpack compressed samples
whole. Both are counted here first. What is allowed grows with the file: the fonts of General MIDI have one zone for
some thousand bytes and one pair for some hundred.

Source: SoundFont Technical Specification 2.04 (E-mu Systems, 2006), sections 4 to 7; .sf3 as MuseScore writes it, with
Ogg Vorbis for samples. Page headers of Ogg: RFC 3533.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_FONT_BYTES = 2 << 30
FREE_PAIRS, PAIR_BYTES = 20_000, 50  # voices that any font may have, and another for each so many bytes of it
FREE_ZONES, ZONE_BYTES = 10_000, 100
FREE_FRAMES, MOST_RATIO = 8 << 20, 20  # of unpacked samples, and how many for each packed byte; of MuseScore's: 2.7
MOST_MODULATORS = 256  # of one zone; libraries compare each with each
MOST_AT_ONCE = 64  # voices that one note may begin
_MOST_CHUNKS = 64
_INSTRUMENT, _KEYS, _VELOCITIES, _SAMPLE = 41, 43, 44, 53  # generators
_IN_ROM, _VORBIS = 0x8000, 0x10  # kinds of samples

_NAME = ("name", "S20")
_RECORDS: dict[bytes, Any] = {
    b"phdr": [_NAME, ("preset", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("more", "<u4", (3,))],
    b"inst": [_NAME, ("bag", "<u2")],
    b"pbag": [("gen", "<u2"), ("mod", "<u2")],
    b"ibag": [("gen", "<u2"), ("mod", "<u2")],
    b"pgen": [("what", "<u2"), ("low", "u1"), ("high", "u1")],
    b"igen": [("what", "<u2"), ("low", "u1"), ("high", "u1")],
    b"pmod": [("all", "S10")],
    b"imod": [("all", "S10")],
    b"shdr": [_NAME, ("start", "<u4"), ("end", "<u4"), ("loop_rate", "<u4", (3,)), ("pitch", "<u4"), ("kind", "<u2")],
}
Records = NDArray[np.void]
Ints = NDArray[np.int64]


class _Zones(NamedTuple):
    """The zones of all presets, or of all instruments."""

    first: Ints  # of each owner, and at last how many there are
    target: Ints  # of each zone: its instrument or sample; -1 for none, as in a zone for all of its owner
    keys: Ints  # (zones, 2): the lowest and the highest
    velocities: Ints  # (zones, 2)


def check_soundfont(path: str | os.PathLike[str]) -> None:
    """Refuse what is no SoundFont, or one that claims more than it holds, with `ValueError`; `OSError` as it comes."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise ValueError("is not a SoundFont; a .sf2 or .sf3 file fits")
        if size > MAX_FONT_BYTES:
            raise ValueError(f"{size:,} bytes; a SoundFont may have up to {MAX_FONT_BYTES:,}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _check(data, size)


def _check(data: mmap.mmap, size: int) -> None:
    lists = {data[start : start + 4]: (start + 4, stop) for start, stop in _lists(data, size)}
    if b"pdta" not in lists or b"sdta" not in lists:
        raise ValueError("lacks its presets or its samples; download it again")
    tables = {}
    for name, start, stop in _chunks(data, *lists[b"pdta"]):
        if name in _RECORDS:
            kind: np.dtype[Any] = np.dtype(_RECORDS[name])
            tables[name] = np.frombuffer(data[start : stop - (stop - start) % kind.itemsize], kind)
    if missing := [name.decode() for name in _RECORDS if name not in tables or not len(tables[name])]:
        raise ValueError(f"lacks its part {missing[0]}; download it again")
    presets = _zones(tables, "p", _INSTRUMENT, len(tables[b"inst"]) - 1)
    instruments = _zones(tables, "i", _SAMPLE, len(tables[b"shdr"]) - 1)
    _count(presets, instruments, size)
    samples = next((place for name, *place in _chunks(data, *lists[b"sdta"]) if name == b"smpl"), [0, 0])
    _check_samples(tables[b"shdr"][:-1], data, *samples)


def _lists(data: mmap.mmap, size: int) -> Iterator[tuple[int, int]]:
    return ((start, stop) for name, start, stop in _chunks(data, 12, size) if name == b"LIST")


def _chunks(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name and place of each chunk; raises `ValueError` where one is longer than what holds it."""
    for _ in range(_MOST_CHUNKS):
        if start + 8 > stop:
            return
        name, size = struct.unpack("<4sI", data[start : start + 8])
        if start + 8 + size > stop:
            raise ValueError(f"its part {ascii(name)[2:-1]} claims {size:,} bytes, more than there are; it is cut off")
        yield name, start + 8, start + 8 + size
        start += 8 + size
        if size % 2 and data[start : start + 4] != b"LIST":  # MuseScore's own fonts leave the padding out
            start += 1
    raise ValueError(f"has more than {_MOST_CHUNKS} parts; no SoundFont has")


def _zones(tables: dict[bytes, Records], side: str, target: int, targets: int) -> _Zones:
    """The zones of presets (`side` p) or instruments (i); raises `ValueError` where they are not in order."""
    owners = tables[b"phdr" if side == "p" else b"inst"]
    bags, generators, modulators = (tables[f"{side}{kind}".encode()] for kind in ("bag", "gen", "mod"))
    first = _in_order(owners["bag"], len(bags))
    gen, mod = _in_order(bags["gen"], len(generators) + 1), _in_order(bags["mod"], len(modulators) + 1)
    if len(mod) > 1 and np.diff(mod).max() > MOST_MODULATORS:
        raise ValueError(f"a zone has more than {MOST_MODULATORS} modulators; no instrument needs them")
    zones = len(bags) - 1
    zone = np.searchsorted(gen, np.arange(len(generators)), side="right") - 1  # of each generator
    inside = (zone >= 0) & (zone < zones)
    value = generators["low"].astype(np.int64) | generators["high"].astype(np.int64) << 8
    result = np.full(zones, -1, np.int64)
    is_target = inside & (generators["what"] == target)
    result[zone[is_target]] = value[is_target]
    if zones and result.max() >= targets:
        raise ValueError("a zone asks for an instrument or a sample that is not there; download it again")
    ranges = []
    for what in (_KEYS, _VELOCITIES):
        span = np.tile(np.array([0, 127]), (zones, 1))
        here = inside & (generators["what"] == what)
        span[zone[here]] = np.stack([generators["low"][here], generators["high"][here]], axis=1)
        ranges.append(span)
    return _Zones(first, result, *ranges)


def _in_order(places: NDArray[np.uint16], count: int) -> Ints:
    """Places in a table of `count` rows, which must not go back; raises `ValueError` where they do, or lead out."""
    result: Ints = places.astype(np.int64)
    if (np.diff(result) < 0).any() or (len(result) and result[-1] >= count):
        raise ValueError("its tables do not fit each other; download it again")
    return result


def _count(presets: _Zones, instruments: _Zones, size: int) -> None:
    """Refuse more zones, more voices, or more voices of one note than a font of the size has."""
    zones = len(presets.target) + len(instruments.target)
    if zones > FREE_ZONES + size // ZONE_BYTES:
        raise ValueError(f"{zones:,} zones in {size:,} bytes; no SoundFont is so dense")
    sizes = np.diff(instruments.first)
    used = presets.target[presets.target >= 0]
    if (pairs := int(sizes[used].sum())) > FREE_PAIRS + size // PAIR_BYTES:
        raise ValueError(f"{pairs:,} voices in {size:,} bytes; no SoundFont is so dense")
    most = np.append(sizes, 0)[presets.target] * (presets.target >= 0)
    exact: dict[int, int] = {}
    for first, stop in pairwise(presets.first.tolist()):
        if most[first:stop].sum() <= MOST_AT_ONCE:
            continue
        for zone in np.flatnonzero(presets.target[first:stop] >= 0) + first:
            instrument = int(presets.target[zone])
            if instrument not in exact:
                own = slice(*instruments.first[instrument : instrument + 2].tolist())
                exact[instrument] = _together(instruments, (instruments.target >= 0).astype(np.int64), own)
            most[zone] = exact[instrument]
        if most[first:stop].sum() > MOST_AT_ONCE and _together(presets, most, slice(first, stop)) > MOST_AT_ONCE:
            raise ValueError(f"one note would begin more than {MOST_AT_ONCE} voices; no instrument needs them")


def _together(zones: _Zones, weights: Ints, own: slice) -> int:
    """The greatest sum of weights over zones that share a key and a velocity."""
    corners = np.zeros((257, 257), np.int64)  # bytes may say up to 255
    (low, high), (soft, loud) = zones.keys[own].T, zones.velocities[own].T
    for key, sign in ((low, 1), (high + 1, -1)):
        for velocity, other in ((soft, 1), (loud + 1, -1)):
            np.add.at(corners, (key, velocity), sign * other * weights[own])
    return int(corners.cumsum(axis=0).cumsum(axis=1).max())


def _check_samples(samples: Records, data: mmap.mmap, start: int, stop: int) -> None:
    """Refuse samples that lie outside of the font's, and packed ones that unpack to far more."""
    own = samples[samples["kind"] & _IN_ROM == 0]
    packed = own["kind"] & _VORBIS != 0
    frames = (stop - start) // 2
    if (own["end"][~packed] > frames).any() or (own["end"][packed] > stop - start).any():
        raise ValueError("a sample lies outside of those that are there; it is cut off")
    if int((own["end"][packed].astype(np.int64) - own["start"][packed]).sum()) > 2 * (stop - start):
        raise ValueError("its packed samples lie over each other; download it again")
    places = zip(own["start"][packed].tolist(), own["end"][packed].tolist(), strict=True)
    unpacked = sum(_frames(data, start + begin, start + end) for begin, end in places)
    if unpacked > FREE_FRAMES + MOST_RATIO * (stop - start):
        raise ValueError(f"its samples would unpack to {unpacked:,} frames; no SoundFont is packed so well")


def _frames(data: mmap.mmap, start: int, stop: int) -> int:
    """Return the frames that a sample in Ogg Vorbis claims: the greatest place at which one of its pages ends."""
    most, page = 0, data.find(b"OggS", start, stop)
    while page >= 0 and page + 14 <= stop:
        place = struct.unpack("<q", data[page + 6 : page + 14])[0]
        most = max(most, place)
        page = data.find(b"OggS", page + 4, stop)
    return int(most)
