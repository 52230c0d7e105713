"""Composing: as one JSON answer, or as events while it is composed; progress, and an end to it."""

import asyncio
import base64
import binascii
import json
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from melody.errors import UsageError
from melody.music.score import bars, clip
from melody.studio.composing import Asked, check, compose
from melody.studio.desk import Desk
from melody.studio.errors import NotThere
from melody.studio.schema import ComposeBody, read_settings
from melody.studio.shelf import Sheet
from melody.studio.tasks import Task

EVENTS = "text/event-stream"
EVENTS_DESCRIBED = {
    200: {
        "description": "All takes; with `Accept: text/event-stream` the events start, bar, take, done or error",
        "content": {
            EVENTS: {
                "example": 'data: {"event": "bar", "take": 1, "bar": 9, "notes": [[0, 15360, 480, 67, 80]]}\n\n',
            }
        },
    }
}
LOOK_SECONDS = 0.25  # after which a client that waits for JSON is looked for


def add(router: APIRouter, desk: Desk) -> None:
    """Add the routes."""

    @router.post("/compose", tags=["compose"], summary="Compose", responses=EVENTS_DESCRIBED)  # type: ignore[arg-type]
    async def compose_takes(body: ComposeBody, request: Request) -> Any:
        """Continue a score, compose inside or around it, or start from nothing.

        A score is named by its id or sent along as a file. Notes in events are [track, onset, duration, pitch,
        velocity] at 480 ticks a quarter. Each take is a score: its notes are at `/v1/scores/{score}`, and its files.
        """
        asked = await run_in_threadpool(_asked, desk, body)
        task = desk.tasks.start(partial(compose, asked, desk.shelf))
        if EVENTS in request.headers.get("accept", ""):
            return StreamingResponse(_as_events(task), media_type=EVENTS, headers={"x-accel-buffering": "no"})
        return await _as_json(task, request)

    @router.get("/tasks", tags=["compose"], summary="Compositions at work, and how far they are")
    async def tasks() -> list[dict[str, Any]]:
        """Return those that compose and those that wait; the id of a task is in its first event."""
        return [task.to_dict() for task in desk.tasks.all()]

    @router.delete("/tasks/{task}", tags=["compose"], summary="Cancel a composition")
    async def cancel(task: str) -> dict[str, Any]:
        """Stop it at the next bar. Whoever closes the connection of its events cancels it too."""
        if (found := desk.tasks.get(task)) is None:
            raise NotThere(f"task {task[:40]}: is not at work")
        found.cancel()
        return found.to_dict()


def _asked(desk: Desk, body: ComposeBody) -> Asked:
    """Return what is asked for; its primer is on the shelf then. Raises `MelodyError`."""
    settings = read_settings(body.settings)
    check(settings, body.takes, desk.bounds)
    if body.score and body.file:
        raise UsageError("`score` and `file`: give one of them")
    sheet = desk.shelf.get(body.score) if body.score else None
    if body.file:
        try:
            data = base64.b64decode(body.file, validate=True)
        except (binascii.Error, ValueError):
            raise UsageError("`file`: is not base64") from None
        sheet, _ = desk.shelf.take_in(data, body.name)
    if body.until is not None:
        sheet = _until(desk, sheet, body.until)
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    return Asked(settings, sheet, body.model, body.takes, seed)


def _until(desk: Desk, sheet: Sheet | None, bar: int) -> Sheet:
    """Return the score up to a bar (from 1)."""
    if sheet is None:
        raise UsageError("`until`: of what? give a score too")
    score = desk.shelf.reading(sheet.id).score
    if bar >= len(bars(score)) - 1:
        return sheet
    line = int(bars(score)[bar])
    hand = [note for note in sheet.hand if note[1] < line]
    return desk.shelf.take_in_score(clip(score, 0, bar), sheet, f"{sheet.stem}-to-{bar}.mid", hand)


async def _as_events(task: Task) -> AsyncIterator[str]:
    """Yield server-sent events; where the client goes away, or reads no more, the work ends."""
    try:
        async for event in task:
            event = {"task": task.id, **event} if event["event"] == "start" else event
            yield f"event: {event['event']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n"
    finally:
        task.cancel()


async def _as_json(task: Task, request: Request) -> Any:
    """Return all takes in one answer."""
    events = [event async for event in _while_there(task, request)]
    last = events[-1]
    if last["event"] != "done":
        error = {name: last.get(name, "") for name in ("code", "message")}
        error = error if last["event"] == "error" else {"code": "cancelled", "message": "the composition was cancelled"}
        return JSONResponse({"error": error}, last.get("status", 499))
    start = {name: value for name, value in events[0].items() if name not in ("event", "tpq")}
    takes = [{k: v for k, v in event.items() if k != "event"} for event in events if event["event"] == "take"]
    return {**start, "takes": takes}


async def _while_there(task: Task, request: Request) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a task while the client waits for them; cancel it where the client has gone."""
    looking = asyncio.create_task(_cancel_when_gone(task, request))
    try:
        async for event in task:
            yield event
    finally:
        looking.cancel()


async def _cancel_when_gone(task: Task, request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(LOOK_SECONDS)
    task.cancel()
