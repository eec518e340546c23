"""Public benchmarks, read from a folder of their published files into PROBLEM tables.

Loading only: the tables serve as `problems` of `decontaminate`. Nothing here grades an answer, and `evaluate` does not
know these benchmarks yet; `tests` keeps what their graders will need, as JSON. One module a benchmark, or a family that
differs only in field names; `LOADERS` in `stage` is their table, and names the folders too. The data is not part of
smallcoder; some of it may not be trained on (MultiPL-E), which is one more reason to look for it in a corpus.

`reference` is a complete program wherever the benchmark has one to offer: a solution that continues its prompt is
joined to it. `meta` holds `lang`, the language of the code, `task_id`, the benchmark's own id, and little else.
"""
