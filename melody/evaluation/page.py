"""An evaluation as one HTML page: nats per note, the table, a plot for each measure, last chords, piano rolls.

The page stands alone: no script, and its Content-Security-Policy allows nothing but its own style, that of the pages
that play (`melody.render.player`) with `page.css`. Equal evaluations make equal bytes.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melody.bundle import Bundle
from melody.evaluation.cards import Side, plots_of
from melody.evaluation.endings import endings_of
from melody.evaluation.evaluate import Evaluation, Music
from melody.evaluation.measured import RATES, SHARES
from melody.evaluation.plots import Series, rows
from melody.formats.colours import PALETTE
from melody.generation.settings import Settings
from melody.music.score import bars, end_tick
from melody.render.page import Page, RollPart, layout
from melody.render.player import document, style
from melody.render.svg import systems_of
from melody.storage.display import escaped
from melody.storage.files import write_bytes

ROLLS = 4  # the first samples
TELLING = 10  # statistics
RULED = {  # what a rule of a style holds samples to
    "no_parallels": (RATES["parallels"], SHARES["clean"]),
    "tonic_ending": (SHARES["tonic_cadence"],),
}


def write_page(
    found: Evaluation, bundle: Bundle, model: str, path: str | os.PathLike[str], force: bool = False
) -> Path:
    """Write the page of an evaluation; `model` is the bundle as a command names it.

    Raises `MelodyError` where the file exists (unless `force`).
    """
    path = Path(path)
    return write_bytes(path, page(found, bundle, model, path.name).encode(), force=force)


def page(found: Evaluation, bundle: Bundle, model: str, name: str = "page.html") -> str:
    """The page as text; `name` is that of its file, for the command that makes it. Needs an evaluation with samples."""
    if found.music is None:
        raise ValueError("an evaluation without samples has nothing to show")
    sides = sides_of(found.music)
    sections = [
        _nats(found, bundle),
        _acts(found, bundle, found.music),
        _table(found),
        *(_section(title, _legend(sides) + plots) for title, plots in plots_of(found, bundle, sides)),
        _telling(found),
        _endings(found, sides),
        _rolls(found, found.music, model),
        _commands(found, bundle, model, name),
    ]
    return document(
        f"{escaped(found.model)}, evaluated",
        escaped(f"{bundle.settings.get('description', '')} {_size(found)}".strip()),
        "\n".join(section for section in sections if section),
        f"<p>Step graph of SHA-256 {escaped(bundle.settings['files']['step.onnx'])}</p>",
        look=style() + Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
    )


def sides_of(music: Music) -> list[Side]:
    """The sets of pieces that are compared, in the order in which they stand."""
    alone = [Side("alone", "without rules", music.alone)] if music.alone else []
    return [Side("samples", "samples", music.samples), *alone, Side("held-out", "held-out pieces", music.held_out)]


def _size(found: Evaluation) -> str:
    return (
        f"{found.samples} samples of {found.bars} bars from nothing, none left out, beside "
        f"{found.likelihood.pieces} held-out pieces."
    )


def _section(title: str, body: str) -> str:
    return f'<section class="take silent"><h2>{escaped(title)}</h2>\n{body}</section>'


def _legend(sides: Sequence[Side]) -> str:
    marks = "".join(
        f'<li><svg viewBox="0 0 26 14" aria-hidden="true"><path class="{side.kind}" d="M1 13V2h24V13z"/></svg>'
        f"{escaped(side.name)}</li>"
        for side in sides
    )
    return f'<ul class="legend">{marks}</ul>'


# ---- words -----------------------------------------------------------------------------------------------------------


def _nats(found: Evaluation, bundle: Bundle) -> str:
    ours, counts = found.likelihood.nats_per_note, found.count_model.nats_per_note
    names = (found.model, f"count model, {found.count_model.context + 1}-grams")
    series = [Series("samples", np.array([ours, counts]))]
    drawn = rows(
        "Nats per note", f"{names[0]}: {ours:.2f}; {names[1]}: {counts:.2f}. Lower is better.", names, series, "nats"
    )
    key = "" if all(track.drums for track in bundle.tracks) else " and in which key"
    says = (
        f"A note of the {found.likelihood.pieces} held-out pieces of {found.split} ({found.likelihood.notes:,} notes), "
        f"which training never saw, costs the model {ours:.4f} nats, with all that stands around it (when, how long, "
        f"which voice): as if it had to choose among {np.exp(ours):.1f} things alike. Lower is better. "
        f"The count model ({counts:.4f}) knows how often tokens follow each other in the same training pieces; any "
        f"network has to beat it. The model is told how long each piece is{key}; the count model is not."
    )
    return _section("Nats per note", f'<div class="two">{drawn}<p>{escaped(says)}</p></div>')


def _acts(found: Evaluation, bundle: Bundle, music: Music) -> str:
    """Tell what is the model's own work and what the rules enforce."""
    sampling = Settings().sampling
    says = [
        f"A sample is what melody composes by default, take after take of seed {found.seed}: the model draws token "
        f"after token at temperature {sampling.temperature:g}, from the likeliest that make up "
        f"{100 * bundle.top_p:g} % together; the grammar sees to it that bars are whole and as many as asked for; "
        "nothing is chosen among candidates."
    ]
    named = ", ".join(bundle.style_rules)
    if music.alone:
        says.append(
            f"Samples are also held to the rules of the style ({named}), as by default; where a rule leaves nothing to "
            "draw, it yields. “Without rules” is the model alone, with the same seeds: the difference is what the "
            "rules did. What a rule counts is marked †; there the samples say nothing of the model."
        )
    elif bundle.style_rules:
        says.append(f"The rules of the style ({named}) were switched off: this is the model alone.")
    else:
        says.append("No rules of a style act on this model: this is the model alone.")
    median = int(np.median([len(bars(score)) - 1 for score in music.held_out.scores]))
    says.append(
        f"The held-out pieces are whole, at the median {median} bars long; so what grows with a piece (its "
        "range, its repeated bars, its longest runs) is to be compared with care."
    )
    return _section("What acts on a sample", "".join(f"<p>{escaped(text)}</p>" for text in says))


