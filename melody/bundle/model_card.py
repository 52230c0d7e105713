"""The model card of a bundle (Mitchell et al. 2019, arXiv:1810.03993): what it is, what it learned, what it can do."""

from collections.abc import Mapping, Sequence
from typing import Any

IN_TRAINING = "8-note n-grams in training"  # how `evaluation.evaluate` calls these statistics


def model_card(settings: Mapping[str, Any], store: Mapping[str, Any]) -> str:
    """The card as Markdown, from a bundle's settings and its corpus's store.json."""
    name, model, scores = settings["name"], settings["model"], settings["scores"]
    temperature = settings.get("valid_temperature", 1)
    at_temperature = f", at a temperature of {temperature:g}" if temperature != 1 else ""
    splits = store["splits"]
    options = ", ".join(
        f"{key} {value}" for key, value in model.items() if key != "name" and value not in (None, 0, 0.0)
    )
    lines = [
        f"# {name}",
        "",
        settings["description"],
        "",
        f"- **Model**: {model['name']}, {settings['parameters'] / 1e6:.2f} M parameters ({options}).",
        "- **Tracks**: " + ", ".join(f"{t['name']} ({t['lowest']}-{t['highest']})" for t in settings["tracks"]) + ".",
        *_base(settings),
        f"- **Data**: corpus `{store['name']}`; licence: {settings['licence'] or 'not said'}.",
        "- **Split**: by piece: "
        + ", ".join(f"{split} {part['pieces']} pieces, {part['notes']:,} notes" for split, part in splits.items())
        + ".",
        f"- **Training**: `{_command(settings)}` (the configuration is `config.yaml` here); "
        f"the best of the averaged weights on valid, at pass {settings['passes']}.",
        f"- **This card**: `melody export outputs/runs/{name}`; its figures again: `{_evaluation(settings)}`.",
        "",
        "## Nats per note",
        "",
        "-ln p(all tokens, end included | BOS) over the number of notes, on whole held-out pieces, knowing the piece's "
        "length and key; of the 8-bit step graph, within the grammar. "
        f"(valid fp32: as trained, without the grammar{at_temperature}.)",
        "",
        "| | valid | test | valid fp32 |",
        "|---|---|---|---|",
        *_nats_of_counts(settings),
        *_nats_of_base(settings),
        f"| {name} | {scores['valid_nats_per_note']:.4f} | {scores['test_nats_per_note']:.4f} "
        f"| {scores['valid_nats_per_note_fp32']:.4f} |",
        "",
    ]
    if planner := settings.get("planner"):
        lines += [
            "## The plan of its bars",
            "",
            f"Drawn by a small LSTM at bar rate: {planner['valid_nats_per_bar']:.3f} nats a bar on valid "
            f"(back-off n-grams {planner['ngram']:.3f}), {planner['valid_nats_per_note']:.4f} nats a note. "
            "The nats above are those of a model that is told no plan.",
            "",
        ]
    if chords := settings.get("harmonist"):
        lines += [
            "## The plan of its chords",
            "",
            f"Drawn by a small LSTM, {'two a bar' if settings['harmony'] == 'halves' else 'one a beat'}: on valid "
            f"{chords['chord']:.3f} nats a chord (back-off n-grams {chords['ngram']:.3f}), {chords['bass']:.3f} its "
            f"bass, {chords['phrases']:.3f} where phrases end. The nats above are those of a model that is told none.",
            "",
            *_worth_of_chords(settings),
        ]
    if feel := settings.get("feel"):
        lines += [
            "## Feel",
            "",
            f"Off the grid as players are: {feel['valid_nats_per_hit']:.3f} nats a hit on valid in bins of a 96th of a "
            f"quarter; who knows how often each deviation is, and nothing else, needs {feel['histogram']:.3f}.",
            *(_played_again(feel) if "test_mean" in feel else []),
            "",
        ]
    if settings.get("statistics"):
        lines += [
            "## What it composes, beside the held-out pieces",
            "",
            *_statistics(settings["statistics"], settings.get("samples", 100)),
            "",
        ]
    if settings.get("continuations"):
        lines += _continuations(settings["continuations"])
    lines += ["## Originality", "", *_originality(settings, splits["train"]["pieces"]), ""]
    return "\n".join(lines)


def _played_again(feel: Mapping[str, float]) -> list[str]:
    return [
        f"When it plays the test pieces again, a sixteenth's mean is off the player's by {feel['test_mean']:.1%} of "
        f"the player's spread, and its spread by {feel['test_spread']:.1%} (`docs/quality.md`)."
    ]


def _evaluation(settings: Mapping[str, Any]) -> str:
    samples, continued = settings.get("samples", 100), settings.get("continuations")
    parts = [f"melody evaluate {settings['name']}"]
    parts += [f"--samples {samples}"] if samples != 100 else []
    parts += ["--continuations 60"] if continued else []
    return " ".join(parts)


def _command(settings: Mapping[str, Any]) -> str:
    if settings.get("base") and "/" in settings["corpus"]:  # a folder of the user's own, and no recipe
        return f"melody train FOLDER --from {settings['base']['name']} name={settings['name']}"
    return "melody train config.yaml"


def _base(settings: Mapping[str, Any]) -> list[str]:
    base = settings.get("base")
    return (
        [f"- **Base**: `{base['name']}`, weights of SHA-256 `{base['sha256'][:16]}`, trained further."] if base else []
    )


