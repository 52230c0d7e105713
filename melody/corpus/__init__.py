"""Corpora: recipes, reading in parallel, de-duplication, split by piece, token store, augmentation."""

from melody.corpus.augment import AugmentedSource, Tables, shift_tables
from melody.corpus.prepare import CorpusReport, open_store, prepare
from melody.corpus.store import Split, TokenStore

__all__ = ["AugmentedSource", "CorpusReport", "Split", "Tables", "TokenStore", "open_store", "prepare", "shift_tables"]
