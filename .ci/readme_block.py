"""Print the code block of README.md that follows the marker ``<!-- block: NAME -->``."""

import re
import sys
from pathlib import Path

readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
match = re.search(rf"<!-- block: {re.escape(sys.argv[1])} -->\n```\w*\n(.*?)```", readme, re.S)
if match is None:
    sys.exit(f"README.md has no block {sys.argv[1]!r}")
print(match[1], end="")
