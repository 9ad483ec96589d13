"""Other simulators in the benchmark: the QTHA circuit in each one's own words, a file each.

`worker.py` runs one of them in the Python environment that has it, where qtha_lab is not installed.
So a
peer's file imports nothing of ours, and its own library only inside functions. It defines
`build(n_qubits, n_layers, dtype)`, which gives `run(inputs, params) -> values` on torch tensors of
shapes (batch, n_qubits), (n_layers, 4, n_qubits) and (batch, n_qubits), or an object with methods
`tensor`, `forward` and `backward` as `worker.TorchRun` has them; `PACKAGES`, whose versions are
reported; and `ONE_BY_ONE = True` if no batch goes through together.
"""
