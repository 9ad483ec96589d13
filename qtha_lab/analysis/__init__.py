"""Analysis of updates, non-linearity, tensor networks and circuits.

Computes from models, adapters and plain matrices. Trains nothing and draws nothing. The docstring
of every number states its limits.

`view_updates` (ranks of an update in four named views) needs the activations of `capture_inputs`.
`snapshot` computes the part without activations during training. The analysis of an ansatz, from
`profile_ansatz` to `trace_circuit`, needs only a circuit. `qtha_lab.experiment.cost` computes the
cost of a method.
"""

from qtha_lab.analysis.circuits.ansatz_profile import profile_ansatz, profile_table
from qtha_lab.analysis.circuits.circuit_trace import trace_circuit
from qtha_lab.analysis.circuits.entanglement import (
    cut_entropies,
    entangling_capability,
    meyer_wallach,
)
from qtha_lab.analysis.circuits.expressibility import expressibility_of, expressibility_points
from qtha_lab.analysis.circuits.fourier import fourier_spectrum
from qtha_lab.analysis.circuits.gate_gradients import gate_gradients
from qtha_lab.analysis.circuits.lie_algebra import lie_algebra_of
from qtha_lab.analysis.circuits.noise import gate_noise
from qtha_lab.analysis.circuits.trainability import gradient_variance_of, gradient_variance_points
from qtha_lab.analysis.live import snapshot
from qtha_lab.analysis.networks.bonds import bonds_of, truncate
from qtha_lab.analysis.networks.factorisation import Decomposed, truncation_curve
from qtha_lab.analysis.updates.activations import capture_inputs
from qtha_lab.analysis.updates.jacobians import jacobians_of
from qtha_lab.analysis.updates.nonlinearity import linear_fit, share_curve
from qtha_lab.analysis.updates.sketch import randomised_svd
from qtha_lab.analysis.updates.spectrum import (
    Spectrum,
    factored_spectrum,
    spectrum,
    spectrum_of,
    streamed_spectrum,
)
from qtha_lab.analysis.updates.subspaces import intruder_dimensions
from qtha_lab.analysis.updates.update import updates_of
from qtha_lab.analysis.updates.views import VIEWS, view_updates

__all__ = [
    "VIEWS",
    "Decomposed",
    "Spectrum",
    "bonds_of",
    "capture_inputs",
    "cut_entropies",
    "entangling_capability",
    "expressibility_of",
    "expressibility_points",
    "factored_spectrum",
    "fourier_spectrum",
    "gate_gradients",
    "gate_noise",
    "gradient_variance_of",
    "gradient_variance_points",
    "intruder_dimensions",
    "jacobians_of",
    "lie_algebra_of",
    "linear_fit",
    "meyer_wallach",
    "profile_ansatz",
    "profile_table",
    "randomised_svd",
    "share_curve",
    "snapshot",
    "spectrum",
    "spectrum_of",
    "streamed_spectrum",
    "trace_circuit",
    "truncate",
    "truncation_curve",
    "updates_of",
    "view_updates",
]
