"""Sessions: trees of states that are kept in files."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from melody.studio.desk import Desk
from melody.studio.routes.scores import FILE
from melody.studio.schema import ChangeBody, LabelBody, SessionBody, StateBody


def add(router: APIRouter, desk: Desk) -> None:
    """Add the routes."""
    sessions = desk.sessions

    @router.get("/sessions", tags=["sessions"], summary="The latest sessions")
    def listed() -> list[dict[str, Any]]:
        """Up to a hundred, the latest first."""
        return sessions.listed()

    @router.post("/sessions", tags=["sessions"], summary="Begin a session")
    def begin(body: SessionBody) -> dict[str, Any]:
        """Return a new session, without a state."""
        return sessions.begin(body.name).to_dict()

    @router.post("/sessions/open", tags=["sessions"], summary="Open a session's file", openapi_extra=FILE)
    async def open_file(request: Request) -> dict[str, Any]:
        """Send the file of a session as the body; it becomes a session of its own here."""
        data = await request.body()
        return (await run_in_threadpool(sessions.open_file, data)).to_dict()

    @router.get("/sessions/{session}", tags=["sessions"], summary="A session")
    def look_at(session: str) -> dict[str, Any]:
        """Return its states, each with the id of its score and the state that it came from."""
        return sessions.get(session).to_dict()

    @router.patch("/sessions/{session}", tags=["sessions"], summary="Go to a state, rename, keep the mixer")
    def change(session: str, body: ChangeBody) -> dict[str, Any]:
        """Return the session after the change."""
        found = sessions.get(session)
        found.change(body.at, body.name, body.mixer)
        return found.to_dict()

    @router.post("/sessions/{session}/states", tags=["sessions"], summary="Add a state")
    def add_state(session: str, body: StateBody) -> dict[str, Any]:
        """Keep a score as a state below another one, and go there."""
        found = sessions.get(session)
        found.add(desk.shelf.get(body.score), body.parent, body.did, desk.bounds)
        return found.to_dict()

    @router.patch("/sessions/{session}/states/{state}", tags=["sessions"], summary="Name a state")
    def label(session: str, state: int, body: LabelBody) -> dict[str, Any]:
        """Return the session after the change."""
        found = sessions.get(session)
        found.label(state, body.label)
        return found.to_dict()

    @router.get("/sessions/{session}/file", tags=["sessions"], summary="A session as a file", response_class=Response)
    def download(session: str) -> Response:
        """Return the file, which `POST /v1/sessions/open` opens again, here or elsewhere."""
        found = sessions.get(session)
        with found.lock:
            data = found.path.read_bytes()
        name = "".join(c if c.isalnum() and c.isascii() else "-" for c in found.name)[:60] or "session"
        headers = {"content-disposition": f'attachment; filename="{name}.melody"'}
        return Response(data, media_type="application/octet-stream", headers=headers)
