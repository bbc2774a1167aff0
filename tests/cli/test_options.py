"""Choices that commands list by hand, so that help is fast, are those of the modules that carry them out."""

from lesionlens.bundle.bundle import RUNTIMES
from lesionlens.cli import benchmark, explain, options, split
from lesionlens.cli.evaluate import Precision
from lesionlens.data.protocols import PROTOCOLS, SPLITS
from lesionlens.data.sources.source import SOURCES
from lesionlens.explanation.attribution import METHODS
from lesionlens.training.precision import DTYPES


def test_what_is_in_a_data_set():
    assert set(options.SplitName) == set(SPLITS)
    assert set(options.Layout) == {"auto", *SOURCES}
    assert set(split.PROTOCOLS) == set(PROTOCOLS)


def test_what_computes():
    assert set(options.Runtime) == {"auto", *RUNTIMES}
    assert set(benchmark.Runtimes) == {"all", *RUNTIMES}
    assert set(Precision) == {"auto", "fp32", *DTYPES}


def test_what_explains():
    assert set(explain.Method) == {"auto", *METHODS}
