"""Whatever a spec holds, it ends in a graph or in a ZooError of one short, printable line."""

import copy
import random
from pathlib import Path

import pytest

import zoo
from zoo.errors import MAX_MESSAGE, ZooError
from zoo.language import catalog, document, expansion, inheritance, model_tables, validation
from zoo.language.options import Chosen

FILES = ("googlenet", "mobilenet_v3", "resnet_cifar", "vgg", "shufflenet_v2", "densenet")
VALUES = (
    None, True, False, 0, 1, -1, 7, 2**62, 0.5, -0.0, 1e308, "", "x", "$", "$x", "$aux", "$width +",
    "$a[0]", "x" * 5_000, "\x1b[31mred\x07", "\u202eabc", "line\nline", "a\tb", [], [[]], [None],
    [1, "x", {}], ["r"] * 60, {}, {"x": 1}, {"op": "relu"}, {"op": []}, {"op": {}}, {"layers": {}},
    {"block": 3}, {"block": "$x", "table": []}, {"layers": {"r": None}}, {"<<": {"a": 1}},
)  # fmt: skip
KEYS = (
    "op", "block", "blocks", "layers", "from", "when", "repeat", "after", "published", "table",
    "models", "base", "settings", "extends", "blocks_from", "format", "name", "classes", "notes",
    "outputs", "tables", "columns", "rows", "options.input_size", "settings.w", "parameters", "input", "lambda", "__class__", "1", "",
    "<<", "x" * 2_000, "\x1b[2J", "a b", "\u202e", "é", "bases", "weight", "input_size",
)  # fmt: skip


def places(value, place=()):
    """Every place in nested data, the whole first."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        yield from places(item, (*place, key)) if isinstance(item, dict | list) else [(*place, key)]


def get(value, place):
    for key in place:
        value = value[key]
    return value


def damage(data, draw):
    """Change plain data in one of the ways in which files are wrong."""
    everywhere = [place for place in places(data) if place]
    # Every level alike: most places are deep.
    depth = draw.choice(sorted({len(place) for place in everywhere}))
    place = draw.choice([each for each in everywhere if len(each) == depth])
    holder, key = get(data, place[:-1]), place[-1]
    value = holder[key]
    kind = draw.choice(("value", "key", "delete", "move", "copy", "add", "rename", "wrap"))
    if kind == "value":
        holder[key] = copy.deepcopy(draw.choice(VALUES))
    elif kind == "delete":
        del holder[key]
    elif kind == "wrap":
        holder[key] = draw.choice(([value], {draw.choice(KEYS): value}))
    elif kind in ("move", "copy", "add"):
        inside = [p for p in places(data) if p[: len(place)] != place]
        target = get(data, draw.choice(inside))
        new = copy.deepcopy(draw.choice(VALUES) if kind == "add" else value)
        if kind == "move":
            del holder[key]
        if isinstance(target, dict):
            target[draw.choice((*KEYS, str(key)))] = new
        elif isinstance(target, list):
            target.append(new)
    elif isinstance(holder, dict):
        new = draw.choice(KEYS if kind == "key" else [str(k) + "x" for k in holder])
        items = [(new if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(items)


def text_of(data):
    """Write plain data as YAML, keys of any length and controls included."""
    import json

    if isinstance(data, dict):
        entries = [f"? {json.dumps(key)}\n: {text_of(item)}\n" for key, item in data.items()]
        return "{" + ", ".join(entries) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(text_of, data)) + "]"
    return json.dumps(data)


def check(make):
    """Run what may fail; return what was refused, or an empty text."""
    try:
        make()
    except ZooError as refusal:
        message = str(refusal)
        assert 0 < len(message) <= MAX_MESSAGE
        assert message.isprintable()
        return message
    return ""


def expand(text):
    content = document.parse(text, "fuzz.yaml")
    if "extends" in content:
        validation.validate_extension(content)
        model_tables.with_rows(content, ())
        return
    validation.validate(content)
    content = model_tables.with_rows(content, content.get("settings", ()))
    spec = validation.validate(content)
    if spec.blocks_from is not None:
        return
    for model in [*list(spec.models)[:2], *list(spec.models)[-1:]] or [spec.name]:
        expansion.expand(model, *inheritance.resolve(content, model), Chosen())


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def shipped(file):
    """A shipped spec as plain data, of few models, so that each case is quick."""
    content = plain(catalog._read(catalog.folder() / f"{file}.yaml"))
    content["models"] = dict(list(content.get("models", {}).items())[:4])
    return content


SMALL = """
{format: 1, name: small, about: x, settings: {w: 8, d: [1, 2]}, classes: [a, b],
options: {num_classes: 2, input_size: [8, 8]}, published: {params: 1M, notes: {params: why}},
initializers: {weight: {std: 0.1}, bias: 0.1}, preprocessing: {crop: 0.5, mean: [0, 0, 0]},
tables: {t: {columns: [c, output], published: [output], rows: {b1: [4, 8x8x4], b2: [4, 8x8]}}},
blocks: {b: {about: y, parameters: {c: ~, k: 1}, layers: {
  conv: {op: conv, out_channels: $c, kernel_size: $k, padding: same}, relu: {op: relu}}}},
layers: {b: {block: b, table: t, repeat: 2, k: '$index + 1'},
  g: {layers: {x: {op: relu}, y: {op: relu, from: input}, j: {op: add, from: [x, y]}}},
  s: {op: select, channels: [0, 1], when: $w > 1}, p: {op: global_avg_pool}, f: {op: flatten},
  l: {op: linear, out_features: $num_classes}, h: {op: relu, when: $aux, from: s}},
outputs: {logits: {from: l}, aux: {from: h, loss_weight: 0.3}},
models: {one: {about: z}, two: {base: one, settings: {w: 9}, options: {num_classes: 3},
  classes: ~, published: {depth: 3}, tables: {t: {rows: {b1: [8, 8x8]}}}, blocks: {b: {layers: {
  relu: {op: silu}}}}, layers: {q: {op: relu, after: g}, g: {layers: {x: {when: false}}},
  p: {published: {output: 1x1}}}, outputs: {aux: {loss_weight: 1}}, initializers: {bias: 1},
  preprocessing: {crop: 1}}, m: {about: x, settings: {w: 7}, columns: [d, base, options.num_classes,
  published.params], rows: {three: [[3], two, 3, 1K], four: [~, ~, 2, ~]}}}}
