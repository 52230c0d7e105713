"""The data report of a corpus: what a musician wants to know of it before a model learns it, as numbers and as a page.

The page is one file without scripts: tables, and bars drawn as plain elements, so that it needs no plotting library and
opens anywhere. All that comes from files is escaped.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from melody.corpus.pieces import Dropped
from melody.corpus.shards import Entry
from melody.storage.display import escaped

LEAST_NOTES = 50_000
LEAST_HELD_OUT = 20
MOST_REFUSED = 0.1
MOST_ROWS = 1000  # of what was left out, on the page; report.json has all
_EDGES: dict[str, tuple[float, ...]] = {
    "tempi": (40, 60, 80, 100, 120, 140, 160, 180, 200),
    "seconds": (10, 20, 30, 60, 120, 180, 240, 300, 600),
    "notes": (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000),
}


def music_of(pieces: Sequence[Entry]) -> dict[str, Any]:
    """Return statistics of the pieces of a corpus for JSON. Counts are of pieces unless named otherwise."""
    facts = [piece.facts for piece in pieces]
    return {
        "pieces": len(pieces),
        "notes": sum(piece.notes for piece in pieces),
        "bars": sum(fact.bars for fact in facts),
        "hours": round(sum(fact.seconds for fact in facts) / 3600, 2),
        "meters": _counted(meter for fact in facts for meter in fact.meters),
        "keys": _counted(fact.key or "not stated" for fact in facts),
        "tempi": _spread([fact.tempo_qpm for fact in facts], _EDGES["tempi"]),
        "seconds": _spread([fact.seconds for fact in facts], _EDGES["seconds"]),
        "notes a piece": _spread([piece.notes for piece in pieces], _EDGES["notes"]),
        "polyphony": dict(sorted(Counter(fact.polyphony for fact in facts).items())),
        "kept": _kept(pieces),
        "tracks": [_track(pieces, index) for index in range(max((len(p.ranges) for p in pieces), default=0))],
    }


def _kept(pieces: Sequence[Entry]) -> dict[str, Any]:
    """Return the share of the files' notes that stand in the tokens, and the pieces of which some do not, worst first.

    Of notes of one pitch at one place of the grid in a track, one stays.
    """
    counted = [piece for piece in pieces if piece.facts.read]
    fewer = sorted((p.notes / p.facts.read, p.name, p.facts.read, p.notes) for p in counted if p.notes < p.facts.read)
    return {
        "read": sum(piece.facts.read for piece in counted),
        "kept": sum(piece.notes for piece in counted),
        "fewer": [{"name": name, "read": read, "kept": kept} for _, name, read, kept in fewer],
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _spread(values: Sequence[float], edges: Sequence[float]) -> dict[str, Any]:
    """The quartiles, and how many values lie below each edge and from the last edge on."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).round(1).tolist() if values else (0, 0, 0)
    places = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).tolist()
    labels = [
        f"< {edges[0]:g}",
        *(f"{a:g} - {b:g}" for a, b in pairwise(edges)),
        f"{edges[-1]:g} +",
    ]
    least, most = (float(min(values)), float(max(values))) if values else (0.0, 0.0)
    histogram = dict(zip(labels, places, strict=True))
    return {"least": least, "quartiles": [low, median, high], "most": most, "histogram": histogram}


def _track(pieces: Sequence[Entry], index: int) -> dict[str, Any]:
    """The track that stands at a place of its piece: its names, and its lowest and highest pitches if not drums."""
    having = [piece for piece in pieces if index < len(piece.ranges)]
    names = Counter(piece.facts.tracks[index] for piece in having if index < len(piece.facts.tracks))
    pitched = [piece.ranges[index] for piece in having if piece.ranges[index] != (0, 127)]
    lows, highs = np.array(pitched or [(0, 0)]).T
    return {
        "track": index + 1,
        "names": dict(names.most_common(3)),
        "pieces": len(having),
        "pitched": len(pitched),
        "lowest": int(lows.min()),
        "usual": [int(np.median(lows)), int(np.median(highs))],
        "highest": int(highs.max()),
    }


def warnings_of(
    pieces: Mapping[str, int], notes: Mapping[str, int], tunes: int, dropped: Sequence[Dropped]
) -> list[str]:
    """Return warnings of too little music, or too much that was lost, each with the reason for its threshold."""
    found = []
    total, held_out = sum(pieces.values()), pieces["valid"] + pieces["test"]
    if notes["train"] < LEAST_NOTES:
        found.append(
            f"{notes['train']:,} notes to learn from: the smallest corpus of a shipped model has 55,474 (chorale), and "
            f"with fewer than {LEAST_NOTES:,} a model sooner learns pieces by heart; add music, or fine-tune a model"
        )
    if held_out < LEAST_HELD_OUT:
        found.append(
            f"{held_out} held-out pieces: figures on them are rough (over n pieces the error of a mean is the spread "
            f"between pieces by the root of n, a fifth of it at {LEAST_HELD_OUT})"
        )
    if tunes < total / 2:
        found.append(f"{total:,} pieces are versions of only {tunes:,} tunes: there is less variety than it seems")
    refused = sum(drop.reason != "duplicate" for drop in dropped)
    if refused > MOST_REFUSED * (total + refused):
        found.append(f"{refused:,} of {total + refused:,} pieces were refused: see below whether they matter to you")
    return found


