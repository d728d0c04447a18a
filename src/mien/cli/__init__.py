"""The command line. Results go to stdout, all else to stderr; exit codes come from the errors."""


def main() -> None:
    """Entry point of the ``mien`` command."""
    from mien.cli.app import run

    run()
