"""Reading: one file a source. Every source yields documents with their repository, revision, path and licence."""
