"""The one decoder: its shape (`config`), its arithmetic (`transformer`), its files in Hugging Face layout (`hf`)."""
