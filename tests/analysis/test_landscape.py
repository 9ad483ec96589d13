"""Landscapes of a read-out over two angles: known products of cosines, and what is refused."""

import numpy as np
from support.refusals import refused

from qtha_lab.analysis.circuits.landscape import landscape_of, observable_of
from qtha_lab.circuits import Angle, Circuit, Gate


def test_two_rotations_read_together_give_the_product_of_two_cosines():
    circuit = Circuit(2, [Gate("RY", wire, Angle.param(wire)) for wire in (0, 1)])
    found = landscape_of(circuit, "Z0 Z1")
    right = np.outer(np.cos(found.angles), np.cos(found.angles))
    assert np.abs(found.values - right).max() < 1e-9


def test_the_two_angles_are_those_that_the_read_out_depends_on():
    gates = [Gate("RY", wire, Angle.param(wire)) for wire in (0, 1)]
    circuit = Circuit(2, [*gates, Gate("RY", 1, Angle.param(2))])
    found = landscape_of(circuit, "Z1")
    total = found.angles[:, None] + found.angles[None, :]
    assert np.abs(found.values - np.cos(total)).max() < 1e-9


def test_a_read_out_of_all_wires_is_a_product_of_all():
    assert observable_of("one wire", 3) == "Z0"
    assert observable_of("all wires", 3) == "Z0 Z1 Z2"


def test_one_angle_and_an_unknown_read_out_are_refused():
    with refused("A landscape", "1"):
        landscape_of(Circuit(1, [Gate("RY", 0, Angle.param(0))]))
    with refused("read_out", "'none'"):
        observable_of("none", 2)
