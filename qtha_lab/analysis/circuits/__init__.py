"""What a circuit can do and what it costs to train: entanglement, expressibility, gradients, noise."""
