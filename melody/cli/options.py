"""The options of ``melody compose``, each with its help; those that `play` and `jam` have too are the same.

Parameters of the commands bear the names of `melody.generation.Settings`, so that `asked` can hand them on.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from melody.cli.lines import read_line
from melody.errors import UsageError

if TYPE_CHECKING:
    from melody.generation import Settings

FROM_NOTHING = "chorale"  # the model without a primer
MUSIC, AROUND, CONTROL, DECODING = "The music", "Around what is there", "Control", "Choosing notes"
OUTPUT, PORTS = "Output", "Ports"
MUSIC_FILE = "MIDI, MusicXML, ABC or kern file, recording (WAV, FLAC, MP3, OGG) or page of music (PNG, JPEG)"

Primer = Annotated[Path | None, Argument(help=f"{MUSIC_FILE} to continue; leave it out to start from nothing.")]
Model = Annotated[
    str | None,
    Option(
        help="Model, by name (see melody models) or folder. Default: the shipped one that suits PRIMER best, or "
        f"{FROM_NOTHING} from nothing.",
        rich_help_panel=MUSIC,
    ),
]
Bars = Annotated[
    int | None,
    Option(help="Number of new bars. Default: 8, or those of the tracks that go on.", rich_help_panel=MUSIC),
]
Describe = Annotated[
    str | None,
    Option(
        help="The new music in words, English or Italian terms: tempo, meter or dance, key, density, instruments, "
        "bars. Options that are given count more.",
        metavar='"slow waltz in D minor"',
        rich_help_panel=MUSIC,
    ),
]
Polyphonic = Annotated[
    bool | None,
    Option(
        "--polyphonic/--monophonic",
        help="Hear several notes at once in a recording, or one line. Default: as it sounds.",
        rich_help_panel=MUSIC,
    ),
]
Takes = Annotated[int, Option(help="Number of different continuations.", rich_help_panel=MUSIC)]
Seed = Annotated[
    int | None, Option(help="Number that fixes what chance decides: equal seeds, equal files.", rich_help_panel=MUSIC)
]
Map = Annotated[
    list[str] | None,
    Option(
        "--map",
        help="Say which part of the model one of your tracks is, as Lead=Soprano or 2=Piano, where melody took it for "
        "another. Repeatable, also for a track that holds several voices. Default: by range, chords and name.",
        metavar="TRACK=PART",
        rich_help_panel=MUSIC,
    ),
]
With = Annotated[
    list[str] | None,
    Option(
        "--with",
        help="Keep this track (name or number) and compose the other parts around it: a tune gets its voices. "
        "Repeatable.",
        metavar="TRACK",
        rich_help_panel=AROUND,
    ),
]
Add = Annotated[
    list[str] | None,
    Option(
        help="Add tracks that play these parts through the bars of PRIMER: drums, bass, chords, guitar, lead, pad, "
        "arpeggio. drums:rock adds them in a style of the model.",
        metavar="PART,PART...",
        rich_help_panel=AROUND,
    ),
]
Fill = Annotated[
    str | None,
    Option(
        help="Compose these bars anew, and leave all before, after and beside them as it is.",
        metavar="FIRST-LAST",
        rich_help_panel=AROUND,
    ),
]
Rewrite = Annotated[
    str | None,
    Option(
        help="Compose these bars of a voice (--track) anew, all at once and --rounds times over, so that what comes "
        "later changes what stands before. Of drums, where fewer voices stay, and for models without it, as --fill.",
        metavar="FIRST-LAST",
        rich_help_panel=AROUND,
    ),
]
Rounds = Annotated[
    int | None,
    Option(help="With --rewrite: how often to go over the bars. Default: 16.", rich_help_panel=AROUND),
]
Like = Annotated[
    Path | None,
    Option(
        help="Vary this take: compose some of its bars anew and keep all others. Which: those behind PRIMER, the new "
        "ones of a take of melody's, or those of --fill.",
        metavar="TAKE",
        rich_help_panel=AROUND,
    ),
]
Strength = Annotated[
    float | None,
    Option(
        help="With --like, --fill or --rewrite: share of the bars, track by track, to compose anew. Default with "
        "--like: 0.5.",
        rich_help_panel=AROUND,
    ),
]
Track = Annotated[
    list[str] | None,
    Option(
        "--track",
        help="With --fill or --rewrite: this track only. Repeatable.",
        metavar="TRACK",
        rich_help_panel=AROUND,
    ),
]
Keep = Annotated[
    str | None,
    Option(
        help="Use the rhythm of PRIMER with new pitches, its pitches with a new rhythm, or its bars again, every "
        "fourth with new pitches.",
        metavar="rhythm|pitches|bars",
        rich_help_panel=AROUND,
    ),
]
Temperature = Annotated[float, Option(help="Below 1: safer and more usual; above 1: bolder.", rich_help_panel=DECODING)]
TopK = Annotated[int, Option(help="Choose among the K likeliest events only; 0: all.", rich_help_panel=DECODING)]
TopP = Annotated[
    float | None,
    Option(
        help="Choose among the likeliest events that make up this probability; default: the model's, mostly 0.95.",
        rich_help_panel=DECODING,
    ),
]
MinP = Annotated[
    float, Option(help="Leave out events less likely than this share of the likeliest.", rich_help_panel=DECODING)
]
Greedy = Annotated[bool, Option("--greedy", help="Always take the likeliest event.", rich_help_panel=DECODING)]
BeamWidth = Annotated[
    int,
    Option(help="Grow N versions side by side and keep the likeliest; 0: draw one.", rich_help_panel=DECODING),
]
LengthPenalty = Annotated[
    float, Option(help="With --beam-width: above 0 favours versions with more notes.", rich_help_panel=DECODING)
]
Stochastic = Annotated[
    bool,
    Option("--stochastic", help="With --beam-width: draw versions, no two alike.", rich_help_panel=DECODING),
]
BestOf = Annotated[
    int | None,
    Option(
        help="Draw N versions of each take and keep the best one. Default: 1; with --fill or --loop 4.",
        metavar="N",
        rich_help_panel=DECODING,
    ),
]
By = Annotated[
    str,
    Option(
        help="Judge the versions of --best-of by likelihood (the most natural to the model), by rules (the fewest "
        "mistakes in voice leading, range and ending), by both, or by taste (the most human by form, rhythm and line, "
        "as the model's own critic finds; choose among 8 or more).",
        metavar="likelihood|rules|both",
        rich_help_panel=DECODING,
    ),
]
KeyName = Annotated[str | None, Option(help='Key of the new music, as "E minor".', rich_help_panel=CONTROL)]
StrictKey = Annotated[
    bool,
    Option(
        "--strict-key",
        help="Use only notes of the scale of --key, or of the last key of PRIMER. Minor has both sixths and sevenths; "
        "drums are free.",
        rich_help_panel=CONTROL,
    ),
]
Range = Annotated[
    list[str] | None,
    Option(
        "--range",
        help="Lowest and highest new note of a track, as Soprano=C4:A5 or 1=60:81 (C4 is 60). Repeatable.",
        metavar="TRACK=LOW:HIGH",
        rich_help_panel=CONTROL,
    ),
]
Chords = Annotated[
    str | None,
    Option(
        help="Chords of the new music: one a bar, or several between bar lines (|); at the end they start again. "
        "Default: the chord markers of PRIMER.",
        metavar='"Am F | C G"',
        rich_help_panel=CONTROL,
    ),
]
StrictChords = Annotated[
    bool,
    Option(
        "--strict-chords/--loose-chords",
        help="Strict: every note on a strong beat or a chord change belongs to the chord. Loose: the chords are a "
        "hint, for a freer line; about seven notes in ten follow it.",
        rich_help_panel=CONTROL,
    ),
]
Density = Annotated[
    str | None,
    Option(
        help="How many notes a bar has, compared with the music that the model learned.",
        metavar="low|medium|high",
        rich_help_panel=CONTROL,
    ),
]
Style = Annotated[
    str | None, Option(help="Style, for a model that learned several.", metavar="NAME", rich_help_panel=CONTROL)
]
NoRepeat = Annotated[
    int | None,
    Option(
        help="Never play N notes in a row that the track played among its last 128.",
        metavar="N",
        rich_help_panel=CONTROL,
    ),
]
MaxPolyphony = Annotated[
    int | None,
    Option(
        help="At most N new notes at once in each pitched track; 1: single lines.",
        metavar="N",
        rich_help_panel=CONTROL,
    ),
]
StyleRules = Annotated[
    bool,
    Option(
        "--style-rules/--no-style-rules",
        help="Apply the rules of the model's style, as no parallel fifths in chorales.",
        rich_help_panel=CONTROL,
    ),
]
MaxCopyBars = Annotated[
    float | None,
    Option(
        help="Copy at most N bars in a row of any piece that the model learned, in whatever key.",
        metavar="N",
        rich_help_panel=CONTROL,
    ),
]
Tempo = Annotated[
    float | None,
    Option(
        "--tempo",
        help="Tempo of the new music, in quarters a minute; of a recording, the tempo in which it was played.",
        rich_help_panel=CONTROL,
    ),
]
Meter = Annotated[
    str | None,
    Option(help="Meter of the new music, as 3/4; of a recording, the one it was played in.", rich_help_panel=CONTROL),
]
Ending = Annotated[
    bool, Option("--ending/--no-ending", help="Close with the last bar, or stop open.", rich_help_panel=CONTROL)
]
OnlyNew = Annotated[bool, Option("--only-new", help="Write the new bars without PRIMER.", rich_help_panel=CONTROL)]
Loop = Annotated[
    bool,
    Option(
        "--loop",
        help="Let the last bar lead into the first one: no ending; of four versions the one after which the beginning "
        "comes best. Sound is as long as its bars, and what rings on sounds at the beginning.",
        rich_help_panel=CONTROL,
    ),
]
Form = Annotated[
    str | None,
    Option(
        help="Sections of the piece, a letter each: AABA brings the first one back. as-primer: those of PRIMER.",
        metavar="AABA|as-primer",
        rich_help_panel=CONTROL,
    ),
]
Section = Annotated[int, Option(help="With --form: bars of each section.", rich_help_panel=CONTROL)]
Humanize = Annotated[
    float | None,
    Option(
        help="Move the new notes off the grid as players do: 0 not at all, 1 as much as they, up to 2. Default: 1 for "
        "drums and after a PRIMER that was played, whose feel goes on, else 0. Notation stays on the grid.",
        metavar="AMOUNT",
        rich_help_panel=CONTROL,
    ),
]
Swing = Annotated[
    str | None,
    Option(
        help="Let every second eighth come late: the first of two takes this share of their time, from 50 (even) to "
        "75; 66 is as triplets, 58/16 swings sixteenths. Notation stays even.",
        metavar="SHARE[/16]",
        rich_help_panel=CONTROL,
    ),
]
Follow = Annotated[bool, Option("--follow", help="Print each bar as it is composed.", rich_help_panel=OUTPUT)]
Replay = Annotated[
    Path | None,
    Option(
        help="Compose FILE again from the settings in it. Its primer is looked for next to it and here.",
        metavar="FILE",
        rich_help_panel=OUTPUT,
    ),
]
Out = Annotated[Path, Option(help="File (.mid) or folder to write to.", rich_help_panel=OUTPUT)]
Wav = Annotated[bool, Option("--wav", help="Also write sound.", rich_help_panel=OUTPUT)]
Flac = Annotated[bool, Option("--flac", help="Also write sound as FLAC.", rich_help_panel=OUTPUT)]
Mp3 = Annotated[bool, Option("--mp3", help="Also write sound as MP3.", rich_help_panel=OUTPUT)]
Stems = Annotated[
    bool,
    Option(
        "--stems",
        help="Also write sound (.wav), and that of each track: together they are the whole.",
        rich_help_panel=OUTPUT,
    ),
]
Png = Annotated[bool, Option("--png", help="Also write a piano roll.", rich_help_panel=OUTPUT)]
MusicXml = Annotated[
    bool, Option("--musicxml", help="Also write MusicXML, for notation programs.", rich_help_panel=OUTPUT)
]
Svg = Annotated[
    bool, Option("--svg", help="Also write engraved pages; needs melody\\[notation].", rich_help_panel=OUTPUT)
]
DawProject = Annotated[
    bool,
    Option("--dawproject", help="Also write a project for Bitwig, Studio One and Cubase.", rich_help_panel=OUTPUT),
]
Html = Annotated[
    bool, Option("--html", help="Also write one page that shows and plays all takes.", rich_help_panel=OUTPUT)
]
SoundFont = Annotated[Path | None, Option(help="SoundFont (.sf2, .sf3) for the sound.", rich_help_panel=OUTPUT)]
Engine = Annotated[
    str,
    Option(
        help="auto (the fastest that serves the model), native, onnx, or torch as the reference.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[bool, Option("--json", help="Print a report for programs.", rich_help_panel=OUTPUT)]
Force = Annotated[bool, Option("--force", help="Overwrite files that are there.", rich_help_panel=OUTPUT)]


def asked(given: Mapping[str, Any]) -> "Settings":
    """Return the settings that the options of a command ask for; options that are no settings are left aside."""
    from melody.generation.options import Options
    from melody.generation.primer.assignment import parse_mapping
    from melody.generation.ranges import parse_ranges
    from melody.generation.settings import settings_of
    from melody.music.swing import parse_swing

    parsers: dict[str, Callable[[Any], Any]] = {
        "contour": read_line,
        "fill": parse_bars,
        "rewrite": parse_bars,
        "meter": parse_meter,
        "ranges": parse_ranges,
        "mapping": parse_mapping,
        "swing": parse_swing,
    }
    known = {
        name: value for name, value in given.items() if name in Options.__annotations__ and value not in (None, ())
    }
    return settings_of({name: parsers[name](value) if name in parsers else value for name, value in known.items()})


def parse_bars(text: str) -> tuple[int, int]:
    """Read 5-8 as (5, 8), 5 as (5, 5)."""
    match = re.fullmatch(r"\s*(\d{1,4})(?:\s*[-:–]\s*(\d{1,4}))?\s*", text)
    if not match:
        raise UsageError(f"{text}: write the first and the last bar, as 5-8")
    return int(match[1]), int(match[2] or match[1])


def parse_meter(text: str) -> tuple[int, int]:
    """Read 3/4 as (3, 4)."""
    match = re.fullmatch(r"\s*(\d{1,3})/(\d{1,2})\s*", text)
    if not match:
        raise UsageError(f"--meter {text}: write it as 3/4")
    return int(match[1]), int(match[2])
