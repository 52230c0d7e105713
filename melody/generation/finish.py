"""From drawn tokens to a take: the whole score, and the figures that describe the new music."""

from typing import Any

import numpy as np

from melody.bundle import Bundle
from melody.bundle.bundle import REWRITER
from melody.generation.articulation import Articulation
from melody.generation.assemble import only_new_notes, placed_notes, put_together
from melody.generation.decoders import Continuation
from melody.generation.feel import felt
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import keys_of
from melody.generation.ranges import named
from melody.generation.ranking import BY_TASTE, Breaches, count_breaches
from melody.generation.seeds import Seed
from melody.generation.take import Take
from melody.music.chords import Span
from melody.music.heard_chords import chord_tones_on_strong_beats
from melody.music.key import estimate_key
from melody.music.originality import piece_share
from melody.music.score import GRID, Score, bars, clip, rescale
from melody.tokens.plan import FormPlan, bars_of, letters_of, spelled
from melody.tokens.planner import cast_of


def finish(
    prepared: Prepared, bundle: Bundle, engine_name: str, seed: Seed, drawn: Continuation, after: float | None
) -> Take:
    """Return the take that was drawn for a seed; `after` are the nats of what stands behind a gap."""
    settings, ids, plan = prepared.settings, prepared.ids + drawn.ids, prepared.plan_of(seed)
    chords = prepared.chords_of(seed, drawn.ids)
    model = bundle.tokenizer.decode(np.array(ids, np.int32))
    notes = placed_notes(prepared, ids, model, bundle)
    label = f"melody: {bundle.name}, seed {seed.seed}, take {seed.take}"
    score = put_together(prepared, model, notes, bundle, label)
    start, resumes, count = prepared.seam.start, prepared.seam.resumes, len(notes)
    fresh = only_new_notes(score, prepared, notes)
    breaches = None
    if settings.candidates > 1:
        breaches = _breaches(prepared, _new_bars(score, prepared) if prepared.region.given else fresh, bundle)
    chord_tones = _chord_tones(score, prepared) if prepared.chords else None
    written = None
    played = list(map(Articulation(prepared.primer).played, notes))
    if settings.humanize or settings.swing:
        played = felt(prepared, bundle, seed, played, score)
    if played != notes:  # last: whatever judges notes sees them on the grid
        notes, written = played, score
        score = put_together(prepared, model, notes, bundle, label)
    if settings.only_new:
        written = None if written is None else _new_bars(written, prepared)
        score, start, resumes = _new_bars(score, prepared), 0, None
    return Take(
        score=score,
        first_new_tick=start,
        resumes_tick=resumes,
        seed=seed.seed,
        number=seed.take,
        notes=count,
        nats_per_note=sum(drawn.nats) / max(1, count),
        key=estimate_key(fresh).name if any(not track.is_drum for track in fresh.tracks) and notes else "",
        settings=_provenance(prepared, bundle, engine_name)
        | _planned(plan, chords, bundle)
        | seed.named
        | settings.to_dict(),
        messages=(*prepared.messages, *_emptied(prepared, score)),
        candidate=seed.candidate,
        candidates=settings.candidates,
        in_training=_in_training(fresh, bundle),
        breaches=breaches,
        humanity=_humanity(prepared, ids, bundle) if breaches is not None else None,
        chord_tones=chord_tones,
        nats_after=after,
        places=_places(prepared, bundle),
        seam=prepared.seam,
        written=written,
        plan=plan,
        sections=_sections(prepared, plan),
    )


def _emptied(prepared: Prepared, score: Score) -> list[str]:
    """Remarks on tracks that had notes before their bars were filled and have none now: programs drop them."""
    primer, region = prepared.primer, prepared.region
    if primer is None or not region.replaces or prepared.settings.only_new:
        return []
    kit = primer.view.kit
    tracks = {*region.tracks.values(), *(kit.tracks if kit and kit.main in region.tracks.values() else ())}
    gone = [
        track
        for track in sorted(tracks)
        if len(primer.score.tracks[track].notes) and not len(score.tracks[track].notes)
    ]
    return [f"{named(primer.names, track)}: without a note now, some programs show no such track" for track in gone]


def _provenance(prepared: Prepared, bundle: Bundle, engine_name: str) -> dict[str, Any]:
    """Return all that a take depends on beside its settings; who knows the primer's file adds name and hash."""
    return {
        "model": bundle.name,
        "step_graph": bundle.step_graph,
        "engine": engine_name,
        "primer": None if prepared.primer is None else {"name": "", "sha256": ""},
    } | ({"rewriter": bundle.settings["files"][REWRITER]} if prepared.rewrites else {})


