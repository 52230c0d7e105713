"""Directives, `%%` lines and `I:` fields: the few that are heeded, those that concern print alone, and all others.

What is not known here does nothing and is said. None opens a file: `abc-include` is refused like any other.
Source: ABC 2.1, section 11; the `%%MIDI` directives are abc2midi's.
"""

import re
from typing import TYPE_CHECKING

from melody.formats.abc.music import alteration, staff_pitch

if TYPE_CHECKING:
    from melody.formats.abc.tune import AbcTuneReader
    from melody.formats.abc.voice import Voice

_PRINT = re.compile(
    r"(abc-(version|creator|charset|edited-by|copyright)|\w*font\w*|\w*space|\w*margin|scale|page\w*|staff\w*|staves|"
    r"score|landscape|indent|barnumbers|barsperstaff|measure\w*|setbarnb|linebreak|linewarn|straightflags|stretch\w*|"
    r"titlecaps|titleleft|titleformat|title\w*|composer\w*|parts\w*|print\w*|write\w*|text\w*|center|vskip|newpage|sep|"
    r"header|footer|info\w*|begin\w+|end\w+|multicol|deco\w*|dynalign|flatbeams|graceslurs|gracespace|gchordbox|hyphencont|"
    r"maxshrink|maxstaffsep|maxsysstaffsep|notespacingfactor|oneperpage|shiftunison|slurheight|squarebreve|stem\w*|"
    r"systemsep|topspace|tuplets|vocal\w*|vocalabove|words\w*|combinevoices|continueall|contbarnb|exprabove|exprbelow|"
    r"encoding|eps|format|postscript|ps|repbra|rightmargin|leftmargin|botmargin|topmargin|alignbars|aligncomposer|annotation\w*|"
    r"autoclef|bgcolor|bstemdown|break|cancelkey|clip|comball|dateformat|fullsvg|keywarn|timewarn|musiconly|nobar\w*|"
    r"select|splittune|transpose-print|user|voicecolor|voicescale|wordsspace|microscale|pos|freegchord|jazzchords)$",
    re.IGNORECASE,
)
_DRUM_NOTE = re.compile(r"([\^_=]*)([A-Ga-g])([,']*)\s+(\d{1,3})$")


def directive(reader: "AbcTuneReader", text: str) -> None:
    """Heed a directive, or say that it does nothing."""
    name, _, value = " ".join(text.replace("=", " ", 1).split()).partition(" ")
    if name == "MIDI":
        _midi(reader, value)
    elif name == "propagate-accidentals" and value in ("not", "octave", "pitch"):
        for voice in _concerned(reader):
            voice.spread = value
    elif name.startswith("abc-include"):
        reader.mend("a line that asks for another file; left out")
    elif not _PRINT.match(name):
        reader.remark("a directive that melody does not know; left out", name)


def _concerned(reader: "AbcTuneReader") -> "list[Voice]":
    """The voice being written, or else all: those there are, and how others begin."""
    if reader.in_body and reader.voice is not None:
        return [reader.voice]
    return [reader.start, *reader.written.voices.values()]


def _midi(reader: "AbcTuneReader", text: str) -> None:
    command, *words = text.split()[:8] or [""]
    numbers = [int(word) for word in words if re.fullmatch(r"[+-]?\d{1,4}", word)]
    drum = _DRUM_NOTE.match(" ".join(words)) if command == "drummap" else None
    if command == "program" and 0 < len(numbers) < 3 and 0 <= numbers[-1] < 128:
        if len(numbers) == 2:
            reader.written.programs[numbers[0]] = numbers[1]
        else:
            _set_program(reader, numbers[0])
    elif command == "channel" and len(numbers) == 1 and 1 <= numbers[0] <= 16:
        for voice in _concerned(reader):
            voice.channel = numbers[0]
    elif command in ("transpose", "rtranspose") and len(numbers) == 1 and abs(numbers[0]) <= 60:
        for voice in _concerned(reader):
            voice.set_midi_transpose(numbers[0] + (voice.midi_transpose if command == "rtranspose" else 0))
    elif drum:
        place = staff_pitch(drum[2], drum[3])
        reader.written.drums[drum[2].upper(), place, alteration(drum[1]) or 0] = min(127, int(drum[4]))
    else:
        reader.remark("a %%MIDI directive that melody does not heed; left out", command)


def _set_program(reader: "AbcTuneReader", program: int) -> None:
    for voice in _concerned(reader):
        if voice.notes and voice.program not in (None, program):
            reader.remark("a change of program within a voice; kept the first", str(program))
        else:
            voice.program = program
