"""Who imports what, what an import costs, and that documentation runs."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo import ops
from zoo.language import names

ROOT = Path(zoo.__file__).parent
FRAMEWORKS = {
    "torch": {"torch"},
    "paddle": {"paddle"},
    "keras": {"keras"},
    "flax": {"flax", "jax"},
}
ALL = {"torch", "paddle", "keras", "tensorflow", "flax", "jax", "torchvision"}


def imported(path: Path) -> set[str]:
    """Top-level modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_backend_imports_its_own_framework_and_nothing_else_any(path):
    folder = path.relative_to(ROOT).parts[0]
    allowed = FRAMEWORKS.get(folder, set())
    assert imported(path) & ALL <= allowed


def test_backends_have_the_same_files_and_the_same_functions():
    wanted = {path.name for path in (ROOT / "torch").glob("*.py")}
    for folder in FRAMEWORKS:
        have = {path.name for path in (ROOT / folder).glob("*.py")}
        assert wanted <= have
        assert exported("torch") <= exported(folder)
        for name in wanted - {"layers.py"}:  # each verb is in the file of the same name
            verbs = public_functions(ROOT / "torch" / name) & exported("torch")
            assert verbs <= public_functions(ROOT / folder / name), (folder, name)


def exported(folder: str) -> set[str]:
    for node in ast.parse((ROOT / folder / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"zoo/{folder}/__init__.py has no __all__")


def public_functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("op", ops.OPS)
@pytest.mark.parametrize("folder", FRAMEWORKS)
def test_every_operation_is_in_the_table_of_every_backend(folder, op):
    file = ROOT / folder / "layers.py"
    assert op in public_functions(file), f"{file} has no function {op}"
    assert op in table(file), f"LAYERS of {file} lacks {op}, so building it ends in a KeyError"


def table(path: Path) -> set[str]:
    """Names of the operations in a backend's table, without importing its framework."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.AnnAssign) and node.target.id == "LAYERS":
            (generator,) = node.value.generators
            return {name.id for name in generator.iter.elts}
    raise AssertionError(f"{path} has no table LAYERS")


def test_a_table_that_lacks_an_operation_is_noticed(tmp_path):
    text = (ROOT / "torch" / "layers.py").read_text()
    path = tmp_path / "layers.py"
    path.write_text(text.replace("        silu,\n", ""))
    assert table(ROOT / "torch" / "layers.py") - table(path) == {"silu"}


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_zoo_imports_no_framework_and_hardly_anything():
    code = "import sys, zoo; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    modules = set(python(code).split())
    assert not modules & {*ALL, "numpy", "pydantic", "yaml", "rich", "typer", "PIL"}


def test_the_spec_language_does_without_pydantic():
    code = "import sys, zoo.language.graphs; print(*(m for m in sys.modules if 'pydantic' in m))"
    assert python(code) == ""


def test_graphs_and_summaries_import_no_framework():
    code = (
        "import sys, zoo; print(zoo.graph('googlenet').summary()); zoo.list_backends();"
        f"assert not {ALL} & set(sys.modules), 'a framework was imported'"
    )
    assert "6,998,552" in python(code)


def test_import_leaves_the_environment_alone():
    python(
        "import os, sys; before = dict(os.environ), sys.getrecursionlimit(), list(sys.path)\n"
        "import zoo; zoo.graph('vgg16'); zoo.list_backends()\n"
        "assert (dict(os.environ), sys.getrecursionlimit(), list(sys.path)) == before"
    )


def test_unknown_attributes_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'biuld'"):
        _ = zoo.biuld
    assert set(zoo.__all__) <= set(dir(zoo))


FREE = [
    ".".join(("zoo", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    # The examples of the others need a framework; they run with the frameworks' tests.
    if path.relative_to(ROOT).parts[0] not in (*FRAMEWORKS, "__main__.py", "__init__.py", "api")
    and path.name != "storage.py"
    and path.parent.name != "testing"
]


@pytest.mark.parametrize("module", FREE)
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_reserved_names_are_refused():
    for name in ("to", "type", "float", "train", "forward", "state_dict", "class", "_x", "a.b"):
        assert names.problem_with(name)
    for name in ("conv1", "inception3a", "fc", "aux1", "stem"):
        assert names.problem_with(name) is None
