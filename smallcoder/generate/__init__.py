"""Text from models: one protocol, our own engine and llama.cpp behind it."""
