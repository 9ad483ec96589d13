"""Import of the panels of a checkout as `qtha_lab.widgets`.

An installed wheel has them inside the package; a checkout has them in `widgets/` beside it.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

from qtha_lab.core.paths import CHECKOUT, PACKAGE

PANELS = "qtha_lab.widgets"


def checkout_address(name: str) -> str | None:
    """Return a panel module's name in a checkout; None for other modules."""
    inside, beside = PACKAGE / "widgets", CHECKOUT / "widgets"
    if not f"{name}.".startswith(f"{PANELS}.") or (inside / "__init__.py").is_file():
        return None
    return name.removeprefix("qtha_lab.") if (beside / "__init__.py").is_file() else None


class _PanelFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import finder and loader that loads a panel once, under both of its names."""

    def find_spec(self, fullname, path=None, target=None):
        if checkout_address(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec) -> ModuleType:
        module = importlib.import_module(checkout_address(spec.name) or spec.name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own specification, since its code has already run."""
        spec = module.__spec__
        if spec is not None:
            module.__spec__ = spec.loader_state


def panel_module(name: str) -> ModuleType | None:
    """Import a module of the panels; None where their packages are not installed.

    The package itself has no panel. An object that shows itself on a page asks for its panel here.
    """
    needed = ("anywidget", "ipywidgets")
    if any(importlib.util.find_spec(package) is None for package in needed):
        return None
    return importlib.import_module(f"{PANELS}.{name}")


def install_panel_finder() -> None:
    """Register the finder, before the ordinary one would load a panel a second time."""
    if not any(isinstance(finder, _PanelFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PanelFinder())
