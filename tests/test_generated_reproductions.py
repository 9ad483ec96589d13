"""What the reproduction with generated weights must equal."""

import pytest

from qtha_lab.reproductions import REPRODUCTIONS, federated_qt

NAMES = ("federated_qt",)


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", NAMES)
def test_they_register_themselves_with_controls(name):
    of = REPRODUCTIONS[name]
    assert {"classical", "frozen"} <= of.arms.keys()
    assert {claim.control for claim in of.claims} >= {"classical", "frozen"}


# counts


def test_13706_weights_take_14_qubits_one_by_one_and_8_in_chunks_of_54():
    # 16·9 + 16, 32·16·9 + 32, 64·128 + 64, 10·64 + 10
    assert trained(federated_qt.network("cnn")) == 160 + 4640 + 8256 + 650 == 13_706
    qubits = {
        arm: federated_qt.network(arm).circuits()[0].n_qubits for arm in ("federated", "unchunked")
    }
    assert qubits == {"federated": 8, "unchunked": 14}
    # 8 angles in 8 blocks, and 9-4-20-4-54
    assert trained(federated_qt.network("federated")) == 64 + 40 + 100 + 84 + 270
    assert trained(federated_qt.network("classical")) == trained(federated_qt.network("federated"))
