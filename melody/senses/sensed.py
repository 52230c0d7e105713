"""A recording before it is heard (`Listening`) and after (`Sensed`): a score, and what was uncertain about it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from melody.music.score import Score


@dataclass(frozen=True)
class Listening:
    """Facts known of a recording before it is heard: its tempo in quarters a minute, meter, several notes at once."""

    tempo_qpm: float | None = None
    meter: tuple[int, int] | None = None
    polyphonic: bool | None = None  # None: melody decides

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; `listening_from` reads it back."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def listening_from(data: Mapping[str, Any]) -> Listening:
    """Return what `Listening.to_dict` made, after a way through JSON. Raises `TypeError` or `ValueError` otherwise."""
    tempo, meter, several = data.get("tempo_qpm"), data.get("meter"), data.get("polyphonic")
    if tempo is not None and not (isinstance(tempo, int | float) and 4 <= tempo <= 1000):
        raise ValueError(f"tempo_qpm {tempo!r}")
    if meter is not None:
        numerator, denominator = meter
        if not (1 <= int(numerator) <= 48 and int(denominator) in (1, 2, 4, 8, 16, 32)):
            raise ValueError(f"meter {meter!r}")
        meter = (int(numerator), int(denominator))
    return Listening(tempo, meter, None if several is None else bool(several))


@dataclass(frozen=True)
class Sensed:
    """A score, and remarks: what was measured, guessed or could not be made out, a sentence each."""

    score: Score
    remarks: tuple[str, ...] = ()
