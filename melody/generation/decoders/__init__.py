"""Decoders: from a prepared composition to tokens."""
