"""What the command line imports, completes and reports, command by command."""

import os
import subprocess
import sys
from dataclasses import replace

import click
import pytest
from limits import HANG

import zoo
from zoo.backend import registry
from zoo.cli import completion, progress, terminal
from zoo.cli.program import COMMANDS, program
from zoo.data.published import PUBLISHED
from zoo.exporting.targets import TARGETS
from zoo.verification import tolerances
from zoo.verification.verify import LEVELS
from zoo.weights.reading import formats

HEAVY = {"numpy", "pydantic", "yaml", "rich", "torch", "paddle", "keras", "jax"}


def imported(*arguments, **environment):
    """Top-level modules that a command line has imported when it ends, and what it printed."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('MODULES', *{m.partition('.')[0] for m in sys.modules}))\n"
        f"sys.argv = {['zoo', *arguments]!r}\n"
        "from zoo.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "COLUMNS": "120", **environment},
    )
    printed, _, modules = done.stdout.partition("MODULES ")
    return set(modules.split()), printed


def completed(line):
    """What bash is offered for the last word of a line, and what was imported for it."""
    words = line.split(" ")
    modules, printed = imported(
        _ZOO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    return [each.partition(",")[2] for each in printed.splitlines()], modules


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], *([c, "-h"] for c in COMMANDS)])
def test_help_imports_next_to_nothing(arguments):
    modules, printed = imported(*arguments)
    assert printed
    assert not modules & HEAVY


def test_the_short_help_is_the_first_sentence_of_the_long_one():
    for name, (_, sentence) in COMMANDS.items():
        command = program.commands[name].loaded
        assert command.name == name
        assert " ".join(command.help.split()).startswith(sentence)


def test_an_option_is_the_same_in_all_commands():
    for name in COMMANDS:
        for option in program.commands[name].loaded.params:
            if "--output" in option.opts:
                assert "-o" in option.opts, name
            if "--num-classes" in option.opts:
                assert "0 for a network without one" in option.help, name


def test_every_option_has_help_and_every_argument_a_name():
    for name in COMMANDS:
        for parameter in program.commands[name].loaded.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"
                assert parameter.help.endswith("."), f"{name} {parameter.name}"
            else:
                assert parameter.metavar


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zoo summ", ["summary"]),
        ("zoo verify vgg16 --backends t", ["torch"]),
        ("zoo verify vgg16 --backends torch,k", ["torch,keras"]),
        ("zoo verify vgg16 --level g", ["gradients"]),
        ("zoo verify vgg16 --dtype ", ["float32", "float64"]),
        ("zoo predict a.jpg --backend f", ["flax"]),
        ("zoo source vgg16 --backend ", ["torch", "paddle", "keras", "flax"]),
        ("zoo predict a.jpg --weights torch", ["torchvision"]),
        ("zoo convert paddlec", ["paddleclas"]),
        ("zoo list --format m", ["markdown"]),
    ],
)
def test_words_are_completed_at_no_cost(line, expected):
    words, modules = completed(line)
    assert words == expected
    assert not modules & HEAVY


@pytest.mark.parametrize("before", ["summary", "draw", "diff vgg16", "verify", "list"])
def test_names_of_models_are_completed(before):
    words, modules = completed(f"zoo {before} vgg19")
    assert words == zoo.list_models("vgg19*")
    assert not modules & HEAVY


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zoo summary vgg11_", [*zoo.list_models("vgg11_*"), "vgg11_own.yaml", "vgg11_specs/"]),
        ("zoo summary vgg11_o", ["vgg11_own.yaml"]),
        ("zoo draw ./vgg11_specs/", ["./vgg11_specs/my.yml"]),
        ("zoo verify none/", ["none/"]),  # left to the shell
        ("zoo convert vgg11_", ["vgg11_w.safetensors", "vgg11_specs/"]),
        ("zoo predict a.jpg --weights ti", ["timm", "tiny.PTH"]),
        ("zoo predict a.jpg --weights tiny.p", []),
    ],
)
def test_files_are_completed(line, expected, tmp_path, monkeypatch):
    (tmp_path / "vgg11_specs").mkdir()
    files = (
        "vgg11_own.yaml",
        "vgg11_w.safetensors",
        "tiny.PTH",
        ".hidden.yaml",
        "vgg11_specs/my.yml",
    )
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    words, modules = completed(line)
    assert words == (expected or ["tiny.p"])
    assert not modules & HEAVY


def test_what_is_completed_is_all_there_is():
    assert set(completion.WEIGHTS) == set(formats.SUFFIXES)
    assert set(completion.backends("")) == set(registry.table())
    assert tuple(LEVELS) == completion.LEVELS
    assert tuple(tolerances.FORWARD) == completion.DTYPES
    assert tuple(PUBLISHED) == completion.DATASETS
    assert tuple(target.name for target in TARGETS) == completion.TARGETS


def test_a_list_reads_no_spec_and_builds_no_graph():
    modules, printed = imported("list", "vgg1*", "--format", "csv")
    assert printed.startswith("model,family,")
    assert not modules & HEAVY


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts_for_shells(shell):
    _, script = imported("--show-completion", shell)
    assert f"_ZOO_COMPLETE={shell}_complete" in script


def test_steps_are_lines_where_there_is_no_terminal(capsys):
    with progress.progress() as show:
        assert capsys.readouterr() == ("", "")
        for step in ("reading the spec", "PyTorch", "PyTorch", "comparing [every] node"):
            show(step)
    expected = "reading the spec\nPyTorch\ncomparing [every] node\n"
    assert capsys.readouterr() == ("", expected)


def test_a_usage_error_is_one_line(capsys, monkeypatch):
    @click.command()
    @click.argument("model", metavar="MODEL")
    def wanting(model):
        raise AssertionError

    monkeypatch.setattr(sys, "argv", ["zoo"])
    with pytest.raises(SystemExit) as end:
        terminal.run(wanting)
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: missing argument 'MODEL'. See 'zoo --help'\n"


def test_a_level_that_needs_two_backends_says_which_are_there(monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda entry: entry.name == "torch")
    for backends, found in (
        ("torch", "only torch was requested; name another one, too"),
        (["torch", "flax"], "of torch, flax, only torch is installed"),
    ):
        with pytest.raises(zoo.InputError, match=f"needs two; {found}"):
            zoo.verify("lenet5", backends=backends, level="full")


def test_a_level_that_needs_two_backends_says_which_take_no_part(monkeypatch):
    only_infers = replace(registry.table()["flax"], level="forward")
    monkeypatch.setattr(registry, "is_installed", lambda entry: True)
    monkeypatch.setitem(registry.table(), "flax", only_infers)
    with pytest.raises(zoo.InputError, match="flax takes no part in it, which leaves only torch"):
        zoo.verify("lenet5", backends=["torch", "flax"], level="gradients")


@pytest.mark.parametrize(
    ("redirection", "status", "message"),
    [
        (">&-", 2, "error: cannot write the output: Bad file descriptor\n"),
        ("2>&-", 0, ""),
        ("<&- >/dev/null", 0, ""),
        (">&- 2>&-", 2, ""),
        (">/dev/full", 2, "error: cannot write the output: No space left on device\n"),
        ("2>/dev/full >&-", 2, ""),
        (">/dev/full 2>/dev/full", 2, ""),
    ],
)
@pytest.mark.parametrize("command", ["list vgg11", "summary lenet5 --json", "--version"])
def test_streams_that_are_closed_or_full(command, redirection, status, message):
    line = f"{sys.executable} -m zoo {command} {redirection}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stderr) == (status, message)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_mistake_that_nobody_reads_has_its_status(redirection):
    line = f"{sys.executable} -m zoo summary vgg {redirection}"
    assert subprocess.run(["sh", "-c", line], timeout=HANG).returncode == 2


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path):
    line = f"{sys.executable} -m zoo draw lenet5 --output {tmp_path / 'x.svg'}"
    for redirection in ("", "<&- >&- 2>&-"):
        subprocess.run(["sh", "-c", f"{line} {redirection}"], timeout=HANG)
        assert (tmp_path / "x.svg").read_text().rstrip().endswith("</svg>")


INTERRUPTED_AT = """
import os, signal, sys
sys.argv = ["zoo", *sys.argv[2:]]
from zoo.cli.main import main
class Interrupting:
    left = {number}
    def find_spec(self, *_):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
