"""Scores: sent as files, looked at, changed by hand, heard, and taken away in every format that melody writes."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from symusic import Track

from melody.errors import LimitExceeded, UsageError
from melody.generation.take_files import SOUND, Writing, write_piece
from melody.music.score import Score
from melody.render.sound import encode, unlevelled
from melody.render.stems import single_tracks, track_seconds
from melody.studio.desk import Desk
from melody.studio.edits import NewTrack, edited
from melody.studio.excerpts import numbers_of
from melody.studio.schema import EditBody
from melody.studio.shelf import Sheet
from melody.studio.view import view_of

FILE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TYPES = {
    ".mid": "audio/midi",
    ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".dawproject": "application/zip",
    ".html": "text/html",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".zip": "application/zip",
}
STEMS_RATE = 44_100


def add(router: APIRouter, desk: Desk) -> None:
    """Add the routes."""
    shelf = desk.shelf

    @router.post("/scores", tags=["scores"], openapi_extra=FILE, summary="Send a file")
    async def take_in(request: Request, name: str = "theme.mid") -> dict[str, Any]:
        """Send a MIDI, MusicXML, ABC or kern file as the body; its score comes back, with what had to be mended.

        `curl --data-binary @theme.mid "$URL/v1/scores?name=theme.mid&token=$TOKEN"`
        """
        data = await request.body()
        sheet, told = await run_in_threadpool(shelf.take_in, data, name)
        return view_of(sheet, shelf.reading(sheet.id)) | {"told": told}

    @router.get("/scores/{score}", tags=["scores"], summary="A score, or a take")
    def look_at(score: str) -> dict[str, Any]:
        """Notes by track, bars, meters, keys, tempos, the chords that are heard; of a take all that is known of it."""
        return view_of(shelf.get(score), shelf.reading(score))

    @router.post("/scores/{score}/edit", tags=["scores"], summary="Change notes by hand")
    def edit(score: str, body: EditBody) -> dict[str, Any]:
        """Take notes out and put notes in; a new score comes back. What a hand wrote stays in bars composed anew."""
        sheet = shelf.get(score)
        tracks = [NewTrack(new.name, new.program, new.drums) for new in body.new_tracks]
        made, hand = edited(shelf.reading(score), body.remove, body.add, tracks, sheet.hand)
        new = shelf.take_in_score(made, sheet, sheet.name, hand)
        return view_of(new, shelf.reading(new.id))

    @router.get("/scores/{score}/stems", tags=["sound"], summary="The tracks of a score as sound")
    def stems(score: str) -> dict[str, Any]:
        """Render what is not rendered yet. A stem's file is at `/v1/sounds/{sound}`, to be played times its gain."""
        return desk.sounds.stems(shelf.reading(score))

    @router.get("/sounds/{sound}", tags=["sound"], summary="The file of a stem", response_class=Response)
    def sound(sound: str) -> Response:
        """Return a mono FLAC."""
        cached = {"cache-control": "private, max-age=31536000, immutable"}
        return Response(desk.sounds.sound(sound), media_type=TYPES[".flac"], headers=cached)

    @router.get("/scores/{score}/excerpt", tags=["sound"], summary="Its next seconds as sound", response_class=Response)
    def excerpt(score: str, start: float = 0.0, stop: float | None = None, tracks: str | None = None) -> Response:
        """Return some eight seconds from a second on as FLAC, at once: for playing while the stems are rendered.

        `tracks` (from 0, as 0,2) are those that are heard. The headers tell the `seconds` after which the next excerpt
        begins (what rings on is there too) and the `gain` for it.
        """
        chosen = None if tracks is None else numbers_of(tracks)
        found = desk.excerpts.of(shelf.reading(score).score, start, stop, chosen)
        told = {"seconds": f"{found.seconds:.6f}", "gain": f"{found.gain:.6f}"}
        return Response(found.data, media_type=TYPES[".flac"], headers=told)

    @router.get(
        "/scores/{score}/file/{name}", tags=["scores"], summary="A score as a file", response_class=FileResponse
    )
    def download(score: str, name: str, track: int | None = None) -> Response:
        """Return it as MIDI, MusicXML, DAWproject, sound, picture or page, by the suffix of the name; or `stems.zip`.

        With `track` (from 0) that track alone.
        """
        sheet, suffix = shelf.get(score), Path(name).suffix.lower()
        if suffix == ".mid" and track is None:
            return _attached(sheet, suffix, sheet.midi)
        if suffix not in TYPES:
            raise UsageError(f"a file in {suffix or 'no format'}: end the name in {', '.join(TYPES)}")
        return _made(desk, sheet, suffix, track)


def _attached(sheet: Sheet, suffix: str, data: bytes) -> Response:
    return Response(data, media_type=TYPES[suffix], headers={"content-disposition": _disposition(sheet.stem + suffix)})


def _disposition(name: str) -> str:
    plain = name.encode("ascii", "replace").decode().replace("?", "-")
    return f'attachment; filename="{plain}"'


def _made(desk: Desk, sheet: Sheet, suffix: str, track: int | None) -> Response:
    """Write a file into a folder of its own, which goes when the file has been sent."""
    reading = desk.shelf.reading(sheet.id)
    score = reading.score if track is None else _alone(reading.score, track)
    stem = sheet.stem if track is None else f"{sheet.stem}-{track + 1}"
    folder = Path(tempfile.mkdtemp(prefix="melody-"))
    try:
        path = folder / f"{stem}{suffix}"
        if suffix == ".zip":
            desk.sounds.in_turn(partial(_write_stems, desk, score, path))
        else:
            work = partial(write_piece, Writing(score, path, title=reading.title or stem, source=sheet.name))
            desk.sounds.in_turn(work) if suffix in (*SOUND, ".html") else work()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    clean = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    headers = {"content-disposition": _disposition(path.name)}
    return FileResponse(path, media_type=TYPES[suffix], headers=headers, background=clean)


def _alone(score: Score, number: int) -> Score:
    """A score of one track."""
    if not 0 <= number < len(score.tracks):
        raise UsageError(f"`track` {number}: there are 0 to {len(score.tracks) - 1}")
    alone = score.copy()
    alone.tracks = [alone.tracks[number]]
    return alone


def _write_stems(desk: Desk, score: Score, path: Path) -> None:
    """Write an archive with a WAV a track, all of one length and at the level that they have in the mix."""
    if track_seconds(score) > desk.bounds.track_seconds:
        raise LimitExceeded(f"more than {desk.bounds.track_seconds / 60:.0f} minutes of tracks; cut the score")
    names = list(_stem_names([track for track in score.tracks if len(track.notes)]))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, samples in zip(names, unlevelled(list(single_tracks(score)), None, STEMS_RATE), strict=True):
            archive.writestr(name, encode(samples, STEMS_RATE, "WAV"))


def _stem_names(tracks: list[Track]) -> Iterator[str]:
    for number, track in enumerate(tracks, 1):
        plain = "".join(c if c.isalnum() or c in "-_ " else "-" for c in track.name).strip()[:40]
        yield f"{number:02}-{plain or 'track'}.wav"
