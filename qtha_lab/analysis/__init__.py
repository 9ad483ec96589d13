"""What a run's numbers hide: spectra of updates, non-linearity, tensor networks, cost.

Computes from models, adapters and plain matrices; trains nothing and draws nothing. Every number's
docstring says what it does not show.

`view_updates` (ranks of an update in four named views) needs the activations of `capture_inputs`;
`snapshot` takes the part that needs none, while a model trains. `cost_table` needs no model at all,
and what is known of an ansatz, from `profile_ansatz` to `trace_circuit`, only a circuit.
"""

from qtha_lab.analysis.activations import capture_inputs
from qtha_lab.analysis.ansatz_profile import profile_ansatz, profile_table
from qtha_lab.analysis.bonds import adapter_bonds, bonds_of, state_bonds, truncate
from qtha_lab.analysis.circuit_trace import trace_circuit
from qtha_lab.analysis.cost import Workload, cost_of, cost_table
from qtha_lab.analysis.entanglement import cut_entropies, meyer_wallach
from qtha_lab.analysis.entangling import entangling_capability
from qtha_lab.analysis.expressibility import expressibility_of, expressibility_points
from qtha_lab.analysis.factorisation import alternatives, truncation_curve
from qtha_lab.analysis.fisher import fisher_spectrum
from qtha_lab.analysis.fourier import fourier_spectrum
from qtha_lab.analysis.gate_gradients import gate_gradients
from qtha_lab.analysis.gate_noise import gate_noise
from qtha_lab.analysis.jacobians import jacobians_of
from qtha_lab.analysis.lie_algebra import lie_algebra_of
from qtha_lab.analysis.live import snapshot
from qtha_lab.analysis.nonlinearity import linear_fit, share_curve
from qtha_lab.analysis.shapes import SHAPES, get_shape, shape_of
from qtha_lab.analysis.shot_noise import shot_noise
from qtha_lab.analysis.sketch import randomised_svd
from qtha_lab.analysis.spectrum import Spectrum, factored_spectrum, spectrum_of, streamed_spectrum
from qtha_lab.analysis.subspaces import compare_subspaces, intruder_dimensions, overlap
from qtha_lab.analysis.tables import nonlinearity_table, subspace_table
from qtha_lab.analysis.trainability import gradient_variance_of, gradient_variance_points
from qtha_lab.analysis.updates import updates_of
from qtha_lab.analysis.views import VIEWS, view_updates

__all__ = [
    "SHAPES",
    "VIEWS",
    "Spectrum",
    "Workload",
    "adapter_bonds",
    "alternatives",
    "bonds_of",
    "capture_inputs",
    "compare_subspaces",
    "cost_of",
    "cost_table",
    "cut_entropies",
    "entangling_capability",
    "expressibility_of",
    "expressibility_points",
    "factored_spectrum",
    "fisher_spectrum",
    "fourier_spectrum",
    "gate_gradients",
    "gate_noise",
    "get_shape",
    "gradient_variance_of",
    "gradient_variance_points",
    "intruder_dimensions",
    "jacobians_of",
    "lie_algebra_of",
    "linear_fit",
    "meyer_wallach",
    "nonlinearity_table",
    "overlap",
    "profile_ansatz",
    "profile_table",
    "randomised_svd",
    "shape_of",
    "share_curve",
    "shot_noise",
    "snapshot",
    "spectrum_of",
    "state_bonds",
    "streamed_spectrum",
    "subspace_table",
    "trace_circuit",
    "truncate",
    "truncation_curve",
    "updates_of",
    "view_updates",
]