main()
"""


@pytest.mark.parametrize("number", [1, 2, 5, 20, 60, 120])
def test_ctrl_c_during_imports_is_one_line(number):
    code = INTERRUPTED_AT.format(number=number)
    run = [sys.executable, "-c", code, "-", "summary", "vgg16"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_in_a_command_is_one_line():
    code = (
        "import os, signal, sys, zoo\n"
        "from zoo.cli.main import main\n"
        "zoo.summary = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['zoo', 'summary', 'vgg16']\n"
        "main()\n"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_during_an_import_leaves_no_folder(tmp_path):
    """Then the process exits at once, without the ends of its blocks."""
    (tmp_path / "interrupting.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    code = (
        "import sys, zoo\n"
        "from zoo.cli.main import main\n"
        "from zoo.files import replacing_all\n"
        "def summary(*_, **__):\n"
        "    with replacing_all('here') as part:\n"
        "        part.mkdir()\n"
        "        import interrupting\n"
        "zoo.summary, sys.argv = summary, ['zoo', 'summary', 'vgg16']\n"
        "sys.path.insert(0, '.')\n"
        "main()\n"
    )
    run = [sys.executable, "-B", "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, timeout=HANG, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["interrupting.py"]


def test_a_shells_background_job_is_not_interrupted():
    code = INTERRUPTED_AT.format(number=5)
    line = f"trap '' INT; exec {sys.executable} -c '{code}' - summary lenet5 --json"
    line = line.replace('["zoo"', '["zoo"')
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
