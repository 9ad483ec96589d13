"""Engine `triton`: against engine `torch` by its interpreter, and compiled without a card."""

import torch
from triton import compile  # the name is Triton's
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Unsupported
from qtha_lab.simulators import expval, expval_z, probs
from qtha_lab.simulators.triton.engine import TILE
from qtha_lab.simulators.triton.kernel import walk

SEVERAL_BLOCKS = {4: 130, 6: 70, 8: 17}  # samples by qubits: the last block is not full


def agree(circuit: Circuit, read, dtype: torch.dtype, bound: float, batch: int = 5) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, circuit.n_inputs), (circuit.n_params,)
    operands = [torch.rand(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]
    results = []
    for engine in ("torch", "triton"):
        values = read(circuit, *operands, engine)
        weights = torch.linspace(-1, 2, values.numel(), dtype=dtype).reshape(values.shape)
        results.append([values, *torch.autograd.grad((values * weights).sum(), operands)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=bound, rtol=bound)


def some_strings(circuit, inputs, params, engine):
    return expval(circuit, ["Z0 Z1", "I", "X0"], inputs, params, engine)


def main() -> None:
    for name in ansatze.names():
        agree(ansatze.build(name, 3, 1), expval_z, torch.float64, 1e-12)
        agree(ansatze.build(name, 2, 1), probs, torch.float32, 1e-5)
        print(name)
    start = ansatze.build("qtha", 3, 1, reupload=False, embedding="amplitude")
    agree(start, some_strings, torch.float64, 1e-12)
    print("amplitudes")
    for n_qubits, batch in SEVERAL_BLOCKS.items():
        lanes = TILE // 2**n_qubits
        assert batch > lanes
        assert batch % lanes
        start = ansatze.build("qtha", n_qubits, 1, reupload=False, embedding="amplitude")
        for circuit, read in ((ansatze.build("qtha", n_qubits, 1), expval_z), (start, probs)):
            agree(circuit, read, torch.float64, 1e-12, batch)
        print(f"{n_qubits} qubits, {batch} samples")
    inputs = torch.rand(2, 3, requires_grad=True)
    values = expval_z(ansatze.build("qtha", 3, 1), inputs, torch.rand(12), "triton")
    (gradient,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    try:
        gradient.sum().backward()
    except Unsupported:
        print("second")


ARRAYS = dict.fromkeys(("angles", "start", "signs", "values", "slopes", "start_slopes"), "*fp32")
INTEGERS = {"gates": "*i32", "masks": "*i32", "batch": "i32", "n_gates": "i32", "n_masks": "i32"}


def compiled(size: int, backward: bool) -> int:
    """Bytes of machine code for compute capability 8.0."""
    constants = {
        "size": size, "lanes": 128, "from_start": False, "strings": True, "backward": backward,
    }  # fmt: skip
    kinds = ARRAYS | INTEGERS | dict.fromkeys(constants, "constexpr")
    ordered = {name: kinds[name] for name in walk.arg_names}
    source = ASTSource(walk, signature=ordered, constexprs=constants)
    return len(compile(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"])


if __name__ == "__main__":
    main()
