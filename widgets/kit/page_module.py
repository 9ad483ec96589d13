"""Browser code: a small module per widget, and the rest once per page.

The small module loads at once, so that anywidget's limit of two seconds is kept. The rest arrives
over the widget's own connection, however late; until then a sentence takes the widget's place.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from qtha_lab.core.io import read


class PageModule:
    """Mixin for anywidget widgets: joins the files of `MODULE` to their browser code.

    The files are in this folder. The last file ends with `return { render }`.
    """

    MODULE: ClassVar[tuple[str, ...]] = ()
    BEFORE: ClassVar[str] = ""
    """Source before the files, such as constants."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "MODULE" in cls.__dict__:
            cls._esm = _boot(cls.MODULE, cls.BEFORE)  # type: ignore[attr-defined]
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any):
        super().__init__(**traits)
        self.on_msg(self._send_module)  # type: ignore[attr-defined]

    def _send_module(self, _: Any, content: dict[str, Any], _buffers: list) -> None:
        if content.get("kind") == "module":
            source = module_source(self.MODULE, self.BEFORE)
            self.send({"kind": "module", "source": source})  # type: ignore[attr-defined]


@functools.cache
def module_source(names: tuple[str, ...], before: str = "") -> str:
    """Return the browser code of a widget as the body of a function."""
    folder = Path(__file__).parent
    return "\n".join([before, *(read(folder / name) for name in names)])


@functools.cache
def _boot(names: tuple[str, ...], before: str) -> str:
    digest = hashlib.sha256(module_source(names, before).encode()).hexdigest()[:12]
    name = json.dumps(f"{names[-1]} {digest}")
    return f"const MODULE = {name};\n" + read(Path(__file__).parent / "boot.js")
