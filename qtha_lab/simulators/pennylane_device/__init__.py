"""Engine `cpu` for any PennyLane user: `qml.device("qtha.cpu", wires=n)`."""
