"""Benchmarks: problems, their graders, and the statistics of their results. The sandbox is handed in."""
