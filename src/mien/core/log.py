"""One logger for the house; silent unless the application, or the command line, asks."""

import logging

logger = logging.getLogger("mien")
logger.addHandler(logging.NullHandler())
