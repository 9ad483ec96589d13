"""Engine `density:NOISE(option=value, …)`: exact density matrices of few qubits with noise.

For training under noise: noise after every gate, whole batches, derivatives of any order.
"""

from qtha_lab.simulators import registry


@registry.engine(
    "density",
    strength="five qubits or fewer with noise, exact and in batches",
    place=5,
    examples=("density:none", "density:noise(depolarizing_2q=0.1)"),
    follows_tensors=True,
    transformable=True,
    listed=False,
)
def load() -> registry.Engine:
    """Return the engine."""
    from qtha_lab.simulators.density import engine

    return engine
