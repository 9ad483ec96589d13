"""Floating-point operations and bytes of a circuit in engine `cpu`, per sample (see `roofline`).

A multiplication and an addition count one each. Bytes are those between registers and cache.
"""

from qtha_lab.simulators.cpu.pass_kinds import FIRST, KINDS, REAL, SAMPLED, THREE, THREE_SCALED
from qtha_lab.simulators.cpu.pass_list import Pass
from qtha_lab.simulators.cpu.plan import KernelPlan


def count_operations(plan: KernelPlan, backward: bool, itemsize: int) -> tuple[float, float]:
    """Return the operations, and the bytes loaded and stored, per sample.

    * First rotations are products: two per row; backward one per row, and per row of both states a
      multiply-add, minus one addition in four.
    * A rotation costs 3 multiply-adds per pair of numbers of a state, or 2 if scaled. The state is
      real at first.
    * A phase costs 6 operations per row, 3 for a real row and 4 for its inverse to a real row.
      Scaling factors per sample cost 3 more.
    * Backward, both are undone on two states. Their gradients cost 2 multiply-adds per pair and per
      row more.
    * A read-out after a rotation costs 3 operations per row, as |ψ|² does, and backward 4 more of
      each.

    Args:
        plan: Tables of the circuit.
        backward: Whether to count the backward pass.
        itemsize: Bytes per number.
    """
    size = 2**plan.n_qubits
    # |ψ|², or λ = g ψ
    flops = moved = 0.0 if plan.passes.final_rotations else 3.0 * size
    if plan.reads_strings and not plan.passes.final_rotations:
        flops, moved = flops + plan.n_qubits * size, moved + plan.n_qubits * size
    for each in plan.passes.passes:
        of_pass = _count_pass(each, size, backward)
        flops, moved = flops + of_pass[0], moved + of_pass[1]
    return flops, moved * itemsize


def _count_pass(each: Pass, size: int, backward: bool) -> tuple[float, float]:
    """Return the operations of a pass, and the numbers loaded and stored."""
    is_three = each.kind in (THREE, THREE_SCALED)
    rows = size if each.kind == SAMPLED else (8 if is_three else 4) * each.second
    if each.kind == FIRST:
        return (8.5 if backward else 2) * rows, (2.5 if backward else 1.25) * rows
    steps, planes = KINDS[each.kind].lower(), 2
    if each.kind == SAMPLED:
        steps = "p"
    elif each.kind == REAL:
        steps, planes = "t", 1
    groups = iter((each.rotations,) if is_three else (each.rotations[:2], each.rotations[2:]))
    flops = 0.0
    for step in steps:
        if step in "opq":
            flops += _count_phases(step, rows, backward)
        else:
            flops += _count_rotations(step, rows, planes, sum(map(bool, next(groups))), backward)
    moved = planes * (4 if backward else 2) * rows - 2 * rows * (steps == "r")
    return flops, moved - (2 if backward else 1) * rows * ("o" in steps)


def _count_phases(step: str, rows: int, backward: bool) -> float:
    flops = (2 * 6 + 4 if backward else 6) * rows + 3 * rows * (step == "q")
    return flops - (2 * 2 if backward else 3) * rows * (step == "o")


def _count_rotations(step: str, rows: int, planes: int, n_rotations: int, backward: bool) -> float:
    if step == "r":
        return (7 + 7 * n_rotations if backward else 3 + 3 * n_rotations) * rows
    adds = 3 if step == "t" else 2
    return planes * (2 * adds + 2 if backward else adds) * n_rotations * rows
