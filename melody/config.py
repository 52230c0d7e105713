"""The configuration of a training run: YAML and ``key=value`` changes, checked before anything costs time.

OmegaConf reads and merges (plain YAML takes ``1e-3`` for text), pydantic checks. A mistake is one line that names the
file and the key: ``configs/chorale.yaml: model.hiden_size: unknown key; did you mean hidden_size?``
Configuration ends here: models and training get values, `ResidualLSTM(**config.model.options())`.
"""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from yaml import YAMLError  # type: ignore[import-untyped]

from melody.errors import ConfigError

Rate = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Widest = Annotated[int, Field(ge=1, le=127)] | None  # semitones: intervals that have scores of their own in the head


class ConfigSection(BaseModel):
    """A part of the configuration: unknown keys are refused, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AttentionConfig(ConfigSection):
    """Attention after the last layer."""

    heads: Count = 8
    memory: Count = 512  # states it sees


class ResidualLSTMConfig(ConfigSection):
    """Options of `melody.models.ResidualLSTM`."""

    name: Literal["residual_lstm"] = "residual_lstm"
    hidden_size: Count = 512
    layers: Count = 3
    dropout: Rate = 0.2  # after each layer
    input_dropout: Rate = 0.0
    embedding_dropout: Rate = 0.0  # of whole tokens
    weight_dropout: Rate = 0.0  # of recurrent connections
    channel_dropout: Rate = 0.0  # of whole context channels
    attention: AttentionConfig | None = None
    intervals: Widest = None

    @model_validator(mode="after")
    def _heads_fit(self) -> "ResidualLSTMConfig":
        if self.attention and self.hidden_size % self.attention.heads:
            raise ValueError(f"attention.heads must divide hidden_size {self.hidden_size}, got {self.attention.heads}")
        return self

    def options(self) -> dict[str, Any]:
        """The keyword arguments of the model, but for what the tokenizer makes of `intervals`."""
        return self.model_dump(exclude={"name", "intervals"})


class ClockworkLSTMConfig(ConfigSection):
    """Options of `melody.models.ClockworkLSTM`; its clocks need the channels position, meter and phrase."""

    name: Literal["clockwork_lstm"] = "clockwork_lstm"
    hidden_size: Count = 256
    layers: Count = 3
    beat: Count = 64  # units of each layer that move once a beat
    bar: Count = 32  # once a bar
    phrase: Count = 32  # once in four bars; all others move at every token
    dropout: Rate = 0.2  # after each layer
    input_dropout: Rate = 0.0
    weight_dropout: Rate = 0.0  # of recurrent connections
    channel_dropout: Rate = 0.0  # of whole context channels
    intervals: Widest = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "ClockworkLSTMConfig":
        slow = self.beat + self.bar + self.phrase
        if slow >= self.hidden_size:
            raise ValueError(f"hidden_size must be larger than beat + bar + phrase = {slow}, got {self.hidden_size}")
        return self

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the model, but for its views of the tokens."""
        return self.model_dump(exclude={"name", "intervals"})


class EncoderDecoderConfig(ConfigSection):
    """Options of `melody.models.EncoderDecoder`; it needs the channels read and foreseen."""

    name: Literal["encoder_decoder"] = "encoder_decoder"
    hidden_size: Count = 256
    layers: Count = 3
    encoder_size: Annotated[Count, Field(le=256)] = 64  # of each direction; limits of `melody.tokens.encoder`
    encoder_layers: Annotated[Count, Field(le=8)] = 2
    steps: Annotated[Count, Field(le=8192)] = 384  # eighths of a piece that are encoded
    dropout: Rate = 0.2  # after each layer of the decoder
    input_dropout: Rate = 0.0
    weight_dropout: Rate = 0.0  # of its recurrent connections
    channel_dropout: Rate = 0.0  # of whole context channels
    intervals: Widest = None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the model, but for its views of the tokens."""
        return self.model_dump(exclude={"name", "intervals"})


class TransformerConfig(ConfigSection):
    """The options of `melody.models.Transformer`."""

    name: Literal["transformer"] = "transformer"
    hidden_size: Count = 256
    layers: Count = 4
    heads: Count = 4
    memory: Count = 512  # tokens it sees
    dropout: Rate = 0.1
    intervals: Widest = None

    @model_validator(mode="after")
    def _heads_fit(self) -> "TransformerConfig":
        if self.hidden_size % (2 * self.heads):
            raise ValueError(f"hidden_size must be a multiple of 2 x {self.heads} heads, got {self.hidden_size}")
        return self

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the model, but for what the tokenizer makes of `intervals`."""
        return self.model_dump(exclude={"name", "intervals"})


