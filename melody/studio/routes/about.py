"""Abilities of the server: its models, its limits, its formats, and the settings that compositions take."""

from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter

from melody.bundle import Bundle
from melody.generation import Settings
from melody.generation.model_choice import follows
from melody.music.general_midi import INSTRUMENTS
from melody.studio.composing import FROM_NOTHING, bundles
from melody.studio.desk import Desk
from melody.studio.routes.scores import TYPES
from melody.studio.schema import settings_schema
from melody.version import __version__

SETTINGS = Settings.__dataclass_fields__


def add(router: APIRouter, desk: Desk) -> None:
    """Add the routes."""

    @router.get("/about", tags=["about"], summary="What this server can do")
    def about() -> dict[str, Any]:
        """Return version, limits, models, formats, and the settings as a JSON schema."""
        return {
            "version": __version__,
            "bounds": asdict(desk.bounds),
            "models": models(),
            "from_nothing": FROM_NOTHING,
            "formats": list(TYPES),
            "hears": find_spec("swift_f0") is not None,
            "settings": settings_schema(),
            "instruments": list(INSTRUMENTS),
        }

    @router.get("/models", tags=["about"], summary="The models")
    def models() -> list[dict[str, Any]]:
        """Return the models to compose with: their tracks, styles, and what each is for."""
        return [_described(bundle) for bundle in bundles().values()]


def _described(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "description": bundle.settings.get("description", ""),
        "tracks": [
            {"name": info.name, "program": info.program, "drums": info.drums, "role": info.role}
            for info in bundle.tracks
        ],
        "styles": bundle.settings.get("styles", []),
        "tempo_qpm": bundle.tempo_qpm,
        "plans": "planner" in bundle.settings,
        "follows": follows(bundle),
        "licence": bundle.settings.get("licence", ""),
    }
