"""No spec needs much work: what would run for long is refused by name, by counted work."""

import subprocess
import sys

import pytest

import zoo
from zoo.language import document, expansion
from zoo.ops import expressions

FEW = ", ".join(["1"] * 40_000)
TOO_MANY = ", ".join(["1"] * 90_000)
SUMS = " + ".join(["sum($a)"] * 18)
RELU = "layers:\n  r: {op: relu}\n"
NESTED = f"[[{', '.join(['1.5'] * 20_000)}]]"


def lines(count, text):
    return "".join(text.format(i=i, next=i + 1) + "\n" for i in range(count))


def chain(count, change):
    models = lines(count, "  m{i}: {{base: m{next}, " + change + "}}")
    return f"models:\n{models}  m{count}: {{}}\n"


WORK = "too much work"
VALUES = "more than 50,000 values"
#: What is slow, the spec, why it is refused.
SLOW = {
    "a long list summed": (
        f"settings:\n  a: [{FEW}]\nlayers:\n  r: {{op: relu, repeat: 1000, when: {SUMS} > 0}}\n",
        WORK,
    ),
    "a list that is too long": (f"settings:\n  a: [{TOO_MANY}]\n{RELU}", VALUES),
    "many settings over many layers": (
        f"settings:\n{lines(45_000, '  s{i}: {i}')}"
        "blocks:\n  b: {layers: {r: {op: relu, repeat: 18}}}\nlayers:\n  r: {block: b, repeat: 500}\n",
        WORK,
    ),
    "many settings, repeated": (
        f"settings:\n{lines(9_000, '  s{i}: {i}')}layers:\n  r: {{op: relu, repeat: 1000}}\n",
        WORK,
    ),
    "many parameters": (
        f"blocks:\n  b:\n    parameters:\n{lines(45_000, '      p{i}: {i}')}"
        "    layers: {r: {op: relu}}\nlayers:\n  r: {block: b, repeat: 1000}\n",
        WORK,
    ),
    "many channels selected": (
        "layers:\n  c: {op: conv, out_channels: 8, kernel_size: 1}\n"
        f"  s: {{op: select, channels: [{FEW}], repeat: 1000}}\n",
        WORK,
    ),
    "many computed channels": (
        f"settings:\n  a: [{FEW}]\nlayers:\n  c: {{op: conv, out_channels: 8, kernel_size: 1}}\n"
        "  s: {op: select, channels: $a, repeat: 1000}\n",
        WORK,
    ),
    "slices": (
        f"settings:\n  a: [{FEW}]\nlayers:\n"
        "  r: {op: relu, repeat: 1000, when: 'len($a[:30000]) > 0 and len($a[1:]) > 0'}\n",
        WORK,
    ),
    "lists compared": (
        f"settings:\n  a: {NESTED}\n  b: {NESTED}\n"
        "layers:\n  r: {op: relu, repeat: 1000, when: $a == $b}\n",
        WORK,
    ),
    "texts compared": (
        f"settings: {{a: {'x' * 400_000}, b: {'x' * 400_000}}}\n"
        "layers:\n  r: {op: relu, repeat: 1000, when: $a == $b}\n",
        WORK,
    ),
    "expressions": (
        "blocks:\n  b: {parameters: {i: 0}, layers: {r: {op: relu, repeat: 18, when: '$num_classes + "
        + "+".join(["1"] * 70)
        + " > 0'}}}\nlayers:\n  r: {block: b, repeat: 1000, i: $index}\n",
        WORK,
    ),
    "layers repeated no times": (
        f"blocks:\n  b:\n    parameters: {{i: 0}}\n    layers:\n"
        f"{lines(9_000, '      r{i}: {{op: relu, repeat: 0}}')}"
        "layers:\n  r: {block: b, repeat: 1000, i: $index}\n",
        WORK,
    ),
    "layers": (f"layers:\n{lines(20_000, '  r{i}: {{op: relu}}')}", "more than 10,000 layers"),
    "long names": (
        f"layers:\n  ? {'x' * 900_000}\n  : {{op: relu, repeat: 1000}}\n",
        "a name of more than 200 characters|too much work",
    ),
    "a long key in many places": (
        f"settings:\n  x: &k {'x' * 500_000}\n"
        f"blocks:\n{lines(5000, '  b{i}: {{parameters: {{? *k : 1}}, layers: {{}}}}')}{RELU}",
        "more than 2,000,000 characters after alias expansion",
    ),
    "models based on models": (chain(9_000, "about: x") + RELU, "a chain of more than 32 bases"),
    "layers inserted": (
        f"models:\n  m:\n    layers:\n{lines(5_000, '      q{i}: {{op: relu, after: r1}}')}"
        f"layers:\n{lines(9_000, '  r{i}: {{op: relu}}')}",
        WORK,
    ),
    "empty lists": (f"settings:\n  a: [{'[],' * 300_000} 1]\n{RELU}", VALUES),
    "dashes": ("settings:\n  a:\n" + "  - \n" * 190_000 + RELU, VALUES),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_spec_is_refused_by_name(tmp_path, kind):
    text, reason = SLOW[kind]
    path = tmp_path / "slow.yaml"
    path.write_text("format: 1\nname: slow\n" + text)
    assert path.stat().st_size <= document.MAX_BYTES
    with pytest.raises(zoo.SpecError, match=rf"slow\.yaml:\d+: .*({reason})") as refusal:
        zoo.graph(path)
    assert len(str(refusal.value)) <= 1_000


# A bound against hanging, not a timing: on an idle machine each takes under 2 seconds.
SECONDS, MEGABYTES = 10, 300
MEASURED = """
import resource, sys, time
import zoo
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
zoo.graph("vgg16")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        zoo.graph(path)
    except zoo.ZooError:
        pass
    print(path, time.process_time() - start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_the_slowest_specs_end_within_bounds_of_time_and_memory(tmp_path):
    slowest = ("many settings over many layers", "many parameters", "layers", "layers inserted")
    specs = [SLOW[kind][0] for kind in slowest]
    specs += [
        f"layers:\n{lines(9_900, '  r{i}: {{op: conv, out_channels: 1, kernel_size: 1}}')}",
        f"layers:\n{lines(9_900, '  r{i}: {{op: batch_norm}}')}",
        f"outputs:\n{lines(9_000, '  o{i}: {{from: r{i}}}')}"
        f"layers:\n{lines(9_000, '  r{i}: {{op: relu, from: input}}')}",
        f"settings:\n{lines(24_000, '  s{i}: {i} + $num_classes')}{RELU}",
        "tables:\n  t:\n    columns: [" + lines(20_000, "      c{i},") + "      ]\n    rows: {r: "
        f"[{'1, ' * 20_000}]}}\nblocks: {{b: {{layers: {{r: {{op: relu}}}}}}}}\n"
        "layers:\n  r: {block: b, table: t}\n",
    ]
    for i, text in enumerate(specs):
        (tmp_path / f"{i}.yaml").write_text("format: 1\nname: slow\n" + text)
    paths = [str(tmp_path / f"{i}.yaml") for i in range(len(specs))]
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *paths], capture_output=True, text=True, check=True
    )
    *times, memory = run.stdout.splitlines()
    assert len(times) == len(specs)
    slow = [line for line in times if float(line.split()[1]) > SECONDS]
    assert not slow
    assert int(memory) / 1024 < MEGABYTES


def test_the_largest_shipped_model_uses_less_than_a_fifth_of_the_budget(monkeypatch):
    budgets = []

    class Counting(expressions.Budget):
        def __init__(self):
            super().__init__()
            budgets.append(self)

    monkeypatch.setattr(expansion, "Budget", Counting)
    from zoo.language import catalog
    from zoo.language.options import Chosen

    graph = expansion.expand(*catalog.load("efficientnet_v2_l"), Chosen())
    assert len(graph.nodes) == 1_092  # the most of all
    (budget,) = budgets
    assert expressions.MAX_WORK - budget.left < expressions.MAX_WORK / 5
    assert len(graph.nodes) < expansion.MAX_LAYERS / 5


def test_releases_are_what_nothing_reads_any_more(spec_file):
    graph = zoo.graph(spec_file("a: {op: relu}\nb: {op: relu}\nc: {op: add, from: [a, b]}"))
    assert [step.releases for step in graph.root.steps] == [("input",), (), ("a", "b")]


def test_a_parameter_reads_those_before_it(spec_file):
    header = "blocks:\n  b:\n    parameters: {x: 3, y: $x + $input.channels}\n"
    header += "    layers: {c: {op: conv, out_channels: $y, kernel_size: 1}}\n"
    assert zoo.graph(spec_file("b: {block: b}", header=header)).node("b").shape[0] == 6


def test_a_suggestion_over_thousands_of_long_names_is_bounded(monkeypatch):
    import difflib

    from zoo import errors

    compared = []
    real = difflib.get_close_matches

    def counting(word, words, **options):
        compared.append(len(words))
        return real(word, words, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    names = [f"{'layer' * 10}{i:05}" for i in range(20_000)]
    assert errors.suggestion("layer" * 10 + "0000x", names)
    assert errors.suggestion("x" * 5_000, names) == ""
    assert max(compared) <= errors.MAX_COMPARED


def test_files_that_need_files_are_few(tmp_path):
    for i in range(12):
        text = f"format: 1\nname: f{i}\nblocks_from: f{i + 1}\n{RELU}"
        (tmp_path / f"f{i}.yaml").write_text(text)
    with pytest.raises(zoo.SpecError, match=r"f\d\.yaml:3: \$\.blocks_from: a chain of more than"):
        zoo.graph(tmp_path / "f0.yaml")
