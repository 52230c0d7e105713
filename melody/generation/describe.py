"""Words to settings: "slow waltz in D minor, sparse, for piano". A small vocabulary of musical terms, no model.

Terms are English, with Italian words of tempo and character. Each is one line of a table below; the longest term that
fits is taken. What is not in the tables is returned as not understood, never guessed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from melody.errors import UsageError
from melody.generation.settings import LIMITS
from melody.music.key import parse_key
from melody.tokens.vocabulary import METERS

LONGEST = 500  # characters of a description
TEMPI = {  # beats a minute
    "grave": 40,
    "largo": 48,
    "lento": 54,
    "larghetto": 60,
    "adagio": 66,
    "andante": 80,
    "andantino": 88,
    "maestoso": 84,
    "moderato": 104,
    "allegretto": 116,
    "allegro": 132,
    "vivace": 152,
    "vivo": 152,
    "presto": 176,
    "prestissimo": 200,
    "slow": 66,
    "calm": 72,
    "tranquillo": 72,
    "moderate": 104,
    "walking": 80,
    "medium": 104,
    "lively": 132,
    "fast": 144,
    "quick": 144,
    "animato": 126,
    "veloce": 160,
}
FASTER = {  # factors on the tempo, whatever names it
    "con brio": 1.12,
    "con moto": 1.08,
    "con fuoco": 1.12,
    "molto": 1.1,
    "assai": 1.1,
    "very": 1.1,
    "piu mosso": 1.1,
    "ma non troppo": 0.92,
    "non troppo": 0.92,
    "not too": 0.92,
    "poco": 0.95,
    "un poco": 0.95,
    "meno mosso": 0.9,
}
DENSITIES = {
    **dict.fromkeys(("sparse", "simple", "bare", "spare", "quiet", "semplice", "thin", "few notes"), "low"),
    **dict.fromkeys(("dense", "busy", "rich", "full", "florid", "ornate", "brillante", "many notes"), "high"),
}
MODES = {
    **dict.fromkeys(("major", "maggiore", "dur", "happy", "cheerful", "bright", "giocoso", "gioioso"), "major"),
    **dict.fromkeys(("minor", "minore", "moll", "sad", "dark", "mournful", "dolente", "mesto", "lugubre"), "minor"),
}
TONIC = {"major": "C", "minor": "A"}  # where only a mode is named


class Dance(NamedTuple):
    """A kind of piece: its meter, its beats a minute, and the model that knows it."""

    meter: tuple[int, int] | None
    beats: int | None = None
    model: str | None = None


DANCES = {
    "waltz": Dance((3, 4), 150),
    "walzer": Dance((3, 4), 150),
    "minuet": Dance((3, 4), 112),
    "mazurka": Dance((3, 4), 126),
    "sarabande": Dance((3, 4), 60),
    "polonaise": Dance((3, 4), 92),
    "march": Dance((4, 4), 112),
    "marcia": Dance((4, 4), 112),
    "gavotte": Dance((4, 4), 120),
    "polka": Dance((2, 4), 112),
    "rag": Dance((2, 4), 84),
    "siciliana": Dance((6, 8), 44),
    "barcarolle": Dance((6, 8), 52),
    "tarantella": Dance((6, 8), 160),
    "gigue": Dance((6, 8), 104),
    "lullaby": Dance((3, 4), 76),
    "ballad": Dance((4, 4), 70),
    "jig": Dance((6, 8), 112, "folk"),
    "reel": Dance((4, 4), 184, "folk"),
    "hornpipe": Dance((4, 4), 150, "folk"),
    "slip jig": Dance((9, 8), 112, "folk"),
    "hymn": Dance(None, None, "chorale"),
    "chorale": Dance(None, None, "chorale"),
    "lied": Dance(None, None, "lied"),
    "song": Dance(None, None, "lied"),
    "groove": Dance(None, None, "drums"),
    "pop": Dance(None, None, "pop"),
}
METER_WORDS = {"common time": (4, 4), "cut time": (2, 2), "alla breve": (2, 2), "in three": (3, 4), "in four": (4, 4)}
MODELS = {  # instruments, by the model that writes for them; the first that is here is taken
    **dict.fromkeys(("piano", "pianoforte", "keyboard", "two hands"), ("piano", "pop", "lied")),
    **dict.fromkeys(("choir", "coro", "four voices", "satb", "organ"), ("chorale",)),
    **dict.fromkeys(("fiddle", "violin", "flute", "whistle", "recorder", "solo", "one line", "melody"), ("folk",)),
    **dict.fromkeys(("voice and piano", "singer", "voice"), ("lied",)),
    **dict.fromkeys(("string quartet", "strings"), ("quartet", "chorale")),
    **dict.fromkeys(("drums", "drum kit", "percussion"), ("drums",)),
    **dict.fromkeys(("band", "orchestra", "ensemble"), ("band",)),
}
PASSED_OVER = frozenset(
    (
        *(
            "a",
            "an",
            "the",
            "in",
            "of",
            "for",
            "with",
            "and",
            "at",
            "to",
            "on",
            "by",
            "as",
            "e",
            "ed",
            "di",
            "per",
            "con",
        ),
        *("piece", "music", "something", "some", "please", "tempo", "time", "key"),
    )
)
DENIED = frozenset(("no", "not", "without", "senza", "non"))
SOLFEGE = {"do": "C", "re": "D", "mi": "E", "fa": "F", "sol": "G", "la": "A", "si": "B"}
_KEY = re.compile(
    r"(?:in\s+)?(?:([a-g])(?:[\s-]*(#|♯|♭|b|sharp|flat))?|(do|re|mi|fa|sol|la|si)(?:\s+(diesis|bemolle))?)"
    r"[\s-]+(major|minor|maggiore|minore|dur|moll)\b"
)
_SHIFTS = {None: "", "#": "#", "♯": "#", "sharp": "#", "diesis": "#", "b": "b", "♭": "b", "flat": "b", "bemolle": "b"}
_TONIC = re.compile(r"in\s+([a-g])\s*(#|♯|♭|b\b|sharp|flat)?(?=[\s,.;]|$)")


@dataclass(frozen=True)
class Described:
    """Settings that a description asks for, the model too, and which words said what."""

    settings: Mapping[str, Any]
    model: str | None = None
    understood: tuple[str, ...] = ()  # "slow waltz: meter 3/4", ...
    unknown: tuple[str, ...] = ()


@dataclass
class _Found:
    settings: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    understood: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    beats: float | None = None
    factor: float = 1.0
    slow: float | None = None  # a tempo word, which a dance turns into a factor


def describe(text: str, styles: Mapping[str, Sequence[str]]) -> Described:
    """Return what a description asks for; `styles` are those of each model that is here, by name.

    Raises `UsageError` for an empty or very long one, or where nothing in it is understood.
    """
    if not text.strip() or len(text) > LONGEST:
        raise UsageError(f"`describe`: write up to {LONGEST} characters, as 'slow waltz in D minor, sparse, for piano'")
    found = _Found()
    rest = _read_patterns(text.lower(), found)
    words = re.findall(r"[^\W_]+(?:['-][^\W_]+)*", rest)
    for take in _terms(words, styles):
        take(found)
    _settle_tempo(found)
    if not found.understood:
        raise UsageError(
            f"`describe` {text!r}: no word of it is known; name a tempo, meter, key, density, dance or instrument"
        )
    return Described(found.settings, found.model, tuple(found.understood), tuple(found.unknown))


def _read_patterns(text: str, found: _Found) -> str:
    """Take out what has a form of its own: keys, meters, numbers of bars and of beats."""
    patterns: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], _Found], bool]], ...] = (
        (_KEY, _key),
        (re.compile(r"\b(\d{1,2})\s*/\s*(\d{1,2})(?:\s*time)?\b"), _meter),
        (re.compile(r"\b(\d{1,4})\s*[- ]?\s*(?:bars?|measures?|battute)\b"), _bars),
        (re.compile(r"(?:\b(?:tempo|at)\s+|[♩=]\s*)(\d{2,3})(?:\s*(?:bpm|qpm))?\b|\b(\d{2,3})\s*(?:bpm|qpm)\b"), _qpm),
        (_TONIC, _tonic),
    )
    for pattern, take in patterns:
        text = pattern.sub(lambda match, take=take: " , " if take(match, found) else match[0], text)  # type: ignore[misc]
    return text


def _key(match: re.Match[str], found: _Found) -> bool:
    letter = match[1].upper() if match[1] else SOLFEGE[match[3]]
    mode = MODES[match[5]]
    key = parse_key(f"{letter}{_SHIFTS[match[2] or match[4]]} {mode}").name
    return _set(found, "key", key, match[0])


def _tonic(match: re.Match[str], found: _Found) -> bool:
    name = f"{match[1].upper()}{_SHIFTS[match[2]]} major"
    return "key" not in found.settings and _set(found, "key", parse_key(name).name, match[0])


def _meter(match: re.Match[str], found: _Found) -> bool:
    meter = int(match[1]), int(match[2])
    return meter in METERS and _set(found, "meter", meter, match[0])


def _bars(match: re.Match[str], found: _Found) -> bool:
    least, most = LIMITS["bars"]
    return least <= int(match[1]) <= most and _set(found, "bars", int(match[1]), match[0])


def _qpm(match: re.Match[str], found: _Found) -> bool:
    return _set(found, "tempo_qpm", float(match[1] or match[2]), match[0])


def _set(found: _Found, name: str, value: Any, words: str) -> bool:
    found.settings[name] = value
    shown = (
        "/".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else value
    )
    found.understood.append(f"{words.strip()}: {name.removesuffix('_qpm')} {shown}")
    return True


def _terms(words: Sequence[str], styles: Mapping[str, Sequence[str]]) -> Iterator[Callable[[_Found], Any]]:
    """Yield what each term does, the longest that fits first; denied ones and unknown words do nothing."""
    at, denied = 0, False
    while at < len(words):
        for length in (3, 2, 1):
            term = " ".join(words[at : at + length])
            known = length <= len(words) - at and _meaning(term, styles)
            if known or length == 1:
                break
        if known and not denied:
            yield known
        elif known or (term not in PASSED_OVER and term not in DENIED):
            said = f"not {term}" if denied and known else term
            yield lambda found, said=said: found.unknown.append(said)  # type: ignore[misc]
        denied = not known and (term in DENIED or (denied and term in PASSED_OVER))
        at += length


def _meaning(term: str, styles: Mapping[str, Sequence[str]]) -> Callable[[_Found], Any] | None:
    """Return what a term does to the settings."""
    for word in dict.fromkeys((term, term.removesuffix("s"))):
        if word in TEMPI:
            return lambda found: _tempo_word(found, word, TEMPI[word])
        if word in FASTER:
            return lambda found: _faster(found, word)
        if word in DENSITIES:
            return lambda found: _set(found, "density", DENSITIES[word], word)
        if word in MODES:
            return lambda found: _mode(found, word)
        if word in METER_WORDS:
            return lambda found: _set(found, "meter", METER_WORDS[word], word)
        if word in DANCES or any(word in names for names in styles.values()):
            return lambda found: _dance(found, word, styles)
        if word in MODELS and any(model in styles for model in MODELS[word]):
            return lambda found: _instrument(found, word, styles)
    return None


def _tempo_word(found: _Found, word: str, beats: float) -> None:
    found.slow = beats
    found.understood.append(f"{word}: tempo")


def _faster(found: _Found, word: str) -> None:
    found.factor *= FASTER[word]
    found.understood.append(f"{word}: tempo")


def _mode(found: _Found, word: str) -> None:
    if "key" not in found.settings:
        _set(found, "key", f"{TONIC[MODES[word]]} {MODES[word]}", word)


def _dance(found: _Found, word: str, styles: Mapping[str, Sequence[str]]) -> None:
    dance = DANCES.get(word, Dance(None))
    if dance.meter and "meter" not in found.settings:
        _set(found, "meter", dance.meter, word)
    found.beats = dance.beats or found.beats
    model = dance.model if dance.model in styles else next((m for m, names in styles.items() if word in names), None)
    if model:
        found.model = found.model or model
        found.understood.append(f"{word}: model {found.model}")
    if found.model and word in styles.get(found.model, ()):
        _set(found, "style", word, word)


def _instrument(found: _Found, word: str, styles: Mapping[str, Sequence[str]]) -> None:
    found.model = next(model for model in MODELS[word] if model in styles)
    found.understood.append(f"{word}: model {found.model}")


def _settle_tempo(found: _Found) -> None:
    """Turn words of tempo into quarters a minute: of a dance, slower or faster than it usually is."""
    if "tempo_qpm" in found.settings or (found.slow is None and found.beats is None):
        return
    meter = found.settings.get("meter", (4, 4))
    if found.beats is None or found.slow is None:
        beats = float(found.slow or found.beats or 0)
    else:
        ratio = found.slow / TEMPI["moderato"]  # a slow waltz is a waltz, only slower
        beats = found.beats * (ratio if ratio < 1 else ratio**0.5)
    factor = found.factor if found.slow is None or found.slow >= TEMPI["moderato"] else 2 - found.factor
    quarters = 1.5 if meter[1] == 8 and meter[0] % 3 == 0 else 4 / meter[1]
    qpm = float(min(LIMITS["tempo_qpm"][1], max(LIMITS["tempo_qpm"][0], round(beats * factor * quarters))))
    found.settings["tempo_qpm"] = qpm
    found.understood = [f"{line} {qpm:g}" if line.endswith(": tempo") else line for line in found.understood]
    if not any(line.endswith(f" {qpm:g}") for line in found.understood):
        found.understood.append(f"tempo {qpm:g}, usual for it")
