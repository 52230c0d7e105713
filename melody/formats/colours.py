"""Colours of tracks, the same in projects, pictures and pages.

Okabe & Ito 2008, told apart by colour-blind readers too, its yellow replaced (it vanishes on white).
"""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#5B4A42")
