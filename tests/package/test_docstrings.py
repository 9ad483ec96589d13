"""A public function can be called from what its docstring says."""

import ast
import re
from collections.abc import Iterator

from support.source_files import ROOT, for_each_file, parsed

from qtha_lab.simulators.registry import Engine

# Commands have their help in each flag, steps of a compiled kernel are written for whoever reads
# the kernel.
LEFT_OUT = {
    ROOT / "qtha_lab" / "simulators" / "cpu" / name for name in ("vectors.py", "pass_code.py")
}


Function = ast.FunctionDef | ast.AsyncFunctionDef


# names that a package offers to its users; a helper of the neighbouring modules needs one sentence
EXPORTED = {
    name.name
    for path in ROOT.glob("[qw]*/**/__init__.py")
    for node in ast.walk(parsed(path))
    if isinstance(node, ast.ImportFrom)
    for name in node.names
}


def public_functions(
    body: list[ast.stmt], inherits: bool = False, only: set[str] | None = None
) -> Iterator[Function]:
    """Functions of a module and methods of its classes that inherit nothing, which is said in the
    base, optionally only those of some names.
    """
    for node in body:
        if not isinstance(node, ast.ClassDef | Function) or (only and node.name not in only):
            continue
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, inherits=bool(node.bases))
        elif isinstance(node, Function) and not node.name.startswith("_") and not inherits:
            yield node


def is_decorated(function: Function) -> bool:
    """Report if a decorator or another overload explains the arguments."""
    plain = ("staticmethod", "classmethod", "contextmanager", "lru_cache", "cache", "no_grad")
    return not all(any(name in ast.dump(d) for name in plain) for d in function.decorator_list)


@for_each_file
def test_functions_of_three_arguments_and_more_explain_them(path):
    if path in LEFT_OUT or path.parent.name == "cli":
        return  # explained elsewhere
    for function in public_functions(parsed(path).body, only=EXPORTED):
        arguments = [*function.args.args, *function.args.kwonlyargs]
        names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
        docstring = ast.get_docstring(function) or ""
        is_of_engine = "simulators" in path.parts and function.name in vars(Engine)
        if len(names) < 3 or is_decorated(function) or is_of_engine:
            continue
        assert "Args:" in docstring, f"{path.name}:{function.lineno} {function.name}"
        listed = docstring.split("Args:")[1]
        missing = [name for name in names if f"{name}:" not in listed and f"{name}," not in listed]
        assert not missing, f"{function.name} does not explain {missing}"


@for_each_file
def test_a_public_function_says_what_it_does(path):
    for function in public_functions(parsed(path).body):
        is_second = {"overload", "setter"} & set(
            re.findall(r"\w+", ast.dump(ast.Tuple(function.decorator_list)))
        )
        assert is_second or ast.get_docstring(function), f"{path.name}:{function.lineno}"


@for_each_file
def test_a_module_says_first_what_it_is(path):
    assert ast.get_docstring(parsed(path)), path
