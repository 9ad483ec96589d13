"""Analysis of tensor networks: bonds, truncation and factorisation error against size."""