# ---- the page -------------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --ink: #22262b; --grey: #69717b; --edge: #dfe1e4; --bar: #0072B2; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --grey: #9aa3ad; --edge: #30353c; --bar: #56B4E9; --page: #131518; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; vertical-align: top; }
th { color: var(--grey); font-weight: normal; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 0 2.5rem; }
.bars { width: 100%; } .bars td:first-child { white-space: nowrap; } .bars td:last-child { width: 60%; }
.bar { display: block; height: .8rem; margin-top: .35rem; background: var(--bar); border-radius: 2px; min-width: 1px; }
.keys { position: relative; height: 1.2rem; width: 24rem; border-bottom: 1px solid var(--edge); }
.keys span { position: absolute; top: .25rem; height: .7rem; background: var(--bar); border-radius: 2px; }
.keys .all { opacity: .35; } .grey { color: var(--grey); }
.warning { border-left: 4px solid #D55E00; padding-left: .8rem; }
"""


def page(report: Mapping[str, Any]) -> str:
    """The report as one HTML file; `report` is what report.json holds."""
    name, music = _text(report["name"]), report["music"]
    rows = [[s, report["pieces"][s], report["notes"][s], report["tokens"][s]] for s in report["pieces"]]
    charts = {
        "Meters, of two bars or more": music["meters"],
        "Keys, as written": music["keys"],
        "Tempo, quarters a minute": music["tempi"]["histogram"],
        "Length, seconds": music["seconds"]["histogram"],
        "Notes a piece": music["notes a piece"]["histogram"],
        "Most notes at once": music["polyphony"],
    }
    parts = [
        f"<h1>{name}</h1>",
        f"<p>{music['pieces']:,} pieces, {music['notes']:,} notes, {music['bars']:,} bars, {music['hours']:,} hours; "
        f"{report['clusters']:,} tunes, of which some have several versions. Tokens: {_text(report['tokenizer'])}.</p>",
        *(f'<p class="warning">{_text(warning)}</p>' for warning in [*report["warnings"], *report["differences"]]),
        _table(["split", "pieces", "notes", "tokens"], rows),
        '<div class="grid">' + "".join(_chart(title, counts) for title, counts in charts.items()) + "</div>",
        "<h2>Tracks</h2>",
        '<p class="grey">From the lowest to the highest pitch of all pieces; darker what is usual (medians).</p>',
        "<table>" + "".join(map(_range_row, music["tracks"])) + "</table>",
        *_fewer(music.get("kept", {})),
        *_left_out(report["dropped"], report["reasons"]),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    head += f"<style>{_STYLE}</style>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{"".join(parts)}</body></html>\n'


def _fewer(kept: Mapping[str, Any]) -> list[str]:
    """Return the pieces of which not all notes stand in the tokens."""
    if not kept.get("fewer"):
        return []
    rows = [[piece["name"], piece["read"], piece["kept"]] for piece in kept["fewer"][:MOST_ROWS]]
    return [
        "<h2>Notes kept</h2>",
        f"<p>{kept['kept']:,} of {kept['read']:,}: of notes of one pitch at one place of a track's grid one stays.</p>",
        f"<details><summary>{len(kept['fewer']):,} pieces</summary>{_table(['piece', 'read', 'kept'], rows)}</details>",
    ]


def _left_out(dropped: Sequence[Mapping[str, str]], reasons: Mapping[str, int]) -> list[str]:
    if not dropped:
        return ["<h2>Left out</h2><p>Nothing.</p>"]
    rows = [[drop["name"], drop["reason"], drop["detail"]] for drop in dropped[:MOST_ROWS]]
    table = _table(["what", "reason", "in full"], rows)
    more = f'<p class="grey">and {len(dropped) - MOST_ROWS:,} more; report.json has all.</p>'
    return [
        "<h2>Left out</h2>",
        _table(["reason", "pieces"], [list(item) for item in reasons.items()]),
        f"<details open><summary>{len(dropped):,} files and pieces</summary>{table}",
        (more if len(dropped) > MOST_ROWS else "") + "</details>",
    ]


def _text(value: object) -> str:
    return escaped(value)


def _cell(value: object, tag: str = "td") -> str:
    number = isinstance(value, int | float)
    return f'<{tag} class="n">{value:,}</{tag}>' if number else f"<{tag}>{_text(value)}</{tag}>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(
        f'<th class="n">{_text(head)}</th>' if isinstance(value, int) else _cell(head, "th")
        for head, value in zip(heads, rows[0], strict=True)
    )
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows) + "</table>"


def _chart(title: str, counts: Mapping[Any, int], most: int = 14) -> str:
    """Counts as bars; of many the greatest."""
    shown = list(counts.items())[:most]
    rest = sum(counts.values()) - sum(count for _, count in shown)
    shown += [("others", rest)] if rest else []
    scale = 100 / max([count for _, count in shown], default=1)
    bars = "".join(
        f"<tr>{_cell(str(label))}{_cell(count)}"
        f'<td><span class="bar" style="width:{count * scale:.1f}%"></span></td></tr>'
        for label, count in shown
        if count
    )
    return f'<section><h2>{_text(title)}</h2><table class="bars">{bars}</table></section>'


def _range_row(track: Mapping[str, Any]) -> str:
    names = ", ".join(f"{name or 'without a name'}" for name in track["names"])
    low, high, (usual_low, usual_high) = track["lowest"], track["highest"], track["usual"]
    spans = (("all", low, high), ("usual", usual_low, usual_high))
    drawn = "".join(
        f'<span class="{kind}" style="left:{start / 1.28:.1f}%;width:{(stop - start + 1) / 1.28:.1f}%"></span>'
        for kind, start, stop in spans
    )
    kept = (f'<div class="keys">{drawn}</div>', f"{low} - {high}") if track["pitched"] else ("", "drums")
    return f"<tr>{_cell(track['track'])}{_cell(names)}{_cell(track['pieces'])}<td>{kept[0]}</td>{_cell(kept[1])}</tr>"
