"""What a tensor network carries: bonds, cuts, and the error of a factorisation against its size."""
