"""Public names of a package that load their modules at first use.

The imports under `TYPE_CHECKING` are the only declaration; each has the form
`from MODULE import NAME as PUBLIC_NAME`.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from opcode import opname
from types import FrameType
from typing import Any

from qtha_lab.core.settings import nearest

_IMPORT = re.compile(r"^    from ([\w.]+) import (?:\(\s*)?(\w+) as (\w+)", re.MULTILINE)


def lazy_names(
    package: str, *others: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: Name of the package, which is being imported.
        others: Public names that the package defines itself.
    """
    loader: Any = sys.modules[package].__loader__
    imports = _IMPORT.findall(loader.get_source(package))
    addresses = {public: (module, name) for module, name, public in imports}
    names = sorted({*addresses, *others})

    def load(name: str) -> Any:
        if name not in addresses:
            is_package = "__path__" in vars(sys.modules[package])
            inner = f"{package}.{name}"
            if is_package and not name.startswith("_") and importlib.util.find_spec(inner):
                return importlib.import_module(inner)
            close = nearest(name, names)
            hint = f". Did you mean {close!r}?" if close else ""
            if _is_from_import(sys._getframe(1)):  # Python would drop the hint of AttributeError
                raise ImportError(f"cannot import name {name!r} from {package!r}{hint}")
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        module, attribute = addresses[name]
        if module == package:  # a subpackage; its package has no other attribute of this name
            return importlib.import_module(f"{module}.{attribute}")
        loaded = importlib.import_module(module, package)
        if not hasattr(loaded, attribute):
            return importlib.import_module(f"{module}.{attribute}")
        return getattr(loaded, attribute)

    return load, lambda: names, names


def _is_from_import(frame: FrameType) -> bool:
    """Return True if a frame executes `from module import name`."""
    return opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"
