"""One training loop for every objective: `stage` (settings), `loop`, `batches`, `optim`, `schedule`, `checkpoint`."""
