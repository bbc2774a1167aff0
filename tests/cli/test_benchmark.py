"""The command `benchmark`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.benchmark import benchmark
from lesionlens.core.errors import RecipeError

app = typer.Typer()
app.command()(benchmark)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_one_table(small_bundle):
    options = ("--runtime", "onnxruntime", "--batch", "1,2", "--threads", 1, "--rounds", 1)
    result = json.loads(call(small_bundle, *options, "--json"))
    assert [row["variant"] for row in result["rows"]] == ["fp32"]
    assert (result["threads"], result["rounds"], result["left_out"]) == (1, 1, [])
    assert "fp32* onnxruntime" in call(small_bundle, *options)


@pytest.mark.parametrize("batch", ["", "1,x", "0", "1.5"])
def test_bad_batches(small_bundle, batch):
    with pytest.raises(RecipeError, match="batch"):
        call(small_bundle, "--batch", batch)
