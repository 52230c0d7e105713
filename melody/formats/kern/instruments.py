"""Instrument codes of Humdrum (`*Ivioln`) as General MIDI programs. Source: humdrum.org, list of instruments."""

_PROGRAMS = {
    "piano": 0, "pfpno": 0, "forte": 0, "fortp": 0, "cemba": 6, "clavi": 6, "clvrd": 7, "celes": 8, "vibra": 11,
    "xylo": 13, "organ": 19, "armon": 20, "accor": 21, "guitr": 24, "lute": 24, "bguit": 33, "violn": 40, "viola": 41,
    "cello": 42, "cbass": 43, "harp": 46, "timpa": 47, "vox": 52, "soprn": 52, "mezzo": 52, "calto": 52, "alto": 52,
    "tenor": 52, "barit": 52, "bass": 52, "tromp": 56, "tromb": 57, "tuba": 58, "cor": 60, "corno": 60, "saxop": 64,
    "saxal": 65, "oboe": 68, "cangl": 69, "fagot": 70, "clars": 71, "clarp": 71, "piccl": 72, "flt": 73, "flute": 73,
    "recrd": 74,
}  # fmt: skip
_KEYBOARDS = ("piano", "pfpno", "forte", "fortp", "cemba", "clavi", "clvrd", "celes", "organ", "armon")


def program_of(code: str) -> int:
    """Return the program of an instrument code; 0, a piano, for one that has none."""
    return _PROGRAMS.get(code, 0)


def is_keyboard(code: str) -> bool:
    """Return if an instrument has several staves."""
    return code in _KEYBOARDS
