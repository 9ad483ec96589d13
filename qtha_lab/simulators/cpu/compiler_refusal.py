"""Sentence for a machine on which the kernels cannot be compiled."""


def compiler_refusal(fault: Exception) -> str:
    """Return the refusal of engine `cpu` for an error of numba."""
    message = " ".join(str(fault).split())
    return (
        "Engine 'cpu' must compile here, got an error of numba "
        f"({type(fault).__name__}: {message:.200}). Use engine='torch' or 'auto'."
    )
