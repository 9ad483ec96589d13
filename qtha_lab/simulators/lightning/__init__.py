"""Engines `lightning…`: the whole batch as one register of PennyLane Lightning's compiled kernels."""