"""


#: One at every change, more at night.
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed else []) for seed in range(16)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_spec_is_read_or_refused(seed):
    draw = random.Random(seed)
    small = plain(document.parse(SMALL))
    assert check(lambda: expand(text_of(small))) == ""
    large = shipped(FILES[seed % len(FILES)])
    refused = 0
    for number in range(250):
        data = copy.deepcopy(large if number % 25 == 0 else small)
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            damage(data, draw)
            if not data:
                break
        text = text_of(data)
        try:
            refused += bool(check(lambda text=text: expand(text)))
        except Exception as wrong:  # what check() lets through is the fault looked for
            raise AssertionError(f"{type(wrong).__name__}: {wrong} of {text[:3_000]}") from wrong
    assert 50 < refused < 250  # the changes are neither nothing nor all alike


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("value", VALUES)
def test_every_value_at_every_place(value, every):
    """A ninth of the places for each value, and others for the next one; all of them at night."""
    small = plain(document.parse(SMALL))
    for place in list(places(small))[VALUES.index(value) % every :: every]:
        if place:
            data = copy.deepcopy(small)
            get(data, place[:-1])[place[-1]] = copy.deepcopy(value)
            try:
                check(lambda data=data: expand(text_of(data)))
            except Exception as wrong:  # what check() lets through is the fault looked for
                raise AssertionError(f"{type(wrong).__name__}: {wrong} at {place}") from wrong


@pytest.mark.parametrize("seed", range(4))
def test_damaged_yaml_is_read_or_refused(seed):
    draw = random.Random(seed)
    text = SMALL if seed % 2 else Path(catalog.folder() / "vgg.yaml").read_text()
    for _ in range(60):
        start = draw.randrange(len(text))
        end = start + draw.choice((0, 1, 5, 40))
        insert = draw.choice(
            [
                "",
                "\t",
                "\x00",
                "\x1b",
                "\ud800",
                "\ufeff",
                "&a ",
                "*a",
                "? ",
                "!!map ",
                "%",
                "---\n",
                "\r", "\u2028", "[" * 60, "{" * 60, "'", '"\\U99999999"', "|\n", "<<: ", "...\n",
            ]
        )  # fmt: skip
        damaged = text[:start] + insert + text[end:]
        check(lambda damaged=damaged: expand(damaged))


@pytest.mark.parametrize(
    "name",
    ["", "x" * 5_000, "x" * 5_000 + ".yaml", "a\0b", "a\0b.yaml", "/", ".", "./", "a/" * 5_000, "\n",
     "\x1b[2J", "\x1b[2J.yaml", "\ud800.yaml", "\ud800", ".yaml:x", "vgg16\n", b"vgg16", None, 3,
     [], Path("x" * 5_000), Path("a\0.yaml")],
)  # fmt: skip
def test_any_name_of_a_model_is_refused(name):
    assert check(lambda: zoo.graph(name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block: {}\nlayers: {r: {op: relu}}\n", "Did you mean 'blocks'"),
        (f"blocks_from: {'a' * 5_000}\nlayers: {{r: {{op: relu}}}}\n", "no aaa"),
        ("layers:\n\tr: {op: relu}\n", r":4: not valid YAML: .*\btab\b"),
        ("layers:\n  r:\n\t  op: relu\n", r":5: not valid YAML: .*\btab\b"),
        (f"name: '{'x' * 900_000}'\n", "..."),
        ('layers: {r: {op: "\\e[31mrelu"}}\n', r"\\x1b\[31m"),
        ('"\\e[31m": 1\nlayers: {r: {op: relu}}\n', r"\\x1b\[31m"),
        (
            "tables: {t: {columns: [a], published: [a, a], rows: {r: [1]}}}\n"
            "blocks: {b: {layers: {r: {op: relu}}}}\nlayers: {r: {block: b, table: t}}\n",
            r"\$\.tables\.t\.published\[1\]: .*duplicate column 'a'",
        ),
    ],
)
def test_messages_are_short_and_printable(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(("" if text.startswith("name") else "name: bad\n") + "format: 1\n" + text)
    with pytest.raises(zoo.SpecError, match=message):
        zoo.graph(path)
    assert check(lambda: zoo.graph(path))
