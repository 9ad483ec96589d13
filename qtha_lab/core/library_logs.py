"""Log lines of other libraries that say nothing to anybody here, kept out of notebooks and terminals.

Only torchao's, which PEFT imports where it is installed. Errors are let through.
"""

import logging

# kernels of torchao for other machines that cannot be loaded; a deprecation inside torchao
TALKATIVE = ("torchao", "torch.utils._pytree")


def keep_quiet() -> None:
    """Drop warnings of these loggers; a filter stays when a library sets the level of its loggers."""
    for name in TALKATIVE:
        logging.getLogger(name).addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
