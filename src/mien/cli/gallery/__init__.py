"""``mien gallery``: look at a gallery, change it, guard it, move it."""

import typer

from mien.cli.gallery import delete, guard, look, move, people

app = typer.Typer(no_args_is_help=True, help="Look at a gallery, change it, guard it, move it.")
app.command("list")(look.list_people)
app.command("show")(look.show)
app.command("history")(look.history)
app.command("verify")(look.verify)
app.command("rename")(people.rename)
app.command("merge")(people.merge)
app.command("split")(people.split)
app.command("separate")(people.separate)
app.command("amend")(people.amend)
app.command("undo")(people.undo)
app.command("delete")(delete.delete)
app.command("expire")(delete.expire)
app.command("receipt")(delete.receipt)
app.command("export")(move.export)
app.command("import")(move.import_)
app.command("reembed")(move.reembed)
app.command("strict")(guard.strict)
app.command("rotate-key")(guard.rotate_key)
app.command("attach")(guard.attach)
app.command("detach")(guard.detach)
app.add_typer(guard.key_app, name="key")
