"""Engine `density:NOISE(option=value, …)`: density matrices of few qubits, exact, with noise after every gate.

For training with noise in the loop: a whole batch at once, differentiable any number of times.
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
    """The engine."""
    from qtha_lab.simulators.density import engine

    return engine
