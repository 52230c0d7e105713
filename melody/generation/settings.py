"""Settings of a composition: one place for every option, its limits, and its way through JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from melody.errors import UsageError
from melody.generation.checks import check_types
from melody.generation.contour import check_contour, parse_contour
from melody.generation.primer.added import parse_parts
from melody.generation.ranges import check_ranges
from melody.generation.ranking import BY
from melody.generation.sampling import Sampling
from melody.music.progressions import parse_progression
from melody.music.swing import check_swing
from melody.tokens.channels import DENSITIES
from melody.tokens.plan import parse_form
from melody.tokens.vocabulary import METERS

AS_PRIMER = "as-primer"  # a form
FILL_CANDIDATES = 4  # what follows a gap, or the beginning that a loop returns to, chooses among them
ROUNDS = 16  # of rewriting
LIMITS = {  # least and most
    "bars": (1, 1000),
    "section": (1, 64),
    "beam_width": (0, 1000),
    "length_penalty": (0, 100),
    "best_of": (1, 1000),
    "no_repeat": (2, 64),
    "max_polyphony": (1, 128),
    "max_copy_bars": (0, 1000),
    "tempo_qpm": (4, 1000),
    "humanize": (0, 2),
    "strength": (0.01, 1),
    "rounds": (0, 256),
}


@dataclass(frozen=True)
class Settings:
    """Settings of a composition. `None` leaves a choice to the primer or the model."""

    bars: int | None = None  # new ones; default: 8, or as many as are to be filled or composed around
    sampling: Sampling = field(default_factory=lambda: Sampling(top_p=None))
    beam_width: int = 0  # 0: sampling
    length_penalty: float = 0.0
    stochastic: bool = False  # the beam draws: takes of which no two are alike
    best_of: int | None = None  # candidates for each take, of which the best by `by` is kept; default: 1; fill, loop 4
    by: str = "both"  # or likelihood, rules
    key: str | None = None  # "E minor"
    strict_key: bool = False  # new pitches from the scale alone
    chords: str | None = None  # "Am F C G": a bar each, over again; see `melody.music.progressions`
    strict_chords: bool = True  # notes that begin on strong beats, or with a chord, belong to it
    density: str | None = None  # low, medium or high
    contour: tuple[float, ...] | None = None  # the line that the new tune follows, in semitones
    style: str | None = None  # one of the bundle's
    fill: tuple[int, int] | None = None  # first and last bar (from 1) of the primer to be composed anew
    rounds: int | None = None  # in which they are rewritten, all at once; 0: 16, where most voices stay; default: none
    strength: float | None = None  # share of these bars that chance composes anew; default: all
    tracks: tuple[str, ...] = ()  # those in which they are; default: all that the model knows
    mapping: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the model's tracks of the musician's
    with_tracks: tuple[str, ...] = ()  # that stay, and go on where the others end: these are composed around them
    add: tuple[str, ...] = ()  # parts that new tracks play through the bars that are there, as bass or drums
    keep: str | None = None  # of the primer, for the new bars: rhythm, pitches, or bars, every fourth varied
    no_repeat: int | None = None  # no track writes so many of its last 128 notes again
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # lowest and highest pitch, by track
    max_polyphony: int | None = None  # notes at once in each pitched track
    style_rules: bool = True  # those that the bundle names, as no parallel fifths in chorales
    max_copy_bars: float | None = None  # of a training piece that a new voice may copy
    tempo_qpm: float | None = None
    meter: tuple[int, int] | None = None
    ending: bool = True
    only_new: bool = False
    loop: bool = False  # the last bar leads into the first one
    form: str | None = None  # sections of the piece, as "AABA", or "as-primer"; see `melody.generation.form`
    section: int = 8  # bars of each
    humanize: float | None = None  # how much of a player's timing; default: 1 for drums and after played music, else 0
    swing: tuple[float, int] | None = (
        None  # share of a pair that its first note takes, in percent; of eighths (8) or 16
    )

    def __post_init__(self) -> None:
        check_types(self)
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"`{name}` must lie in [{least:g}, {most:g}], got {value:g}")
        if self.meter is not None and self.meter not in METERS:
            raise UsageError(
                f"`meter` {self.meter[0]}/{self.meter[1]}: a bar is a whole number of 32nds, up to 12 quarters"
            )
        if self.max_copy_bars == 0:
            raise UsageError("`max_copy_bars` must be above 0; leave it out to allow copies of any length")
        check_ranges(self.ranges)
        if self.swing is not None:
            check_swing(*self.swing)
        self._check_search()
        self._check_region()

    def _check_search(self) -> None:
        if self.stochastic and not self.beam_width:
            raise UsageError("`stochastic` is for a beam search; give `beam_width` too, at least the number of takes")
        if self.stochastic and (self.sampling.temperature == 0 or self.length_penalty):
            raise UsageError(
                "`stochastic`: such a beam draws takes; it needs a `temperature` above 0 and no `length_penalty`"
            )
        if self.by not in BY:
            raise UsageError(f"`by` {self.by!r}: choose {', '.join(BY[:-1])} or {BY[-1]}")
        several = self.best_of is not None and self.best_of > 1
        if several and self.beam_width:
            raise UsageError("`best_of` compares takes that were drawn, `beam_width` draws none; leave one of them out")
        if several and self.sampling.is_greedy:
            raise UsageError("`best_of` compares different takes; greedy ones are all equal: raise the temperature")

    def _check_region(self) -> None:
        if self.density is not None and self.density not in DENSITIES:
            raise UsageError(f"`density` {self.density!r}: choose {', '.join(DENSITIES[:-1])} or {DENSITIES[-1]}")
        if self.keep not in (None, "rhythm", "pitches", "bars"):
            raise UsageError(f"`keep` {self.keep!r}: choose rhythm, pitches or bars")
        if sum(map(bool, (self.fill, self.with_tracks, self.keep, self.add))) > 1:
            raise UsageError("`fill`, `with_tracks`, `keep` and `add` are different tasks; do one after the other")
        if self.add and self.bars is not None:
            raise UsageError("`add` composes in the bars that are there; leave out `bars`, and continue the result")
        if self.loop and (self.fill or self.with_tracks or self.add):
            raise UsageError("`loop` is about the end of new bars; leave out `fill`, `with_tracks` and `add`")
        if self.tracks and not self.fill:
            raise UsageError("`tracks` names those to be filled; say which bars too with `fill`")
        if self.fill and not 1 <= self.fill[0] <= self.fill[1]:
            raise UsageError(f"`fill` {self.fill[0]}-{self.fill[1]}: bars count from 1, the first comes first")
        if self.strength is not None and not self.fill:
            raise UsageError("`strength` says how much is composed anew: say of which bars with `fill`, or give `like`")
        if self.rounds is not None and not self.fill:
            raise UsageError("`rounds` says how often bars are gone over: say which with `rewrite`")
        if self.fill and self.bars is not None:
            raise UsageError("`fill` says which bars are composed; leave out `bars`")
        if (self.fill or self.with_tracks or self.add) and (self.meter or self.tempo_qpm):
            raise UsageError("between notes that stay, meter and tempo stay too; leave out `meter` and `tempo_qpm`")
        if self.keep in ("pitches", "bars") and (self.strict_key or self.ranges):
            raise UsageError(f"`keep` {self.keep}: they are the primer's; leave out `strict_key` and `ranges`")
        if self.keep in ("pitches", "bars") and (self.chords or self.no_repeat):
            raise UsageError(f"`keep` {self.keep}: they are the primer's; leave out `chords` and `no_repeat`")
        if self.keep in ("rhythm", "bars") and self.density:
            raise UsageError(f"`keep` {self.keep}: the rhythm is the primer's; leave out `density`")
        if self.chords is not None:
            parse_progression(self.chords)
        if self.form is not None:
            self._check_form()
        if self.contour is not None:
            self._check_contour()

    def _check_form(self) -> None:
        if self.form != AS_PRIMER:
            parse_form(str(self.form))
        if self.fill or self.with_tracks or self.keep or self.add:
            raise UsageError("form plans new bars: leave out `fill`, `with_tracks`, `keep` and `add`")

    def _check_contour(self) -> None:
        check_contour(self.contour or ())
        if self.with_tracks or self.add or self.keep in ("pitches", "bars"):
            raise UsageError("`contour` is that of a new tune: leave out `with_tracks`, `add` and `keep`")

    @property
    def decoder(self) -> str:
        """Return the name of its decoder, see `melody.generation.decoders`."""
        if self.beam_width:
            return "stochastic_beam" if self.stochastic else "beam"
        if self.rounds is not None:
            return "rewriting"
        return "sampling"

    @property
    def candidates(self) -> int:
        """Number of candidates for each take."""
        if self.beam_width or self.sampling.is_greedy:
            return 1
        return self.best_of or (FILL_CANDIDATES if self.fill or self.loop else 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them; `settings_from` reads them back."""
        return dict(self._values)

    @cached_property
    def _values(self) -> dict[str, Any]:  # of many takes the same
        values = asdict(self)
        if not self.mapping:  # so that files from before there was one are composed again byte for byte
            del values["mapping"]
        if not self.add:
            del values["add"]
        if self.form is None:
            del values["form"], values["section"]
        if self.contour is None:
            del values["contour"]
        if self.humanize == 0:
            del values["humanize"]
        if self.strength is None:
            del values["strength"]
        if self.rounds is None:
            del values["rounds"]
        if not self.loop:
            del values["loop"]
        if self.swing is None:
            del values["swing"]
        return values


