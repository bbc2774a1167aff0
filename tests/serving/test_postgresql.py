"""What only the record in PostgreSQL does; the tests of the log itself run with both records."""

import json
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from tests.serving.test_prediction_log import entry
from typer.testing import CliRunner

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from lesionlens.cli.main import app
from lesionlens.core.errors import ArtifactError, RecipeError, StorageError
from lesionlens.serving import postgresql as module
from lesionlens.serving import schema_sql
from lesionlens.serving.database_url import read_database_url
from lesionlens.serving.history import Filter, History
from lesionlens.serving.idempotency import check_key, insert_key
from lesionlens.serving.prediction_log import PredictionLog, insert_prediction, reach
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import open_record, store_of
from lesionlens.serving.settings import ServingSettings


@pytest.fixture
def url(postgresql):
    return read_database_url(postgresql.emptied_database())


@pytest.fixture
def log(url):
    log = PredictionLog(url)
    yield log
    log.close()


def name_of(url):
    return url.full.partition("@/")[2].partition("?")[0]


def value(log, sql):
    return log.submit(lambda connection: connection.execute(sql).fetchone()[0]).result()


@pytest.mark.slow
def test_a_commit_waits_for_the_disk_whatever_the_default_is(postgresql, url):
    database = name_of(url)
    for default, used in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        postgresql.sql(f"ALTER DATABASE {database} SET synchronous_commit = {default}")
        with closing(PredictionLog(url)) as log:
            assert value(log, "SHOW synchronous_commit") == used
            assert any("synchronous_commit" in note for note in log.store.notes()) == (used == "on")
            assert any("fsync = off" in note for note in log.store.notes())  # of the cluster of these tests
    postgresql.sql(f"ALTER DATABASE {database} RESET synchronous_commit")


@pytest.mark.slow
def test_texts_are_compared_by_their_bytes(postgresql):
    """As SQLite does, whatever the order of the database is; in English order, this is `_aB`."""
    postgresql.sql("DROP DATABASE IF EXISTS english")
    postgresql.sql("CREATE DATABASE english LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0")
    url = read_database_url(f"postgresql://postgres@/english?host={postgresql.folder}")
    with closing(PredictionLog(url)) as log:
        for at, name in enumerate("aB_"):
            log.submit(partial(insert_prediction, entry=entry(at, file_name=name))).result()
        assert value(log, "SELECT string_agg(file_name, '' ORDER BY file_name) FROM answers") == "B_a"
        order = "SELECT string_agg(file_name, '' ORDER BY file_name COLLATE \"en-US-x-icu\") FROM answers"
        assert value(log, order) == "_aB"


def test_a_search_that_takes_too_long_is_ended(url, log, monkeypatch):
    monkeypatch.setattr("lesionlens.serving.history.SEARCH_SECONDS", 0.05)
    with closing(History(url)) as history:
        with pytest.raises(Problem) as found, history.reading() as connection:
            connection.execute("SELECT pg_sleep(20)")
        assert found.value.code == "search_too_slow"
        assert history.page(Filter(), 10) == []