def _table(found: Evaluation) -> str:
    ruled = {name for rule in found.rules for name in RULED.get(rule, ())}
    names = list(found.statistics[0])
    head = "".join(f'<th scope="col">{_COLUMNS.get(name, name)}</th>' for name in names)
    lines = "".join(
        f'<tr><th scope="row">{escaped(row["statistic"])}{" †" * (row["statistic"] in ruled)}</th>'
        + "".join(f"<td>{_three_digits(row[name])}</td>" for name in names[1:])
        + "</tr>\n"
        for row in found.statistics
    )
    note = (
        "The overlap (the overlapped area of Yang &amp; Lerch 2020) is not that of the plots below: it is of the "
        "distances between samples and held-out pieces, over those among the held-out pieces. "
        "1: as like them as they are to each other; "
        "0: another music, or always the same piece."
        + " † A rule holds the samples to it."
        * bool(ruled & {row["statistic"] for row in found.statistics})
    )
    return _section(
        "The table",
        '<div class="two"><div class="wide" tabindex="0" role="region" aria-label="The table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div><p>{note}</p></div>",
    )


_COLUMNS = {"model": "samples", "corpus": "held-out"}


def _three_digits(value: float) -> str:
    return "" if value != value else f"{value:.3g}"


def _telling(found: Evaluation) -> str:
    """Draw which statistics tell the model's continuations from what followed, where there are any."""
    judged = found.form.critic.get("model") if found.form is not None else None
    if not judged:
        return ""
    names, weights = zip(*judged["telling"][:TELLING], strict=True)
    series = [Series("samples", np.array(weights))]
    said = f"The {len(names)} statistics by which a critic knows continuations of {found.model}, by their weight."
    parts = {
        "all": "all statistics",
        "form": "form alone",
        "cells": "two bars alone",
        "tokens": "a network, the tokens",
    }
    auc = ", ".join(f"{words} {judged[name]:.2f}" for name, words in parts.items() if name in judged)
    says = (
        f"{found.form.cuts if found.form else 0} held-out pieces were continued, and a critic learned to tell these "
        f"bars from what really followed. How well it does on pieces that it has not seen (area under the curve; 0.5: "
        f"not at all, 1: always): {auc}. What it goes by stands beside: there the model is furthest from music."
    )
    drawn = rows("What a critic goes by", said, names, series)
    return _section("What gives it away", f'<div class="two">{drawn}<p>{escaped(says)}</p></div>')


