"""The report of a run: one self-contained HTML page, made from the manifests and tables of its stages."""
