"""Break one expression at a time and see whether a test notices: `make mutants`.

python tools/mutants.py [MODULE ...] [--processes 2]

For each module below, every comparison, operator, number, flag, condition, return, call for its effect and raise is
changed in turn, and the module's own tests run until the first failure. A change that no test notices survives. The
score is the share of changes that were noticed; those that change nothing that can be observed are listed, with the
reason, in equivalent_mutants.toml and are not counted.

The changed module lives in memory alone: a child process is forked for each change, after the large libraries were
imported, and an import hook gives it the changed source. No file is written, so a run that is stopped leaves nothing.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = {
    "evaluation/metrics.py": ("evaluation/test_metrics.py",),
    "evaluation/intervals.py": ("evaluation/test_intervals.py",),
    "core/wilson.py": ("evaluation/test_proportions.py",),
    "evaluation/proportions.py": ("evaluation/test_proportions.py",),
    "data/split.py": ("data/test_split.py",),
    "training/loss.py": ("training/test_loss.py",),
    "explanation/cam.py": ("explanation/test_cam.py", "explanation/test_token_grid.py", "explanation/test_attribution.py"),
    "bundle/decision.py": ("bundle/test_decision.py",),
}
PRELOADED = ("torch.export", "captum.attr", "hypothesis", "sklearn.metrics", "onnxruntime", "pytest")
LEAST_SCORE = 0.95
PATIENCE, LEAST_SECONDS = 10, 60  # a change that makes the tests so many times slower, and slower than that, is noticed

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        module: path below src/lesionlens.
        number: of the line.
        line: the line, without the space around it.
        before: source of the changed expression or statement.
        after: what it becomes.
    """

    module: str
    number: int
    line: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.module}:{self.number}: {self.before}  ->  {self.after}  in  {self.line}"


def replacements(node: ast.AST, field: str) -> Iterator[ast.AST]:
    """What a node may become, in that field of its parent."""
    if field == "test" and not isinstance(node, ast.Compare | ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                other = copy.deepcopy(node)
                other.ops[place] = SWAPPED[type(operator)]()
                yield other
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in SWAPPED:
            other = copy.deepcopy(node)
            other.op = SWAPPED[type(node.op)]()
            yield other
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(value * 2 if value else 1.0)
        case ast.comprehension(ifs=[_, *_]):
            other = copy.deepcopy(node)
            other.ifs = []
            yield other
        case ast.Return(value=ast.expr()) if ast.unparse(node) != "return None":
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.Continue():
            yield ast.Pass()


def sites(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every place that may change: the parent, its field, and the position if the field is a list."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "exc", "cause") or isinstance(node, ast.JoinedStr):
            continue  # types, and the texts of errors
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield node, name, place
                yield from sites(child)


def put(parent: ast.AST, name: str, place: int | None, node: ast.AST) -> None:
    """Set a field of a node, or one position of a field that is a list."""
    if place is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[place] = node


def changes(module: str) -> Iterator[tuple[Mutant, ast.Module]]:
    """Every mutant of a module with its tree; the tree is changed back before the next."""
    source = (SOURCE / "lesionlens" / module).read_text(encoding="utf-8")
    tree, lines = ast.parse(source), source.splitlines()
    for parent, name, place in list(sites(tree)):
        field = getattr(parent, name)
        node = field if place is None else field[place]
        for other in replacements(node, name):
            before, after = (" ".join(ast.unparse(each).split()) for each in (node, other))
            number = getattr(node, "lineno", None) or node.target.lineno  # a comprehension has none of its own
            put(parent, name, place, ast.copy_location(other, node))
            yield Mutant(module, number, lines[number - 1].strip(), before, after), ast.fix_missing_locations(tree)
            put(parent, name, place, node)


class ChangedModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module from a tree in memory instead of its file."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.path = SOURCE / "lesionlens" / module
        self.name = ".".join(self.path.relative_to(SOURCE).with_suffix("").parts)
        self.code = compile(tree, str(self.path), "exec")

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """The changed module's spec; None for every other name."""
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source in a new module."""
        exec(self.code, module.__dict__)


def run_tests(module: str, tree: ast.Module | None) -> int:
    """The exit code of the module's tests with the module changed; for a process of its own."""
    import pytest

    os.setsid()
    os.chdir(ROOT)
    if tree is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.meta_path.insert(0, ChangedModule(module, tree))
    tests = [f"tests/{name}" for name in MODULES[module]]
    return int(pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *tests]))