def _nats_of_counts(settings: Mapping[str, Any]) -> list[str]:
    """The row of a count model of the same training pieces."""
    counts = settings.get("count_model")
    if not counts:
        return []
    return [
        f"| back-off {counts['context'] + 1}-grams, told no plan | {counts['valid']:.4f} | {counts['test']:.4f} | |"
    ]


def _nats_of_base(settings: Mapping[str, Any]) -> list[str]:
    """The row of the model that this one was made from, on the same pieces."""
    base = settings.get("base")
    if not base:
        return []
    figures = [f"{base[f'{split}_nats_per_note']:.4f}" for split in ("valid", "test")]
    return [f"| its base, {base['name']} | {' | '.join(figures)} | {base['valid_nats_per_note_fp32']:.4f} |"]


def _worth_of_chords(settings: Mapping[str, Any]) -> list[str]:
    """Say what a harmony that all tracks share is worth."""
    found = settings.get("chords_told")
    if not found:
        return []
    return [
        f"Nats a note on test without shared harmony {found['untold']:.4f}, with that of each piece "
        f"{found['told']:.4f}; the chords themselves cost {found['plan']:.4f}. Both are of these weights, which "
        "learned from pieces with their chords told and untold: no model was trained without.",
        "",
    ]


def _statistics(rows: Sequence[Mapping[str, Any]], samples: int) -> list[str]:
    header = [f"{samples} unfiltered samples of 16 bars from nothing, default settings.", ""]
    table = ["| statistic | model | corpus | overlapped area |", "|---|---|---|---|"]
    for row in rows:
        overlap = "" if row["overlap"] is None or row["overlap"] != row["overlap"] else f"{row['overlap']:.2f}"
        table.append(f"| {row['statistic']} | {row['model']:.3g} | {row['corpus']:.3g} | {overlap} |")
    return header + table


SIDES = ("model", "followed", "repeated", "n-grams")


def _continuations(found: Mapping[str, Any]) -> list[str]:
    """Return the section on continuations of held-out primers, next to what followed, and on whole pieces."""
    lines = [
        "## What follows a primer",
        "",
        f"{found['cuts']} pieces of valid and test, of which 4 to 8 bars are given and 16 composed, none left out, the "
        "closing bar not counted; beside them what really followed, the primer's last four bars over and over, and "
        "back-off n-grams under the same rules, where they were asked.",
        "",
        *_table(found["rows"], [side for side in SIDES if side in found["rows"][0]]),
        "",
    ]
    if found["critic"]:
        lines += [
            "How well a critic (a random forest, cross-validated by piece) tells them from what followed, as the area "
            "under the ROC curve; 0.5 is not at all:",
            "",
            "| | all | form | two bars |",
            "|---|---|---|---|",
            *(
                f"| {s} | {one['all']:.2f} | {one['form']:.2f} | {one['cells']:.2f} |"
                for s, one in found["critic"].items()
            ),
            "",
        ]
    if found.get("tracks"):
        lines += ["Track by track, and between them:", "", *_table(found["tracks"], ("model", "followed")), ""]
    if found.get("around"):
        lines += ["The same around the first track of what followed, which is given:", ""]
        lines += [*_table(found["around"], ("model", "followed")), ""]
    if found["whole"]:
        lines += ["Pieces of 32 bars from nothing:", "", *_table(found["whole"], ("model", "corpus")), ""]
    if plan := found["plan"]:
        lines += [
            f"Nats a note on test with the plan of the bars untold {plan['untold']:.4f}, told {plan['told']:.4f}; "
            f"the plan itself costs {plan['plan']:.4f}.",
            "",
        ]
    return lines


def _table(rows: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> list[str]:
    body = [f"| {row['statistic']} | " + " | ".join(f"{row[side]:.3g}" for side in sides) + " |" for row in rows]
    return ["| | " + " | ".join(sides) + " |", "|---" * (1 + len(sides)) + "|", *body]


def names_of_voices(tracks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the tracks whose n-grams are counted: the pitched ones that sound, in order.

    Those of a band come and go, so that the first that sounds may be any of them.
    """
    pitched = [str(track["name"]) for track in tracks if not track["drums"]]
    band = len(pitched) < len(tracks)
    return [f"pitched track {number}" for number, _ in enumerate(pitched, 1)] if band else pitched


def _originality(settings: Mapping[str, Any], pieces: int) -> list[str]:
    """Describe in words whether it copies: the n-gram shares of the samples, which the table above has too."""
    if not settings["originality"]["ngrams"]:
        return ["Not counted: n-grams are of pitched voices, and drummers share their patterns."]
    rows = [row for row in settings.get("statistics", []) if row["statistic"].endswith(IN_TRAINING)]
    shares = ", ".join(
        f"{name} {row['model']:.1%} ({row['corpus']:.1%})"
        for name, row in zip(names_of_voices(settings["tracks"]), rows, strict=False)
    )
    found = f"Of the 8-note n-grams of its samples (of held-out pieces) the training music has: {shares}. "
    return [
        f"{found if rows else ''}`originality.npz` holds the {settings['originality']['ngrams']:,} n-grams of the "
        f"{pieces} training pieces: `melody originality FILE --model {settings['name']}` names what was copied from "
        f"them, and `melody compose --max-copy-bars 2` composes without longer copies."
    ]
