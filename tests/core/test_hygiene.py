"""Who imports what, what an import costs, and that documentation runs."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.graphs import names

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
    if folder == "keras" and path.stem in (
        "devices",
        "programs",
        "trainer",
        "workloads",
        "_private",
    ):
        allowed = {*allowed, "tensorflow"}  # which runs what Keras exports, and its steps
    assert imported(path) & ALL <= allowed


FILES = {
    *(
        "__init__",
        "_private",
        "backend",
        "devices",
        "files",
        "model",
        "modules",
        "operations",
        "parameters",
    ),
    *("optimizers", "programs", "run", "train", "trainer", "workloads"),
}


@pytest.mark.parametrize("folder", FRAMEWORKS)
def test_backends_have_the_same_files(folder):
    have = {path.stem for path in (ROOT / folder).glob("*.py")}
    assert have >= FILES
    extra = {"paddle": {"_loading"}, "flax": {"grouped", "observe", "steps"}}
    assert have - FILES == extra.get(folder, set())


@pytest.mark.parametrize("folder", FRAMEWORKS)
def test_a_description_imports_no_framework(folder):
    assert not imported(ROOT / folder / "__init__.py") & ALL
    assert registry.resolve(folder).name == folder


def registered(path: Path) -> set[str]:
    """Operations that a file registers: by keyword in the table, and by decorated functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Operations":
            found |= {keyword.arg for keyword in node.keywords if keyword.arg}
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            found.add(node.name)
        if isinstance(node, ast.For):  # Keras' activations, by their own names
            found |= {constant.value for constant in node.iter.elts}
    return found


@pytest.mark.parametrize("folder", FRAMEWORKS)
def test_every_operation_is_registered_in_every_backend(folder):
    names = registered(ROOT / folder / "operations.py")
    missing, unknown = sorted(set(ops.OPS) - names), sorted(names - set(ops.OPS))
    assert not missing, f"zoo/{folder}/operations.py lacks {missing}"
    assert not unknown, f"zoo/{folder}/operations.py has unknown {unknown}"


def test_a_table_that_lacks_an_operation_is_noticed(tmp_path):
    text = (ROOT / "torch" / "operations.py").read_text()
    path = tmp_path / "operations.py"
    path.write_text(text.replace('    silu="torch.nn.SiLU",\n', ""))
    assert registered(ROOT / "torch" / "operations.py") - registered(path) == {"silu"}


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_zoo_imports_no_framework_and_hardly_anything():
    code = "import sys, zoo; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    modules = set(python(code).split())
    assert not modules & {*ALL, "numpy", "pydantic", "yaml", "rich", "click", "PIL"}


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
    and path.name not in ("storage.py", "verify.py")
    and path.relative_to(ROOT).as_posix()
    not in (
        *("exporting/export.py", "training/train.py", "training/tensorboard.py"),
        *("views/benchmark/bench.py", "views/curves/draw.py", "views/study/compare.py"),
    )
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


def test_a_suggestion_ends_the_sentence_before_it():
    """It begins with a period, which a message without one must not have."""
    for path in ROOT.rglob("*.py"):
        twice = re.search(r"\.\{(?:hint\b|suggestion\()", path.read_text("utf-8"))
        assert twice is None, f"{path}: {twice[0]}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/README.md"])
def test_links_between_files_lead_somewhere(page):
    """The build of the site checks the links of its pages; README.md is not one of them."""
    path = ROOT.parent / page
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
    assert not [x for x in links if "://" not in x and not (path.parent / x).exists()]
