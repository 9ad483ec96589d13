"""Filter for irrelevant log lines of other libraries.

Only those of torchao, which PEFT imports where it is installed. Errors are shown.
"""

import logging

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
