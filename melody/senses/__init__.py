"""Ears: recordings to scores, with what was uncertain in sentences. `hearing.hear` takes the bytes of a recording."""
