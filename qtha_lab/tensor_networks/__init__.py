"""Tensor networks: matrix product operators."""
