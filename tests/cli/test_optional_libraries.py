"""The commands can be listed without the extras: none of their libraries is imported before it is needed."""

import subprocess
import sys

LIBRARIES = ("fastapi", "starlette", "uvicorn", "psycopg", "pydicom", "highdicom", "pynetdicom", "fhir", "torch", "timm", "ray")


def test_no_command_needs_an_extra_before_it_runs():
    block = f"import sys; sys.modules.update(dict.fromkeys({LIBRARIES!r}))"
    code = f"{block}; from lesionlens.cli.main import app; import typer; print(len(typer.main.get_command(app).commands))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25
