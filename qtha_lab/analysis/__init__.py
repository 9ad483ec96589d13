"""What a run's numbers hide: spectra and subspaces of updates, non-linearity, tensor networks, cost.

Computes from models, adapters and plain matrices; trains nothing and draws nothing. Every number's
docstring says what it does not show.

`view_updates` (ranks of an update in four named views) needs the activations of `capture_inputs`;
`snapshot` takes the part that needs none, while a model trains.
"""

from qtha_lab.analysis.activations import capture_inputs
from qtha_lab.analysis.bonds import adapter_bonds, bonds, state_bonds, truncate
from qtha_lab.analysis.factorisation import alternatives, truncation_curve
from qtha_lab.analysis.jacobians import jacobians
from qtha_lab.analysis.nonlinearity import nonlinearity
from qtha_lab.analysis.sketch import randomised_svd
from qtha_lab.analysis.snapshot import snapshot
from qtha_lab.analysis.spectrum import Spectrum, factored_spectrum, spectrum, streamed_spectrum
from qtha_lab.analysis.subspaces import compare_subspaces, intruder_dimensions, overlap
from qtha_lab.analysis.updates import updates
from qtha_lab.analysis.views import VIEWS, view_updates

__all__ = [
    "VIEWS",
    "Spectrum",
    "adapter_bonds",
    "alternatives",
    "bonds",
    "capture_inputs",
    "compare_subspaces",
    "factored_spectrum",
    "intruder_dimensions",
    "jacobians",
    "nonlinearity",
    "overlap",
    "randomised_svd",
    "snapshot",
    "spectrum",
    "state_bonds",
    "streamed_spectrum",
    "truncate",
    "truncation_curve",
    "updates",
    "view_updates",
]
