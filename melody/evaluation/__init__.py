"""Measures of generated music: statistics, voice leading, originality, and comparison with reference music."""
