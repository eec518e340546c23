"""Text to training rows: vocabulary, tokenizer training, encoding, fill-in-the-middle, chat, packing."""
