"""Serving a finished model to editors and programs."""
