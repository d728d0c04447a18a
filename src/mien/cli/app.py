"""All commands in one application, and what happens to errors on their way out."""

import sys

import typer

from mien.cli import (
    calibrate,
    capacity,
    cluster,
    demo,
    doctor,
    embed,
    enrol,
    evaluate,
    gallery,
    identify,
    keys,
    serve,
    studio,
    verify,
    watch,
)
from mien.core.errors import InternalError, MienError

app = typer.Typer(
    name="mien",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Face recognition that says how sure it is. Every command explains itself with --help.",
)
app.command("demo")(demo.demo)
app.command("enrol")(enrol.enrol)
app.command("identify")(identify.identify)
app.command("verify")(verify.verify)
app.command("embed")(embed.embed)
app.command("watch")(watch.watch)
app.command("cluster")(cluster.cluster)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(gallery.app, name="gallery")
app.command("capacity")(capacity.capacity)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(studio.app, name="studio")
app.command("doctor")(doctor.doctor)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mien {version('mien')}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Show the version and end.",
        is_eager=True,
        callback=lambda value: _show_version(wanted=value),
    ),
) -> None:
    """Face recognition that says how sure it is. Every command explains itself with --help."""
    del version


def run() -> None:
    """Run the application; typed errors become three lines on stderr and an exit code."""
    try:
        app()
    except MienError as err:
        _show(err)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _show(err: MienError) -> None:
    sys.stderr.write(f"error: {err.what}\n  why:  {err.why}\n  mend: {err.mend}\n")
    if isinstance(err, InternalError):
        sys.stderr.write("  this is a bug of mien; please report it\n")