def settings_of(options: Mapping[str, Any], base: Settings | None = None) -> Settings:
    """Return settings with these options (see `melody.generation.options`) changed. Raises `UsageError`."""
    options, base = dict(options), base or Settings()
    if options.pop("greedy", False):
        options["temperature"] = 0.0
    if "with" in options:  # a keyword of Python's, as in compose(theme, **{"with": "Soprano"})
        options["with_tracks"] = options.pop("with")
    if (rewrite := options.pop("rewrite", None)) is not None:
        if options.get("fill") is not None:
            raise UsageError("`fill` and `rewrite` both say which bars are composed anew; give one")
        options |= {"fill": rewrite, "rounds": options.get("rounds") or 0}
    if options.get("add"):
        options["add"], style = parse_parts(_names(options["add"]))
        if style and options.setdefault("style", style) != style:
            raise UsageError(f"`add` asks for {style}, `style` for {options['style']}; one piece has one style")
    decoding, own = Sampling.__dataclass_fields__, Settings.__dataclass_fields__.keys() - {"sampling"}
    if unknown := options.keys() - decoding - own:
        names = sorted([*decoding, *own, "greedy", "rewrite"])
        raise UsageError(f"unknown option {sorted(unknown)[0]!r}; there are {', '.join(names)}")
    sampling = replace(base.sampling, **{name: options.pop(name) for name in list(options) if name in decoding})
    return replace(base, sampling=sampling, **{name: _as_stored(name, value) for name, value in options.items()})


def _as_stored(name: str, value: Any) -> Any:
    """An option's value as `Settings` has it: sequences as tuples, one name as a tuple of one."""
    if name in ("tracks", "with_tracks", "add"):
        return _names(value)
    if name == "contour":
        return parse_contour(value) if isinstance(value, str) else _numbers(value)
    if name == "swing" and isinstance(value, int | float) and not isinstance(value, bool):
        return (value, 8)
    if name in ("meter", "fill", "swing"):
        return tuple(value) if isinstance(value, list) else value
    if name in ("ranges", "mapping") and isinstance(value, Mapping):
        items = value.items()
        return {key: _names(one) if name == "mapping" or isinstance(one, list) else one for key, one in items}
    return value


def _numbers(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) else value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) else value


def settings_from(data: Mapping[str, Any]) -> Settings:
    """Return the settings that `Settings.to_dict` made, after a way through JSON; other keys are left aside."""
    values: dict[str, Any] = {"humanize": 0.0}  # of files from before there was feel, which do not name it
    values |= {f.name: _as_stored(f.name, data[f.name]) for f in fields(Settings) if f.name in data}
    return Settings(**values | {"sampling": Sampling(**values.get("sampling", {}))})
