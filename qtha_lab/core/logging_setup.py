"""The log of the package: one logger per module below `qtha_lab`, shown where `QTHA_LAB_LOG` asks for it.

`QTHA_LAB_LOG` is a level (`info`: lines go to standard error, of a worker to its `worker.log`), a file
(it takes the tracebacks of faults), or both (`debug:lab.log`: lines and tracebacks go to the file).
"""

import logging

from qtha_lab.core import paths
from qtha_lab.core.panel_import import PANELS, checkout_address

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging() -> None:
    """Show the package's log as `QTHA_LAB_LOG` asks; without a level only warnings, as Python does."""
    level = paths.log_level()
    if level is None:
        return
    for name in {
        "qtha_lab",
        checkout_address(PANELS) or "qtha_lab",
    }:  # a checkout has the panels beside it
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _AtThatMoment) for handler in logger.handlers):
            logger.setLevel(level.upper())
            logger.addHandler(_AtThatMoment())


class _AtThatMoment(logging.Handler):
    """Standard error as it is at that moment, or the end of a file; what cannot be written is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORM))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a file is opened for it alone, so that several processes can share one."""
        handler: logging.Handler = logging.StreamHandler()
        if file := paths.chosen_log_file():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                handler = logging.FileHandler(file, encoding="utf-8")
            except OSError:
                return
        handler.setFormatter(self.formatter)
        handler.emit(record)
        if isinstance(handler, logging.FileHandler):
            handler.close()
