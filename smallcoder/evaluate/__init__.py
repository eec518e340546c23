"""Measures models: benchmarks, infilling."""
