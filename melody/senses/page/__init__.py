"""Pictures of engraved single-staff music to scores: find the staves, read their symbols, add up their bars."""
