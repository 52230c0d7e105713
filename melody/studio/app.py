"""The application: routes of the API, the page, and one form for all errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from melody.errors import MelodyError
from melody.render import player
from melody.studio.desk import Desk
from melody.studio.errors import refusal_of
from melody.studio.guard import Door, Guard
from melody.studio.routes import about, compose, listening, scores, sessions
from melody.version import __version__

PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ABOUT = """Compose, edit and hear music. Every call below wants the token of the server's URL, as `Authorization: Bearer
TOKEN` or as `?token=TOKEN`. An error is `{"error": {"code", "message"}}` with one line that says what to do; 429 means
that the server has its hands full: try again after the seconds in `Retry-After`."""


def application(desk: Desk, door: Door, page: bool = True) -> ASGIApp:
    """Return the server's application: the API, and the page where it is asked for."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(
        title="melody",
        version=__version__,
        description=ABOUT,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's own pages fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    router = APIRouter(prefix="/v1")
    for subject in (compose, scores, sessions, listening, about):
        subject.add(router, desk)
    app.include_router(router)
    _add_files(app, page)
    app.add_exception_handler(MelodyError, _refused)
    app.add_exception_handler(MemoryError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _refused)
    return Guard(app, door, desk.bounds)


def _add_files(app: FastAPI, page: bool) -> None:
    """Serve the files of the page, each by its own route: no name that a client sends reaches the file system."""
    docs = ("docs.html", "docs.js", "docs.css", "icon.svg")
    files = {path.name: path for path in PAGE.iterdir() if path.suffix in TYPES and (page or path.name in docs)}
    routes = {f"/{name}": path for name, path in files.items()}
    routes |= {"/docs": files["docs.html"]} | ({"/": files["index.html"]} if page else {"/": files["docs.html"]})

    def serve(route: str, body: bytes, suffix: str) -> None:
        @app.get(route, include_in_schema=False)
        def file() -> Response:
            return Response(body, media_type=TYPES[suffix], headers={"cache-control": "no-cache"})

    for route, path in routes.items():
        serve(route, path.read_bytes(), path.suffix)

    for route, text in {"/look.css": player.style(), "/voices.js": player.voices()}.items():  # shared with other pages
        serve(route, text.encode(), Path(route).suffix)


async def _refused(_: Request, error: Exception) -> Response:
    refusal = refusal_of(error)
    headers = {"retry-after": "1"} if refusal.status == 429 else None
    return JSONResponse(refusal.body(), refusal.status, headers)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    message = f"`{place}`: {first['msg'][0].lower()}{first['msg'][1:]}" if place else first["msg"]
    return JSONResponse({"error": {"code": "usage", "message": message}}, 400)


async def _http(_: Request, error: HTTPException) -> Response:
    code = {404: "not_there", 405: "method"}.get(error.status_code, "refused")
    message = "no such address; /docs lists all" if error.status_code == 404 else str(error.detail)
    return JSONResponse({"error": {"code": code, "message": message}}, error.status_code)
