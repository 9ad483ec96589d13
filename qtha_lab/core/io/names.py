"""Checks of file names that another machine or archive supplies."""

import re

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.text import shortened

PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,254}")


def relative_name(text: str) -> str:
    """Return a relative file name that stays inside its folder.

    Args:
        text: Parts of letters, digits and `._+=@-`, separated by `/`; no part starts with a dot.

    Raises:
        Refusal: If the name is absolute, empty, climbs out of the folder or holds other characters.

    Example:
        >>> relative_name("adapter/adapter_model.safetensors")
        'adapter/adapter_model.safetensors'
        >>> relative_name("../x")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: A file name must stay inside its folder, got '../x'.
    """
    if not all(map(PART.fullmatch, text.split("/"))):
        raise Refusal(f"A file name must stay inside its folder, got {shortened(text)!r}.")
    return text
