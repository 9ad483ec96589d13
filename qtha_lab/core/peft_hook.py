"""Registration of the methods with PEFT after both packages are loaded.

`PeftModel.from_pretrained(base, folder)` then loads a saved QTHA after `import qtha_lab`. This
module imports neither package by itself.
"""

import importlib
import importlib.abc
import logging
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PEFT, OURS = "peft", "qtha_lab.adapters"
log = logging.getLogger(__name__)


def register_with_peft() -> None:
    """Register now if PEFT is loaded, else at the end of its import."""
    if PEFT in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterPeft) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPeft())


def _register() -> None:
    """Import the adapters, whose import registers them, unless that import has begun."""
    if OURS in sys.modules:
        return
    try:
        importlib.import_module(OURS)
    except Exception as reason:  # PEFT must still import
        log.warning("the methods of qtha-lab are not registered with PEFT: %r", reason)


class _AfterPeft(importlib.abc.MetaPathFinder):
    """Import finder for PEFT that registers the methods after PEFT has been loaded."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """Return the spec of PEFT with a registering loader; None for other modules."""
        if fullname != PEFT:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            self._register_after(spec.loader)
        return spec

    def _register_after(self, loader: Any) -> None:
        """Wrap one loader so that it registers the methods after executing its module.

        A spec that is only inspected changes nothing.
        """
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module
