"""Guarded patches of internals of PEFT, trainers, Optuna, numba and plotly, in one place.

Imports none of these libraries by itself. `docs/upstream.md` drafts public interfaces that could
replace the patches.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import logging
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from optuna.storages.journal._file import BaseJournalFileLock
    from peft import PeftType

PEFT, OURS = "peft", "qtha_lab.adapters"
TABLES_OF_ENUM = ("_member_names_", "_member_map_", "_value2member_map_")
# classes whose `create_model_card` writes README.md
CARD_WRITERS = (("transformers.trainer", "Trainer"), ("trl.trainer.base_trainer", "_BaseTrainer"))
RENEWED = "_qtha_lab_renews"  # mark of a method that is changed already
log = logging.getLogger(__name__)


# ---- PEFT: registration of the methods after both packages are loaded


def register_after_peft() -> None:
    """Register the methods with PEFT at once, or at the end of its import.

    `PeftModel.from_pretrained(base, folder)` then loads a saved QTHA after `import qtha_lab`.
    """
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
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
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


def extend_peft_types(name: str) -> PeftType:
    """Return the `PeftType` of a name, added to the enumeration if missing.

    Raises:
        Refusal: If this version of Python or PEFT has another kind of enumeration.
    """
    import peft

    types, key = peft.PeftType, name.upper()
    if key in types.__members__:
        return types[key]
    if not (issubclass(types, str) and all(hasattr(types, table) for table in TABLES_OF_ENUM)):
        raise Refusal(
            f"peft must have an enumeration of method names, got peft {peft.__version__}. "
            "Install the version that pyproject.toml names."
        )
    member = str.__new__(types, key)
    member._name_, member._value_ = key, key
    vars(member).update(__objclass__=types, _sort_order_=len(types._member_names_))
    setattr(types, key, member)
    types._member_names_.append(key)
    types._member_map_[key] = member
    types._value2member_map_[key] = member
    getattr(types, "_hashable_values_", []).append(key)  # not every Python has it
    return member


# ---- transformers and TRL: the model card of a trainer


def after_trainer_card(renew: Callable[[Any], None]) -> None:
    """Call a function with each trainer that has written a model card.

    Changes the imported trainers that write cards, each once. Trainers write over the card of an
    adapter when they push it.
    """
    for module, name in CARD_WRITERS:
        trainer = getattr(sys.modules.get(module), name, None)
        write = vars(trainer).get("create_model_card") if trainer else None
        if trainer and write and not hasattr(write, RENEWED):
            trainer.create_model_card = _followed(write, renew)


def _followed(write: Callable, renew: Callable[[Any], None]) -> Callable:
    """Return a method of trainers that runs a function afterwards."""

    @functools.wraps(write)
    def create_model_card(trainer: Any, *args: Any, **options: Any) -> None:
        write(trainer, *args, **options)
        renew(trainer)

    setattr(create_model_card, RENEWED, True)
    return create_model_card


# ---- Optuna: a lock of a journal


def journal_lock(path: Path) -> BaseJournalFileLock:
    """Return a file lock for an Optuna journal that ends with its process.

    Optuna calls `acquire` and `release`. Its base class is private, and used where it exists.
    """
    from filelock import FileLock

    module = importlib.import_module("optuna.storages.journal._file")
    base: Any = getattr(module, "BaseJournalFileLock", object)
    lock = FileLock(path, timeout=60, mode=0o644 | path.parent.stat().st_mode & 0o060)

    class JournalLock(base):
        def acquire(self) -> bool:
            lock.acquire()
            return True

        def release(self) -> None:
            lock.release()

    return JournalLock()


# ---- numba: the disk cache of a kernel


def replace_kernel_cache(kernel: Any, cache: Any) -> None:
    """Replace the cache of a compiled function, if numba has the attribute `_cache`."""
    if hasattr(kernel, "_cache"):
        kernel._cache = cache
    else:
        log.debug("kernels are compiled by every process: numba has no _cache")


# ---- plotly: optional modules that another thread imports


def await_imports_in_plotly() -> None:
    """Make plotly wait for a module, such as pandas, that another thread is importing.

    plotly takes it from `sys.modules`, where it is incomplete until its import ends.
    """
    for name in ("_plotly_utils.basevalidators", "_plotly_utils.utils", "plotly.io._json"):
        module = sys.modules.get(name)
        get_module = getattr(module, "get_module", None)
        if get_module is not None and not hasattr(get_module, "__wrapped__"):
            module.get_module = _awaiting(get_module)  # type: ignore[union-attr]


def _awaiting(get_module: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(get_module)
    def whole_module(name: str, should_load: bool = True) -> Any:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        return get_module(name, should_load or getattr(spec, "_initializing", False))

    return whole_module
