"""An explorer of two circuit families: entanglement, overlaps, frequencies and gradients.

Values come from `analysis.circuits`, the picture from `figures.overlap_histogram`.
"""

import functools
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from qtha_lab.analysis import entangling_capability, gradient_variance_of
from qtha_lab.analysis.circuits.expressibility import Expressibility, expressibility_of
from qtha_lab.analysis.circuits.fourier import fourier_spectrum
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.figures.overlap_histogram import overlap_histogram

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

FAMILIES = ("qtha", "product", "basic_entangler", "strongly_entangling")
QUBITS, LAYERS = (2, 3, 4, 5, 6), (1, 2, 3, 4)
PAIRS, SAMPLES, BINS = 1000, 100, 20
START = {"first": "qtha", "second": "basic_entangler", "n_qubits": 4, "n_layers": 2}


class FamilyValues(NamedTuple):
    """Measured values of one family."""

    overlaps: Expressibility
    entanglement: float
    entanglement_of_random: float
    highest: float
    variance: float


class AnsatzPairModel(ExplorerModel):
    """Two circuit families, each value beside that of random states.

    Args:
        options: Initial values of its state, such as n_layers=1.

    Example:
        >>> pair = AnsatzPairModel(first="product", second="qtha", n_qubits=2, n_layers=1)
        >>> pair.drawing.rows[0]["family"], pair.drawing.rows[0]["Meyer–Wallach"]
        ('product', '0.000')
    """

    STATE = ("first", "second", "n_qubits", "n_layers")
    PRESETS: ClassVar = {
        "Does more entanglement reach more states?": START,
        "Do more layers reach more states?": START | {"second": "product", "n_layers": 4},
        "Who is close to random, and at which price?": START
        | {"second": "strongly_entangling", "n_layers": 4},
    }
    first, second = Choice(FAMILIES, "first family"), Choice(FAMILIES, "second family")
    n_qubits, n_layers = (
        Choice(QUBITS, "qubits", slider=True),
        Choice(LAYERS, "layers", slider=True),
    )

    def __init__(self, **options: Any):
        super().__init__(START | options)

    def compute(self, state: SimpleNamespace) -> Drawing:
        names = list(dict.fromkeys((state.first, state.second)))
        values = {
            name: family_values(ansatze.build(name, state.n_qubits, state.n_layers))
            for name in names
        }
        rows = [
            {
                "family": name,
                "Meyer–Wallach": f"{of.entanglement:.3f}",
                "of random states": f"{of.entanglement_of_random:.3f}",
                "divergence": f"{of.overlaps.kl:.3f}",
                "its floor": f"{of.overlaps.floor:.3f}",
                "highest frequency": f"{of.highest:g}",
                "variance of the gradient": f"{of.variance:.2e}",
            }
            for name, of in values.items()
        ]
        haar = next(iter(values.values())).overlaps.haar
        shares = {name: of.overlaps.shares.tolist() for name, of in values.items()}
        code = "\n".join(
            f"expressibility_of(ansatze.build({name!r}, {state.n_qubits}, {state.n_layers}), "
            f"{PAIRS}, n_bins={BINS})"
            for name in names
        )
        return Drawing({"overlaps": overlap_histogram(shares, haar.tolist())}, rows, code)


class AnsatzPair(Explorer, AnsatzPairModel):
    """Panel of two ansätze, with their measures beside those of random states."""

    ROWS = (("first", "second", "n_qubits", "n_layers"),)


@functools.lru_cache(maxsize=128)
def family_values(circuit: Circuit) -> FamilyValues:
    """Measure a circuit of a family at random angles."""
    entangling = entangling_capability(circuit, SAMPLES)
    spectrum = fourier_spectrum(circuit, observables=["Z0"], n_samples=20)
    return FamilyValues(
        expressibility_of(circuit, PAIRS, n_bins=BINS),
        float(entangling.meyer_wallach),
        float(entangling.haar),
        float(spectrum.highest()),
        gradient_variance_of(circuit, n_samples=SAMPLES).mean,
    )
