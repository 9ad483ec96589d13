"""Other libraries: optional ones, their messages, and a lock for their imports."""

import importlib.util
import logging
import threading

from qtha_lab.core.errors import Refusal


def require_extra(extra: str, feature: str, *packages: str) -> None:
    """Refuse a feature with a package that is not installed.

    Raises:
        Refusal: With the command that installs the extra.

    Example:
        >>> require_extra("sweep", "A sweep", "no_tuner")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: A sweep cannot be used without no_tuner. ...
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        raise Refusal(
            f'{feature} cannot be used without {names}. Run pip install "qtha-lab[{extra}]".'
        )


ONE_THREAD = threading.RLock()


# torchao: kernels for other hardware that cannot be loaded, and an internal deprecation
TALKATIVE = ("torchao", "torch.utils._pytree")


def keep_quiet() -> None:
    """Drop the warnings of these loggers.

    The filter stays when a library sets the level of its loggers.
    """
    for name in TALKATIVE:
        logging.getLogger(name).addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