def _by_name(usual: str) -> Discriminator:
    """Tell sections apart by their name; one without has the usual name."""
    return Discriminator(lambda one: one.get("name", usual) if isinstance(one, dict) else getattr(one, "name", usual))


ModelConfig = Annotated[
    Annotated[ResidualLSTMConfig, Tag("residual_lstm")]
    | Annotated[ClockworkLSTMConfig, Tag("clockwork_lstm")]
    | Annotated[EncoderDecoderConfig, Tag("encoder_decoder")]
    | Annotated[TransformerConfig, Tag("transformer")],
    _by_name("residual_lstm"),
]


class DataConfig(ConfigSection):
    """Options of how pieces become windows."""

    batch_size: Count = 32  # lanes, over all devices together
    window: Count = 128  # tokens of truncated back-propagation
    transpose: bool = True  # each piece in a new transposition every pass
    velocity_steps: Natural = 0  # bins of 4 by which a piece may be louder or softer, drawn every pass
    tempo_steps: Natural = 0  # bins by which it may be faster or slower
    plan_dropout: Share = 0.0  # how often a plan channel is hidden for a piece
    silence: Share = 0.0  # how often some tracks of a piece are left out, drawn every pass
    channels: tuple[str, ...] = ("read", "foreseen", "repetition")  # that the model is told: groups, or single names
    voices: Count = 4  # tracks of whose pitches and given notes it is told
    harmony: Literal["beats", "halves"] | None = None  # steps of a plan of chords, which bundles draw where it is set
    seed: Natural = 0


class OptimizerConfig(ConfigSection):
    """AdamW with warm-up and cosine."""

    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    betas: tuple[Rate, Rate] = (0.9, 0.98)
    clip_norm: Positive = 1.0
    warmup_steps: Natural = 100
    floor: Share = 0.02  # of the learning rate, at the end of the cosine
    new_channels: Positive = 1.0  # times the learning rate, for channels that a base did not know
    passes: Count | None = None  # where the cosine ends; default: max_passes
    label_smoothing: Rate = 0.0


class CrossEntropyConfig(ConfigSection):
    """Learning from the music alone."""

    name: Literal["cross_entropy"] = "cross_entropy"


class DistilledConfig(ConfigSection):
    """Learning from finished runs besides the music; see `melody.training.objectives.distilled`."""

    name: Literal["distilled"] = "distilled"
    teachers: Annotated[tuple[str, ...], Field(min_length=1)]  # runs (folders) or models with the same tokens
    weight: Share = 0.5  # of what they think, in the loss
    temperature: Positive = 1.0  # by which their logits are divided
    drawn: Natural = 0  # pieces that they compose for it, to be learned beside the corpus


class LimitsConfig(ConfigSection):
    """Limits beside the base, without which no weights are the best, and whose breach ends a run."""

    nats_per_note: Positive | None = 0.02  # more on valid, at most
    distinct: Share | None = 0.95  # of the base's distinct 8-note n-grams, at least; of drums, of its distinct bars
    in_training: Positive | None = 0.01  # more of the n-grams stand in the training music, at most
    critic: Positive | None = 0.03  # more area under the curve of a critic, at most


