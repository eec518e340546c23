"""Learned quality: a fastText classifier, any Hugging Face classifier, and the composite score they add up to."""
