"""Files: read within bounds, written whole or not at all, locked, and looked at before they are trusted."""
