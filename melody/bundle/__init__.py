"""Bundles: one folder that is one usable model (`bundle`), and its card (`model_card`)."""

from melody.bundle.bundle import FORMAT, HAND, LOCAL, SHIPPED, Bundle, TrackInfo, all_bundles, bundle_files, open_bundle

__all__ = ["FORMAT", "HAND", "LOCAL", "SHIPPED", "Bundle", "TrackInfo", "all_bundles", "bundle_files", "open_bundle"]
