"""One model on many processes: who they are (`fleet`), what each holds (`shard`, `parts`), whole matrices again."""
