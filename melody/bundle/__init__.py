"""Bundles: one folder that is one usable model (`bundle`), and its card (`model_card`)."""

from melody.bundle.bundle import FORMAT, LOCAL, SHIPPED, Bundle, TrackInfo, all_bundles, open_bundle

__all__ = ["FORMAT", "LOCAL", "SHIPPED", "Bundle", "TrackInfo", "all_bundles", "open_bundle"]