# ---- last chords, samples, commands ----------------------------------------------------------------------------------


def _endings(found: Evaluation, sides: Sequence[Side]) -> str:
    if SHARES["tonic_cadence"] not in {row["statistic"] for row in found.statistics}:
        return ""
    single = sides[-1].pieces.voices == 1  # as the held-out pieces, though one voice alone may sound in a sample
    ends = [endings_of(side.pieces.scores, single) for side in sides]
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in ("last", *(side.name for side in sides)))
    lines = "".join(
        f'<tr><th scope="row">{escaped(kind)}</th>' + "".join(f"<td>{one[kind]:.0%}</td>" for one in ends) + "</tr>"
        for kind in ends[-1]
    ).replace("%", " %")
    says = (
        "What the pieces end with, in the key that their notes suggest. Where a rule of the style holds the samples to "
        "an ending, the column without rules says what the model does by itself. "
        "Best: as the held-out pieces."
    )
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    return _section("How pieces end", f'<div class="two">{table}<p>{says}</p></div>')


def _rolls(found: Evaluation, music: Music, model: str) -> str:
    drawn = [(number, layout(score)) for number, score in enumerate(music.samples.scores[:ROLLS], 1) if end_tick(score)]
    if not drawn:
        return ""
    says = f"The first {len(drawn)}, not chosen. This composes them again, on a page that plays:"
    command = _compose_command(found, model, drawn[-1][0])
    return _section(
        "Samples",
        f"<p>{says}</p><pre>{escaped(command)}</pre>{_tracks(max((roll.parts for _, roll in drawn), key=len))}"
        + "".join(_roll(f"Take {number} of seed {found.seed}", roll) for number, roll in drawn),
    )


def _roll(name: str, roll: Page) -> str:
    systems = "".join(f'<div class="system">{system.svg}</div>' for system in systems_of(roll))
    label = f"Piano roll of {name.lower()}"
    return (
        f'<figure><figcaption>{name}</figcaption><div class="roll" role="img" tabindex="0" aria-label="{label}">'
        f"{systems}</div></figure>"
    )


def _tracks(parts: Sequence[RollPart]) -> str:
    """Legend of the tracks' colours."""
    marks = (
        f'<li><i class="swatch hue c{index % len(PALETTE)}"></i><span>{escaped(part.name)}</span></li>'
        for index, part in enumerate(parts)
    )
    return f'<ul class="tracks">{"".join(marks)}</ul>'


def _compose_command(found: Evaluation, model: str, takes: int) -> str:
    rules = [] if found.rules else ["--no-style-rules"]
    words = ["melody", "compose", "--model", model, "--bars", str(found.bars), "--seed", str(found.seed)]
    return shlex.join([*words, "--takes", str(takes), *rules, "--html"])


def _commands(found: Evaluation, bundle: Bundle, model: str, name: str) -> str:
    corpus = str(bundle.settings.get("corpus", ""))
    rules = ["--no-style-rules"] if bundle.style_rules and not found.rules else []
    words = ["melody", "evaluate", model, "--split", found.split, "--samples", str(found.samples)]
    words += ["--bars", str(found.bars), "--seed", str(found.seed), *rules, "--html", name]
    lines = "\n".join(escaped(shlex.join(command)) for command in (["melody", "prepare", corpus], words))
    return _section("How this page was made", f"<pre>{lines}</pre>")
