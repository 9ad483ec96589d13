"""The kernel of engine `triton` through Triton's compiler, for a card that need not be here."""

from triton import compile  # the name is Triton's
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from qtha_lab.simulators.triton.kernel import walk

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
