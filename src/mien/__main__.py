"""``python -m mien``: the same as the command ``mien``."""

from mien.cli import main

main()
