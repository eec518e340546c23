"""smallcoder: an open factory for small code language models."""

__version__ = "0.1.0"
