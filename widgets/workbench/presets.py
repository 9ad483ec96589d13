"""Presets of the workbench: comparisons and sweeps to begin with."""

from collections.abc import Callable

from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.experiment.method_choice import MethodChoice, with_controls

SIZED = "qtha(r=4,waist=16,bond_dim=3)"  # 6,900 parameters on the toy model
RATES = "0.001..0.1 log 5"


def equal_size() -> Comparison:
    """Return QTHA against a LoRA of equal size: the waist follows LoRA's parameters."""
    return Comparison(methods="lora(r=2),qtha(r=4,bond_dim=3)", matching="equal_parameters")


def paper_sizes() -> Comparison:
    """Return QTHA at its published size and LoRA at r = 8."""
    return Comparison(methods=["qtha(size=paper)", "lora(r=8)"])


def circuit_ablation() -> Comparison:
    """Return QTHA with and without its circuit."""
    return Comparison(methods=[SIZED, SIZED.replace(")", ",use_circuit=false)")])


def rate_sweep() -> Sweep:
    """Return a sweep of the learning rate for both methods."""
    return Sweep(methods=f"lora(r=2),{SIZED}", axes={"learning_rate": RATES})


def all_controls() -> Comparison:
    """Return QTHA with every classical control."""
    return Comparison(methods=with_controls(MethodChoice.parse(SIZED), "tiny"))


PRESETS: dict[str, Callable[[], Comparison | Sweep]] = {
    "QTHA against LoRA, equal size": equal_size,
    "sizes of the paper": paper_sizes,
    "with and without the circuit": circuit_ablation,
    "sweep the learning rate": rate_sweep,
    "is it quantum? (all controls)": all_controls,
}
