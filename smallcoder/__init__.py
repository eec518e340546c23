"""smallcoder: an open factory for small code language models."""

import os

__version__ = "0.1.0"

# Arrow's allocator hands unused memory back after a second and soon asks for it again, which costs a twelfth of
# curation in page faults (perf/curate.py). It reads this when Arrow is first imported.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "10000")  # milliseconds
