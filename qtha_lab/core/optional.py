"""Check for packages that only an extra of qtha-lab installs."""

import importlib.util

from qtha_lab.core.errors import Refusal


def require_extra(extra: str, feature: str, *packages: str) -> None:
    """Refuse a feature with a package that is not installed.

    Raises:
        Refusal: With the command that installs the extra.

    Example:
        >>> require_extra("sweep", "A sweep", "no_tuner")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: A sweep must have no_tuner installed, got none. ...
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        raise Refusal(
            f'{feature} must have {names} installed, got none. Run pip install "qtha-lab[{extra}]".'
        )
