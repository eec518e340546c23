"""Smaller files of a trained model: GGUF for llama.cpp and whatever is built on it."""
