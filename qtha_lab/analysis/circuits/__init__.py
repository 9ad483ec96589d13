"""Analysis of circuits: entanglement, expressibility, gradients and noise."""
