"""A real PostgreSQL with pgvector, from the wheel `pgserver`, in a short folder of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Server:
    """One server on a Unix socket; can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        import pgserver

        data = folder / "d"
        data.mkdir()
        self._server = pgserver.get_server(data, cleanup_mode="delete")
        self.address = f"postgresql://postgres@/postgres?host={self._server.pgdata}"

    def run(self, *statements: str, database: str = "postgres") -> list[tuple]:
        """Run statements; returns the rows of the last one."""
        import psycopg

        address = self.address.replace("/postgres?", f"/{database}?")
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        from pgserver import postgres_server

        words = ["-w", "-m", "fast", "stop"]
        server = self._server
        postgres_server.pg_ctl(words, pgdata=server.pgdata, user=server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server with the extension ``vector`` in its database ``postgres``."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # sockets have short paths
    runtime = folder / "r"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # pgserver keeps a lock there
    try:
        server = Server(folder)
        try:
            server.run("CREATE EXTENSION vector")
            yield server
        finally:
            try:
                server.end()
            except subprocess.CalledProcessError:
                server.start()
                server.end()
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
