"""``python -m melody`` is ``melody``."""

from melody.cli import main

main()
