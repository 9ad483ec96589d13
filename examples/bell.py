"""An exercise in one file. A notebook asks it with `check("20.1", answer)` after `load_plugins`.

qtha-lab check-plugin examples/bell.py
"""

from qtha_lab.plugins import Number, exercise

exercise(
    "20.1",
    "Entanglement of a Bell pair",
    difficulty=1,
    minutes=3,
    answer="entropy_bits",
    hints=(
        "What does one of the two qubits look like alone?",
        "Its reduced state is the identity divided by 2.",
        "The entropy is −Σ p log₂ p with p = 1/2, 1/2.",
    ),
    solution="entropy_bits = 1.0",
    mistakes=(
        ("entropy_bits = 0.6931471805599453", "that is the entropy in nats"),
        ("entropy_bits = 0.0", "that is the entropy of the pair, which is in a pure state"),
    ),
    grader=Number(1.0),
    remark="No state of two qubits is more entangled.",
)
