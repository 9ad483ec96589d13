"""What happens inside a worker: one fine-tune on transformers' Trainer, its scores and its summary."""
