"""A PostgreSQL cluster of its own in a temporary folder, on a Unix socket, for benchmarks and tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACES = "/usr/lib/postgresql/*/bin/initdb"  # Debian does not link it into the path
USER = "postgres"  # PostgreSQL does not run as root
START_SECONDS = 60


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL server on this machine; None if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/").glob(PLACES.lstrip("/")), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


class Cluster:
    """Databases that are gone afterwards; trusted by all who reach the socket, which only this user and `postgres` do.

    Args:
        durable: wait for the disk, as PostgreSQL does by itself; tests that end no machine need not.
        settings: further ones, as for `postgres -c`.

    Raises:
        RuntimeError: if there is no PostgreSQL, or it does not start.
    """

    def __init__(self, durable: bool = True, settings: tuple[str, ...] = ()) -> None:
        folder = binaries()
        if folder is None:
            raise RuntimeError("no initdb of PostgreSQL; on Debian: apt-get install postgresql")
        self._binaries = folder
        self.folder = Path(tempfile.mkdtemp(prefix="ll-pg-"))  # short, because the path of a socket is
        self._count, self._emptied = 0, ""
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", USER, "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync", "-k")
        own = (f"unix_socket_directories={self.folder}", "listen_addresses=", "max_connections=200", *settings)
        own = own if durable else (*own, "fsync=off", "full_page_writes=off")
        (data / "postgresql.auto.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in _pairs(own)))
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = self.folder / "log"
        self._run("pg_ctl", "start", "-D", str(self.folder / "data"), "-l", str(log), "-w", "-t", str(START_SECONDS), "-s")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` ends it without a word, as a crash does."""
        self._run("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", mode, "-w", "-s")

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._count += 1
        name = f"record{self._count}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def emptied_database(self) -> str:
        """The URL of one database, which every call empties; quicker than a new one."""
        if not self._emptied:
            self._emptied = self.database()
        name = self._emptied.partition("@/")[2].partition("?")[0]
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        self.sql("DROP SCHEMA IF EXISTS lesionlens CASCADE", name)
        return self._emptied

    def sql(self, text: str, database: str = "postgres") -> str:
        """Execute SQL with psql."""
        return self._run("psql", "-h", str(self.folder), "-U", USER, "-d", database, "-qAtc", text)

    def remove(self) -> None:
        """Stop it, and delete all of it."""
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> str:
        as_user = {}
        if os.geteuid() == 0 and sys.platform != "win32":
            entry = pwd.getpwnam(USER)
            as_user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        command = [str(self._binaries / program), *arguments]
        with tempfile.TemporaryFile("w+") as said:  # no pipe: the server that pg_ctl starts would hold it open
            done = subprocess.run(command, cwd="/", stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **as_user)
            said.seek(0)
            text = said.read()
        if done.returncode:
            raise RuntimeError(f"{program} failed: {text.strip()}")
        return text.strip()


def _pairs(settings: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (setting.partition("=") for setting in settings)]
