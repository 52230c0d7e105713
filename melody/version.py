"""The version, by itself: files that melody writes name it, and everything may know it."""

__version__ = "0.2.0"
