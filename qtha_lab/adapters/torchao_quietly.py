"""Imports torchao, where it is installed, without what it logs about kernels of other machines.

PEFT and transformers import it whenever they are imported, so it is imported here first. Changes nothing else.
"""

import contextlib
import importlib.util
import logging

import torch  # noqa: F401  whose import sets the levels of its own loggers

_TALKATIVE = ("torchao", "torch.utils._pytree")


@contextlib.contextmanager
def _quiet():
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


if importlib.util.find_spec("torchao"):
    with _quiet(), contextlib.suppress(ImportError):
        import transformers.quantizers.quantizer_torchao  # noqa: F401