def test_readers_cannot_write(url, log):
    with closing(open_record(url, read_only=True)) as connection, pytest.raises(module.psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM answers")


def test_an_operation_that_is_refused_fails_alone(log):
    begun, go = threading.Event(), threading.Event()
    log.submit(lambda connection: (begun.set(), go.wait(10)))
    assert begun.wait(10)
    first, second = entry(1), entry(2)
    futures = [log.submit(lambda connection, one=one: insert_prediction(connection, one)) for one in (first, first, second)]
    go.set()
    assert [type(future.exception()) for future in futures] == [type(None), module.psycopg.errors.UniqueViolation, type(None)]
    assert value(log, "SELECT count(*) FROM answers") == 2
    assert (log.failure, log.damaged) == ("", False)


def test_a_connection_that_was_ended_is_opened_again(postgresql, url, log):
    log.submit(reach).result()  # the first write opens it
    with closing(History(url)) as history:
        assert history.page(Filter(), 10) == []
        postgresql.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'")
        log.submit(lambda connection: insert_prediction(connection, entry())).result()
        assert len(history.page(Filter(), 10)) == 1


def test_one_server_writes_at_a_time(url, log):
    """What an operation has read is still true when it commits."""
    with closing(PredictionLog(url)) as other:
        begun, go = threading.Event(), threading.Event()
        one = entry()

        def slow(connection):
            check_key(connection, "h")
            insert_prediction(connection, one)
            begun.set()
            go.wait(10)
            insert_key(connection, "h", 0, one.id)

        first = log.submit(slow)
        assert begun.wait(10)
        second = other.submit(lambda connection: check_key(connection, "h"))
        with pytest.raises(TimeoutError):
            second.result(0.3)
        go.set()
        first.result()
        with pytest.raises(Problem) as found:
            second.result(10)
        assert found.value.code == "idempotency_key_in_use"


def test_there_is_no_log_before_a_server_made_one(url):
    with pytest.raises(ArtifactError, match="there is no prediction log postgresql://postgres@/record"):
        open_record(url, read_only=True)


def test_another_version_is_told(postgresql, url):
    PredictionLog(url).close()
    postgresql.sql("UPDATE lesionlens.record SET version = 7", name_of(url))
    for use in (PredictionLog, open_record):
        with pytest.raises(ArtifactError, match="version 7; this lesionlens writes version 2"):
            use(url)


def test_a_log_of_an_earlier_version_is_brought_to_this_one(url, postgresql, monkeypatch):
    PredictionLog(url).close()
    monkeypatch.setattr(module, "VERSION", 3)
    monkeypatch.setattr(schema_sql, "STEPS", (*schema_sql.STEPS, schema_sql.Step("CREATE TABLE third (a BLOB)")))
    for _ in range(2):
        PredictionLog(url).close()
    found = postgresql.sql("SELECT version, to_regclass('lesionlens.third') FROM lesionlens.record", name_of(url))
    assert found == "3|lesionlens.third"


def test_a_schema_of_others_is_left_alone(postgresql, url):
    postgresql.sql("CREATE SCHEMA lesionlens; CREATE TABLE lesionlens.patients (name text)", name_of(url))
    with pytest.raises(ArtifactError, match="a database of its own"):
        PredictionLog(url)
    assert postgresql.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'lesionlens'", name_of(url)) == "patients"


def test_another_encoding_is_refused(postgresql):
    postgresql.sql("DROP DATABASE IF EXISTS ascii")
    postgresql.sql("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    url = read_database_url(f"postgresql://postgres@/ascii?host={postgresql.folder}")
    with pytest.raises(ArtifactError, match="SQL_ASCII; it must be UTF8"):
        PredictionLog(url)


def test_what_cannot_be_reached_is_one_line_without_the_password(postgresql):
    for address in (f"localhost:1/none?host={postgresql.folder}", "127.0.0.1:1/none", f"/none?host={postgresql.folder}"):
        url = read_database_url(f"postgresql://postgres:pa55wort@{address}")
        with pytest.raises(StorageError, match="see that PostgreSQL runs") as found:
            PredictionLog(url)
        assert "pa55wort" not in str(found.value)
        assert "\n" not in str(found.value)


@pytest.mark.slow
def test_deleted_content_is_not_in_the_files_after_retention(postgresql, url, log):
    secret = "Zwetschkenknoedel"
    log.submit(lambda connection: insert_prediction(connection, entry(file_name=secret))).result()

    def is_on_disk():
        postgresql.sql("CHECKPOINT", name_of(url))
        base = postgresql.folder / "data" / "base"
        return any(secret.encode() in path.read_bytes() for path in base.rglob("*") if path.is_file())

    assert is_on_disk()
    done = CliRunner().invoke(app, ["record", "retain", "--days", "1", "--json", "--record", url.full])
    assert json.loads(done.stdout)["predictions"] == 1
    assert not is_on_disk()


def test_backup_is_postgresqls_own(url, tmp_path):
    done = CliRunner().invoke(app, ["record", "backup", "--record", url.full, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, RecipeError)
    assert f"pg_dump -Fc -f {tmp_path / 'out'} postgresql://postgres@/" in str(done.exception)


def test_kept_images_need_a_folder(url, tmp_path):
    with pytest.raises(RecipeError, match="--image-folder"):
        ServingSettings(tmp_path, url, keep_images=True)
    assert ServingSettings(tmp_path, url, keep_images=True, image_folder=Path("images")).image_folder == Path("images")


def test_without_psycopg_the_extra_is_named(url, monkeypatch):
    monkeypatch.setattr("lesionlens.serving.record.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"pip install 'lesionlens\[postgres\]'"):
        store_of(url)
