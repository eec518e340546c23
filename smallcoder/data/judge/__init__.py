"""Judges: language models behind any OpenAI-compatible server that put numbers on documents."""
