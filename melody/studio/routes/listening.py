"""Ears: the notes of a recording, and what is played on a MIDI port of this machine, for browsers without Web MIDI."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from melody.errors import MelodyError
from melody.storage.display import shown
from melody.studio.desk import Desk
from melody.studio.errors import Busy
from melody.studio.routes.scores import FILE

LOOK_SECONDS = 0.002  # between two looks at a port
EVENTS = "text/event-stream"
LETTERS = 120


def add(router: APIRouter, desk: Desk) -> None:
    """Add the routes."""
    listening = asyncio.Semaphore(1)

    @router.post("/hear", tags=["listening"], openapi_extra=FILE, summary="The notes of a recording")
    async def hear(request: Request, name: str = "recording.wav") -> dict[str, Any]:
        """Send what was hummed, sung or played (WAV, FLAC, MP3, OGG); notes come back, and what was unsure about them.

        Notes are [second, seconds, pitch, velocity]. To begin with a recording as a score, send it to `/v1/scores`.
        """
        from melody.senses.hearing import hear as heard_in

        data = await request.body()
        heard = await run_in_threadpool(heard_in, data, shown(name, LETTERS) or "recording.wav")
        notes = [[round(n.onset, 4), round(n.end - n.onset, 4), n.pitch, n.velocity] for n in heard.notes]
        return {"notes": notes, "told": list(heard.remarks)}

    @router.get("/midi", tags=["listening"], summary="What is played on a MIDI port", response_class=StreamingResponse)
    async def midi(port: str | None = None) -> StreamingResponse:
        """Listen to a port by its name, or to a new one that other programs see as `melody`, until the client goes.

        Events are `listening`, with the name of the port, and `midi`, with the bytes of a note that begins or ends.
        """
        if listening.locked():
            raise Busy("somebody listens to a MIDI port already; let them finish")
        await listening.acquire()
        try:
            inlet = await run_in_threadpool(_opened, port)
        except BaseException:
            listening.release()
            raise
        return StreamingResponse(_notes(inlet, desk.bounds.listening_seconds, listening.release), media_type=EVENTS)


def _opened(port: str | None) -> Any:
    try:
        from melody.live.ports import open_inlet
    except ImportError as error:
        raise MelodyError(f"MIDI ports need {error.name}: pip install 'melody[live]'") from None
    try:
        return open_inlet(port)
    except MelodyError as error:
        if port is not None:
            raise
        reason = str(error).partition("; on Linux")[0]
        raise MelodyError(f"{reason}; connect the keyboard and use a browser with Web MIDI, as Chromium") from None


async def _notes(inlet: Any, seconds: float, release: Callable[[], None]) -> AsyncIterator[str]:
    """Yield events; the port is closed when the client goes."""
    try:
        yield _event("listening", port=shown(str(inlet.name), LETTERS))
        async with asyncio.timeout(seconds):
            while not inlet.closed:
                if (message := inlet.poll()) is None:
                    await asyncio.sleep(LOOK_SECONDS)
                elif message.type in ("note_on", "note_off"):
                    yield _event("midi", data=message.bytes())
    except TimeoutError:
        pass
    finally:
        inlet.close()
        release()
    yield _event("done")


def _event(name: str, **told: Any) -> str:
    return f"event: {name}\ndata: {json.dumps({'event': name, **told})}\n\n"
