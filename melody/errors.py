"""The few exceptions a user meets. The command line prints each as one line, without a traceback.

A message says what came, what fits and what to try:
``theme.mid: 70,000 bars; melody reads up to 4,096; cut the file or remove the far-away event``. An argument that would
help is named in backticks as Python has it, `force`; the command line shows it as its option, --force.
"""


class MelodyError(Exception):
    """Something melody cannot do with what it was given; the message names the remedy (exit code 1)."""


class UnreadableFile(MelodyError):
    """A file that is missing, is not music, or is damaged beyond what can be recovered."""


class LimitExceeded(MelodyError):
    """Music beyond a limit of the vocabulary or of the reader; refused by name, never clipped in silence."""


class ConfigError(MelodyError):
    """A configuration with an unknown key, a wrong type or a value out of range."""


class UsageError(MelodyError):
    """Arguments that contradict each other or make no sense (exit code 2)."""