class DrawingConfig(ConfigSection):
    """Options of drawing pieces while a model learns, and of learning from them."""

    weight: Positive = 1.0  # of the policy gradient beside cross entropy
    rules: dict[str, Positive] = {}  # of a style (`melody.generation.rules.styles`), and what it costs to break them
    kl_target: Positive = 0.02  # nats a token from the base
    kl_coefficient: Positive = 1.0  # at the start; it adapts
    pieces: Count = 48  # drawn at a time
    group: Annotated[int, Field(ge=2)] = 12  # of them begin alike
    bars: tuple[Count, Count] = (8, 16)  # of a piece, least and most
    primed: Share = 0.5  # groups that go on from training pieces
    reach: Positive = 1.0  # times a reward's own: bars before what is earned in which tokens have their share in it
    judged: Count = 48  # continuations of training pieces at each evaluation
    limits: LimitsConfig = LimitsConfig()


class PolicyConfig(DrawingConfig):
    """Learning from rewards for what the model composes; see `melody.training.objectives.policy`."""

    name: Literal["policy"] = "policy"
    rewards: Annotated[dict[str, float], Field(min_length=1)]  # weights by the names in `melody.evaluation.rewards`


class AdversarialConfig(DrawingConfig):
    """Learning to fool a discriminator, besides; see `melody.training.objectives.adversarial`."""

    name: Literal["adversarial"] = "adversarial"
    rewards: dict[str, float] = {}  # as those of a policy; none are needed
    adversary: Positive = 1.0  # weight of the probability that people wrote a window
    width: Count = 64  # of the discriminator, in either direction
    adversary_rate: Positive = 1.0e-3  # its learning rate
    silent: Natural = 4  # draws that only teach it
    gumbel: Positive | None = None  # temperature of samples by which a Wasserstein critic's gradient goes through them


ObjectiveConfig = Annotated[
    Annotated[CrossEntropyConfig, Tag("cross_entropy")]
    | Annotated[DistilledConfig, Tag("distilled")]
    | Annotated[PolicyConfig, Tag("policy")]
    | Annotated[AdversarialConfig, Tag("adversarial")],
    _by_name("cross_entropy"),
]


class EvaluationConfig(ConfigSection):
    """Options of evaluating on the valid split, and of stopping."""

    every: Count = 1  # passes
    steps: Count | None = None  # optimizer steps, in place of passes
    patience: Count | None = 10  # evaluations without a better one; null: never stop early
    batch_size: Count = 16
    window: Count = 128
    temperature: Positive = 1.0  # by which logits are divided, so that who is too sure is judged by what it knows


def at_temperature(temperature: float) -> str:
    """Return the words that go with a figure of that `EvaluationConfig.temperature`; none for 1."""
    return f" at a temperature of {temperature:g}" if temperature != 1 else ""


