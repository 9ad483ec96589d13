"""Configuration of the package log, one logger per module.

The environment variable `QTHA_LAB_LOG` is a level, a file, or both. With a level (`info`), lines go
to standard error, for a worker to its `worker.log`. A file receives the tracebacks of faults. With
both (`debug:lab.log`), lines and tracebacks go to the file.
"""

import logging

from qtha_lab.core import paths
from qtha_lab.core.io import make_folder
from qtha_lab.core.panel_import import PANELS, checkout_address

FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging() -> None:
    """Show the package's log as `QTHA_LAB_LOG` requests.

    Without a level, only warnings are shown, as is Python's default.
    """
    level = paths.log_level()
    if level is None:
        return
    for name in {
        "qtha_lab",
        checkout_address(PANELS) or "qtha_lab",
    }:  # a checkout has the panels beside the package
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _AtThatMoment) for handler in logger.handlers):
            logger.setLevel(level.upper())
            logger.addHandler(_AtThatMoment())


class _AtThatMoment(logging.Handler):
    """Log handler that writes to the current standard error or appends to a file.

    Lines that cannot be written are dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORM))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line.

        A file is opened per line, so that several processes can share it.
        """
        handler: logging.Handler = logging.StreamHandler()
        if file := paths.chosen_log_file():
            try:
                make_folder(file.parent)
                handler = logging.FileHandler(file, encoding="utf-8")
            except OSError:
                return
        handler.setFormatter(self.formatter)
        handler.emit(record)
        if isinstance(handler, logging.FileHandler):
            handler.close()
