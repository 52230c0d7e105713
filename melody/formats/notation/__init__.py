"""Scores as written music: bars, voices, staves, spelling."""
