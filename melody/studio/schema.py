"""Bodies of requests as pydantic knows them: so they are checked, and described with examples in the API's own page."""

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from melody.errors import UsageError
from melody.generation import Sampling, Settings
from melody.generation.settings import settings_from, settings_of


@cache
def settings_schema() -> dict[str, Any]:
    """Return the JSON schema of a composition's settings: the fields of `Settings` and of `Sampling`, on one level."""
    schema = TypeAdapter(Settings).json_schema(ref_template="{model}")
    fields = {name: value for name, value in schema["properties"].items() if name != "sampling"}
    fields |= TypeAdapter(Sampling).json_schema()["properties"]
    fields["top_p"]["default"] = None  # the model's own
    return {
        "type": "object",
        "properties": fields,
        "additionalProperties": False,
        "description": "The keywords of `Composer.compose`; `melody compose --help` explains each.",
    }


class _SettingsSchema:
    """The schema of settings, made when the API is described: it takes the whole library."""

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        return settings_schema()


def read_settings(given: dict[str, Any]) -> Settings:
    """Return settings from JSON: keywords of `Composer.compose`, or the settings of a take. Raises `UsageError`."""
    try:
        return settings_from(given) if isinstance(given.get("sampling"), dict) else settings_of(given)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"settings: {error}") from error


SettingsGiven = Annotated[dict[str, Any], _SettingsSchema()]


class Body(BaseModel):
    """A request's body; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class ComposeBody(Body):
    """Music that is asked for."""

    score: str | None = Field(None, description="The id of a score to go on from; none: from nothing.")
    file: str | None = Field(None, description="Or a file (MIDI, MusicXML, ABC, kern), as base64.", max_length=12 << 20)
    name: str = Field("theme.mid", description="The name of that file.", max_length=200)
    until: int | None = Field(None, description="Go on after this bar (from 1), and leave out what follows.", ge=1)
    model: str | None = Field(None, description="A model by name; none: the one that suits the score.", max_length=100)
    settings: SettingsGiven = Field(default_factory=dict)
    takes: int = Field(1, description="Number of different takes.")
    seed: int | None = Field(None, description="A number that fixes what chance decides.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"model": "chorale", "settings": {"bars": 8, "key": "E minor"}, "takes": 2, "seed": 7},
                {"score": "ID", "settings": {"fill": [5, 6], "tracks": ["Bass"], "temperature": 1.1}, "takes": 4},
            ]
        },
    )


class NewTrackBody(Body):
    """A track to be added."""

    name: str = Field(max_length=60)
    program: int = Field(0, ge=0, le=127, description="General MIDI, from 0.")
    drums: bool = False


class EditBody(Body):
    """Notes to take out and to put in, in ticks of the score; what is put in counts as written by hand."""

    remove: list[tuple[int, int, int]] = Field([], description="[track, onset, pitch]", max_length=10_000)
    add: list[tuple[int, int, int, int, int]] = Field(
        [], description="[track, onset, duration, pitch, velocity]", max_length=5000
    )
    new_tracks: list[NewTrackBody] = Field([], description="Numbered on after those that are there.", max_length=16)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"remove": [[0, 480, 64]], "add": [[0, 480, 240, 67, 90]]}]},
    )


class SessionBody(Body):
    """A session that begins."""

    name: str = Field("", max_length=200)


class StateBody(Body):
    """A state that is added to a session, below the one that it came from."""

    score: str
    parent: int | None = None
    did: str = Field(description="What was done, in a few words.", max_length=200)


class ChangeBody(Body):
    """A change of a session: the state that is worked on, its name, what the page keeps."""

    at: int | None = None
    name: str | None = Field(None, max_length=200)
    mixer: dict[str, Any] | None = None


class LabelBody(Body):
    """A name for a state."""

    label: str = Field(max_length=200)