class Child:
    """A forked process that runs the tests of one module, changed or not."""

    def __init__(self, module: str, tree: ast.Module | None, seconds: float = float("inf")) -> None:
        self.deadline = time.monotonic() + seconds
        self.process = os.fork()
        if self.process == 0:
            code = 3
            try:
                code = run_tests(module, tree)
            finally:
                os._exit(code)

    def ended(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        if time.monotonic() > self.deadline:
            os.killpg(self.process, signal.SIGKILL)
        process, status = os.waitpid(self.process, os.WNOHANG)
        if process == 0:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)  # what the tests have started and left
        return os.waitstatus_to_exitcode(status)


def allowed_seconds(module: str) -> float:
    """How long the tests of a changed module may take, from how long they take without a change."""
    start = time.monotonic()
    unchanged = Child(module, None)
    while (code := unchanged.ended()) is None:
        time.sleep(0.02)
    if code:
        sys.exit(f"the tests of {module} end with {code} without any change; mend them first: {', '.join(MODULES[module])}")
    return max(LEAST_SECONDS, PATIENCE * (time.monotonic() - start))


def judged(module: str, processes: int) -> Iterator[tuple[Mutant, bool]]:
    """Every change of a module, and whether a test noticed it, as the children end."""
    seconds, queue, running = allowed_seconds(module), changes(module), dict[Child, Mutant]()
    while True:
        while len(running) < processes and (pair := next(queue, None)) is not None:
            running[Child(module, pair[1], seconds)] = pair[0]
        if not running:
            return
        for child in list(running):
            code = child.ended()
            if code is not None:
                yield running.pop(child), code != 0
        time.sleep(0.01)


def equivalents(modules: list[str]) -> set[tuple[str, ...]]:
    """The listed changes of some modules: module, line, before and after."""
    listed = tomllib.loads(Path(__file__).with_name("equivalent_mutants.toml").read_text(encoding="utf-8"))
    return {
        (module, entry["line"], entry["before"], entry["after"])
        for module in modules
        for entry in listed.get(module, [])
        if entry["reason"]
    }


def report(module: str, processes: int, listed: set[tuple[str, ...]], used: set[tuple[str, ...]]) -> tuple[int, int]:
    """Try the changes of one module and print what survives; how many were noticed, and of how many."""
    noticed = counted = 0
    start = time.monotonic()
    for mutant, is_noticed in judged(module, processes):
        key = (mutant.module, mutant.line, mutant.before, mutant.after)
        if not is_noticed and key in listed:
            used.add(key)
            continue
        if not is_noticed:
            print(f"  survives: {mutant}", flush=True)
        counted += 1
        noticed += is_noticed
    seconds = time.monotonic() - start
    print(f"{module}: {noticed} of {counted} changes noticed ({noticed / counted:.1%}) in {seconds:.0f} s", flush=True)
    return noticed, counted


def preload() -> None:
    """Import the large libraries once; of this project only the module that imports timm, which depends on no other."""
    for name in PRELOADED:
        importlib.import_module(name)
    importlib.import_module("lesionlens.models.operators").timm()


def main() -> None:
    """Print the survivors and the score; exit with 1 if it is too low or the list of equivalents is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all by default")
    parser.add_argument("--processes", type=int, default=2, help="tests run at one time (default: 2)")
    options = parser.parse_args()
    modules = options.modules or list(MODULES)
    if unknown := sorted(set(modules) - set(MODULES)):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(MODULES)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(SOURCE))
    preload()
    listed, used = equivalents(modules), set[tuple[str, ...]]()
    results = [report(module, options.processes, listed, used) for module in modules]
    noticed, counted = (sum(numbers) for numbers in zip(*results, strict=True))
    for module, line, before, after in sorted(listed - used):
        print(f"listed as equivalent, but noticed or gone: {module}: {before}  ->  {after}  in  {line}")
    print(f"mutation score: {noticed} of {counted} ({noticed / counted:.1%}), {len(used)} equivalent; at least {LEAST_SCORE:.0%}")
    sys.exit(noticed < LEAST_SCORE * counted or listed > used)


if __name__ == "__main__":
    main()
