"""Deduplication: exact and near (the stage `dedup`), and by meaning (`semantic_dedup`, in `semantic`)."""

from smallcoder.data.dedup.stage import Config, as_filter, banding, permutations

__all__ = ["Config", "as_filter", "banding", "permutations"]
