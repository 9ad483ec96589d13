"""Training of one fine-tune in a worker: transformers' Trainer, scores and summary."""
