"""What generated music is measured by: statistics, voice leading, originality, and comparison with reference music."""