class TrainConfig(ConfigSection):
    """One training run that anyone can repeat."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    corpus: str  # a name in corpora/ or the folder of a token store
    base: str | None = None  # a model by name or folder, whose weights training starts from
    description: str = ""
    licence: str = ""
    tempo_qpm: Positive = 120.0  # of a piece that the model writes from nothing
    track_names: tuple[str, ...] = ()  # of the tracks it writes, in order
    track_roles: tuple[str, ...] = ()  # their roles in a band, by which a primer's tracks find their places
    default_style: str | None = None  # one of the corpus's: what the model composes in where none is asked for
    harmony_temperature: Positive = 0.7  # of a plan of chords: what is unlikely each time spoils a progression
    harmony_fit: Positive = 1.0  # how much given notes, as a tune's, weigh in one
    chord_plans: Annotated[int, Field(ge=1, le=64)] = 1  # more: so many, at temperature 1; the likeliest stays
    harmoniser: str | None = None  # a model by name or folder, whose harmonist finds the chords of a tune alone
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95  # of the probability that takes are drawn from by default
    range_beyond: Natural = 5  # semitones that a part may go beyond what it has played in a primer
    style_rules: tuple[str, ...] = ()  # to which compositions are held, as melody.generation.rules.styles names them
    rules_by_style: dict[str, tuple[str, ...]] = {}  # in place of these, for some of the corpus's styles
    model: ModelConfig = ResidualLSTMConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    objective: ObjectiveConfig = CrossEntropyConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    ema_decay: Rate = 0.998  # of the averaged weights that are evaluated and exported; 0: the last weights
    max_passes: Count = 100
    max_minutes: Positive | None = None  # of the run, over all its sessions
    checkpoint_minutes: Positive = 5.0
    precision: Literal["auto", "bf16-mixed", "32-true"] = "auto"  # auto: bf16 where the processor is fast with it
    devices: Count = 1
    threads: Count | None = None  # of each process on a CPU; default: its share of the cores
    compile: bool = False
    tensorboard: bool = True
    sample_every: Count | None = 5  # evaluations: then TensorBoard gets a composition, as piano roll and as sound

    @model_validator(mode="before")
    @classmethod
    def _earlier(cls, values: Any) -> Any:
        """Take the key `distillation` of earlier versions for the objective that it is now."""
        if not isinstance(values, dict) or "distillation" not in values:
            return values
        told = (rest := {**values}).pop("distillation")
        return rest | ({"objective": {"name": "distilled", **told}} if isinstance(told, dict) else {})

    @model_validator(mode="after")
    def _devices_fit(self) -> "TrainConfig":
        for section in ("data", "evaluation"):
            if getattr(self, section).batch_size % self.devices:
                raise ValueError(f"{section}.batch_size must be a multiple of devices {self.devices}")
        return self


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration in a YAML file with changes such as ``model.layers=2``. Raises `ConfigError`."""
    path = Path(path)
    try:
        merged: Any = OmegaConf.load(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read: {error.strerror or error}") from error
    except (YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{path}: is not YAML: {_one_line(error)}") from error
    if not OmegaConf.is_dict(merged):
        raise ConfigError(f"{path}: must hold keys and values, such as name: chorale")
    return check_config(changed(merged, overrides, path), path)


def changed(values: Any, overrides: Sequence[str], source: str | os.PathLike[str] = "configuration") -> Any:
    """Plain values with changes such as ``model.layers=2``. Raises `ConfigError` for one that cannot be read."""
    merged = OmegaConf.create(values)
    for change in overrides:
        if "=" not in change:
            raise ConfigError(f"{change!r} is no change of the configuration; write key=value, as model.layers=2")
        try:
            merged = OmegaConf.merge(merged, OmegaConf.from_dotlist([change]))
        except (YAMLError, OmegaConfBaseException, ValueError) as error:
            raise ConfigError(f"{change}: {_one_line(error)}") from error
    try:
        return OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{os.fspath(source)}: {_one_line(error)}") from error


def check_config(values: Any, source: str | os.PathLike[str] = "configuration") -> TrainConfig:
    """The configuration of plain values; `source` stands before each message. Raises `ConfigError`."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{os.fspath(source)}: {_explain(dict(e))}" for e in error.errors())) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _explain(error: dict[str, Any]) -> str:
    keys, section = _walk(error["loc"])
    key = ".".join(keys)
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {_suggest(keys[-1], list(section.model_fields))}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    if error["type"] == "union_tag_invalid":
        name, names = str(error["ctx"]["tag"]), list(_sections(section.model_fields[keys[-1]].annotation))
        return f"{key}.name: {name!r} is unknown; {_suggest(name, names)}"
    message: str = error["msg"].removeprefix("Value error, ")
    came = "" if isinstance(error["input"], BaseModel | dict) else f", got {error['input']!r}"
    return (f"{key}: " if key else "") + message[0].lower() + message[1:] + came


def _suggest(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, 1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"


def _walk(location: Sequence[int | str]) -> tuple[list[str], type[BaseModel]]:
    """Return the keys on the way to a mistake, and the section that should know the last of them."""
    keys: list[str] = []
    section: type[BaseModel] = TrainConfig
    inside: dict[str, type[BaseModel]] = {"": TrainConfig}
    for part in map(str, location):
        if part in inside:  # which section of a union was meant: no key of the file
            inside = {"": inside[part]}
            continue
        section = next(iter(inside.values()), section)
        keys.append(part)
        inside = _sections(section.model_fields[part].annotation) if part in section.model_fields else {}
    return keys, section


def _sections(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return the sections that an annotation allows, by name where they have one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        name = annotation.model_fields.get("name")
        return {name.default if name else "": annotation}
    return {name: kind for part in get_args(annotation) for name, kind in _sections(part).items()}
