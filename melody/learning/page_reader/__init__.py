"""Training of the page reader: pages engraved from corpora, distortions, network. `python -m` runs each module."""