def _planned(plan: FormPlan | None, chords: str, bundle: Bundle) -> dict[str, Any]:
    """The plans that were drawn for a take, of its bars and chords, so that whoever reads its settings sees them."""
    harmony: dict[str, Any] = {"harmony": chords} if chords else {}
    if plan is None:
        return harmony
    if not plan.tracks:
        return harmony | {"plan": {"pickup": plan.pickup, "bars": spelled(plan.symbols)}}
    names = [info.name for info in bundle.tracks]
    tracks = {names[track]: spelled(plan.tracks[track]) for track in cast_of(plan)}
    return harmony | {"plan": {"pickup": plan.pickup, "tracks": tracks}}


def _sections(prepared: Prepared, plan: FormPlan | None) -> tuple[tuple[int, str], ...]:
    """The letters of the plan's sections, each with the bar of the take's score in which it begins."""
    if plan is None:
        return ()
    region, alone = prepared.region, prepared.settings.only_new
    first, stop = (region.first, region.stop) if alone else (0, plan.bars)
    letters = letters_of(plan, prepared.settings.section)
    return tuple((bar - first, name) for bar, name in letters if first <= bar < stop)


def _polyphony(prepared: Prepared, bundle: Bundle) -> dict[int, int]:
    """Return the most notes at once of each of the model's tracks that sound in the new bars."""
    fixed = prepared.region.fixed.tracks if prepared.region.fixed else frozenset()
    rooms = {place: room.polyphony for place, room in prepared.rooms.items()}
    return rooms | {place: bundle.tracks[place].polyphony for place in fixed - rooms.keys()}


def _places(prepared: Prepared, bundle: Bundle) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The musician's tracks that go on, each with the names of the model's."""
    if prepared.primer is None:
        return ()
    names, of = prepared.primer.names, prepared.primer.view.tracks
    model = [info.name for info in bundle.tracks]
    tracks = sorted(set(of.values()))
    return tuple((named(names, t), tuple(model[place] for place in of if of[place] == t)) for t in tracks)


def _in_training(new: Score, bundle: Bundle) -> float | None:
    share = piece_share(new, bundle.originality) if bundle.knows_its_training else float("nan")
    return share if share == share else None


def _breaches(prepared: Prepared, new: Score, bundle: Bundle) -> Breaches:
    infos, track_of, polyphony = bundle.tracks, prepared.track_of, _polyphony(prepared, bundle)

    def alone(place: int) -> bool:
        return list(track_of.values()).count(track_of[place]) == 1

    pitched = sorted((p for p in polyphony if not infos[p].drums), key=lambda place: -infos[place].mean)
    return count_breaches(
        new,
        lines=[track_of[place] for place in pitched if polyphony[place] == 1 and alone(place)],
        ranges={
            track: (infos[place].lowest, infos[place].highest)
            for place, track in prepared.region.tracks.items()
            if place in pitched
        },
        key=prepared.key or keys_of(new)[-1],
        ending=prepared.region.closes,
    )


def _humanity(prepared: Prepared, ids: list[int], bundle: Bundle) -> float | None:
    """Return how human the new bars seem, where takes are compared by it."""
    if prepared.settings.by != BY_TASTE or bundle.taste is None:
        return None
    found, region = bars_of(ids)[0], prepared.region
    return bundle.taste.humanity(found[: region.first], found[region.first : region.stop])


def _chord_tones(score: Score, prepared: Prepared) -> float | None:
    """Return the share of notes on strong beats of the new bars that belong to the chords."""
    start = int(prepared.region.lines[prepared.region.first])
    spans = [Span(rescale(span.start - start, GRID, score.tpq), span.chord) for span in prepared.chords]
    fitting, strong = chord_tones_on_strong_beats(_new_bars(score, prepared), spans)
    return fitting / strong if strong else None


def _new_bars(score: Score, prepared: Prepared) -> Score:
    """The bars of the new part alone."""
    lines, region = bars(score), prepared.region
    first = int(np.searchsorted(lines, prepared.seam.start))
    if prepared.seam.resumes is not None:
        return clip(score, first, int(np.searchsorted(lines, prepared.seam.resumes)))
    whole = region.given or prepared.primer is None
    return clip(score, first, len(lines) - 1 if whole else first + region.bars)
