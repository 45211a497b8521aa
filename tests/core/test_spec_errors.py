"""A bad spec gives one line: file, line, path, what was expected, the nearest right word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.errors import SpecError, UnknownNameError, ZooError
from zoo.language import catalog

HEADER = """
blocks:
  conv:
    parameters: {out_channels: ~, kernel_size: 3}
    layers:
      conv: {op: conv, out_channels: $out_channels, kernel_size: $kernel_size}
      relu: {op: relu}
  loop:
    layers:
      again: {block: loop}
tables:
  sizes:
    columns: [out_channels]
    rows:
      a: [8]
      b: [8, 9]
  wrong: {columns: [outs], rows: {w: [8]}}
  twice: {columns: [out_channels, out_channels], rows: {x: [8, 9]}}
  stated: {columns: [out_channels, params], published: [parms], rows: {y: [8, 1K]}}
  figures: {columns: [out_channels, params], published: [params], rows: {y: [8, many]}}
settings: {width: 4}
options: {num_classes: 10, in_channels: 3, input_size: 32}
""".lstrip()
FIRST = HEADER.count("\n") + 4  # the line of the first layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        # the grammar
        (
            "c: {op: conv, out_channels: two, kernel_size: 3}",
            "$.layers.c.out_channels: expected an integer of at least 1, got 'two'",
        ),
        ("c: {op: conv, out_channels: 0, kernel_size: 3}", "$.layers.c.out_channels: expected an"),
        (
            "c: {op: conv, out_channels: 2.0, kernel_size: 3}",
            "$.layers.c.out_channels: expected an",
        ),
        (
            "c: {op: conv, out_channels: 8, kernal_size: 3}",
            "$.layers.c.kernal_size: unknown field. Did you mean 'kernel_size'?",
        ),
        ("c: {op: conv, out_channels: 8}", "$.layers.c.kernel_size: required field is missing"),
        ("", "$.layers: expected a mapping, got nothing"),
        ("c: {op: conv, out_channels: ~, kernel_size: 3}", "integer of at least 1, got nothing"),
        (
            "c: {op: conv, out_channels: $num_classes +, kernel_size: 3}",
            "in '$num_classes +': expected a value, got the end of the expression",
        ),
        (
            "c: {layers: {f: {op: flatten}, p: {op: max_pool, kernel_size: 2}}}",
            "expected a feature map (channels, height, width), got a vector of 3072 values",
        ),
        ("c: {op: conv, out_channels: 8, kernel_size: 3, 3}", "A list is written [3, 3]."),
        (
            "c: {op: conv, out_channels: 8, kernel_sizes\\: 3}",
            "unknown field. Did you mean 'kernel_size'?",
        ),
        (
            "c: {op: conv, out_channels: 8, kernel size: 3}",
            "unknown field. Did you mean 'kernel_size'?",
        ),
        ("c: {op: group, layers: {}}", "$.layers.c: unknown op 'group'. Known: conv, "),
        ("c: {op: [conv]}", "$.layers.c: unknown op ['conv']"),
        (
            "c: {op: conv, kernel_size: 1, out_channels: round_to($width, 8)}",
            "$.layers.c.8): unknown field. Within { }, text that has a comma needs quotes.",
        ),
        ("c: {op: cnv}", "$.layers.c: unknown op 'cnv'. Did you mean 'conv'?"),
        (
            "c: {op: conv, out_channels: 8, kernel_size: [3, 3, 3]}",
            "$.layers.c.kernel_size: expected an integer of at least 1, or [height, width], got a",
        ),
        (
            "c: {op: conv, out_channels: 8, kernel_size: 3, padding: valid}",
            "$.layers.c.padding: expected an integer, [height, width], [top, bottom, left, right]",
        ),
        ("d: {op: dropout, rate: 1.5}", "$.layers.d.rate: expected a number from 0 to 1, got 1.5"),
        ("r: {op: relu, when: maybe}", "$.layers.r.when: expected true or false, got 'maybe'"),
        ("r: {op: relu, from: 3}", "$.layers.r.from: expected text, got 3"),
        ("r: 3", "$.layers.r: expected a mapping, got 3"),
        ("r: {}", "$.layers.r: expected one of op (an operation), block"),
        (
            "r: {op: relu, block: b}",
            "$.layers.r.block: a layer is an operation (op) or the use of a block (block), not both",
        ),
        ("r: {op: relu, <<: {when: true}}", "merge keys are not supported; write the fields"),
        (
            "c: {op: conv, out_channels: 9999999999, kernel_size: 1}",
            "expected an integer of at least 1 with a magnitude of at most 1,000,000, got 9999999999",
        ),
        ("r: {blok: conv}", "$.layers.r.blok: unknown field. Did you mean 'block'?"),
        ("1r: {op: relu}", "$.layers.1r: expected a name of letters, digits and _"),
        # names and references
        (
            "train: {op: relu}",
            "$.layers.train: in 'train' of tiny: 'train' is already an attribute",
        ),
        ("lambda: {op: relu}", "$.layers.lambda: in 'lambda' of tiny: 'lambda' cannot be"),
        (
            "r: {op: relu, from: conv9}",
            "$.layers.r.from: in 'r' of tiny: it reads 'conv9', which is",
        ),
        ("r: {op: relu, from: r}", "it reads 'r', which comes later: a cycle, or the wrong order"),
        ("r: {op: relu, from: later}\nlater: {op: relu}", "it reads 'later', which comes later"),
        ("r: {op: relu, from: []}", "expected at least one layer to read"),
        ("r: {op: relu, from: $width}", "'from' takes names of layers, not expressions: '$width'"),
        (
            "c: {block: cnv}",
            "$.layers.c.block: in 'c' of tiny: unknown block 'cnv'. Did you mean 'co",
        ),
        ("c: {block: loop}", "a cycle: block loop in loop"),
        ("c: {block: conv}", "$.layers.c: in 'c' of tiny: block 'conv' needs the argument 'out_ch"),
        (
            "c: {block: conv, out_chanels: 3}",
            "$.layers.c.out_chanels: in 'c' of tiny: block 'conv' has no parameter 'out_chanels'. "
            "Did you mean 'out_channels'?",
        ),
        ("c: {block: conv, table: size}", "unknown table 'size'. Did you mean 'sizes'?"),
        ("c: {block: conv, table: sizes}", "table 'sizes' has no row 'c'"),
        (
            "b: {block: conv, table: sizes}",
            "$.tables.sizes.rows.b: in 'b' of tiny: expected 1 columns",
        ),
        (
            "w: {block: conv, table: wrong}",
            "$.tables.wrong.rows.w[0]: in 'w' of tiny: block 'conv' has no parameter 'outs'",
        ),
        (
            "x: {block: conv, table: twice}",
            "$.tables.twice.columns[1]: in 'x' of tiny: duplicate column 'out_channels'",
        ),
        (
            "y: {block: conv, table: stated}",
            "$.tables.stated.published[0]: in 'y' of tiny: no column 'parms'. Did you mean 'para",
        ),
        (
            "y: {block: conv, table: figures}",
            "$.tables.figures.rows.y[1]: in 'y' of tiny: expected a figure such as 159K or 1.5M",
        ),
        (
            "r: {op: relu}\ns: {op: relu, from: input}",
            "$.layers.r: in 'r' of tiny: no layer reads its output",
        ),
        # expressions
        (
            "c: {block: conv, out_channels: $widht}",
            "in '$widht': unknown name '$widht'. Did you mean",
        ),
        (
            "c: {block: conv, out_channels: $width / 3}",
            "expected an integer of at least 1, got 1.3333333333333333 from '$out_channels'",
        ),
        (
            "c: {block: conv, out_channels: $width, when: $width}",
            "when must be true or false, got 4",
        ),
        (
            "c: {op: relu, repeat: $width * 1000}",
            "repeat must be a list or a number from 0 to 1,000",
        ),
        # shapes
        (
            "c: {op: conv, out_channels: 8, kernel_size: 40}",
            "in 'c' of tiny: the 40x40 window is larger than its 32x32 input with padding [0, 0, 0",
        ),
        (
            "f: {op: linear, out_features: 3}",
            "expected a vector, got a feature map 3x32x32; put a flatten before the layer",
        ),
        (
            "a: {op: conv, out_channels: 8, kernel_size: 3, from: input}\n"
            "j: {op: concat, from: [input, a]}",
            "in 'j' of tiny: branches of different sizes cannot be joined: 3x32x32, 8x30x30",
        ),
        (
            "a: {op: conv, out_channels: 8, kernel_size: 1}\nj: {op: add, from: [input, a]}",
            "only inputs of the same shape can be added, got 3x32x32, 8x32x32",
        ),
        (
            "c: {op: conv, out_channels: 8, kernel_size: 3, groups: 3}",
            "cannot be divided into 3 groups",
        ),
        (
            "p: {op: max_pool, kernel_size: 2, padding: 2}",
            "a window consists only of padding",
        ),
        (
            "p: {op: avg_pool, kernel_size: 2, padding: 2, count_include_pad: false}",
            "a window consists only of padding",
        ),
        ("p: {op: pad, padding: [-16, -16, 0, 0]}", "leaves no pixel of a map of 32x32"),
        ("p: {op: pad, padding: [-40, 50, 0, 0]}", "leaves no pixel of a map of 32x32"),
        ("p: {op: pad, padding: same}", "Write the numbers: [top, bottom, left, right]."),
        ("n: {op: lrn, size: 4}", "size must be odd, so that the window has a middle, got 4"),
        ("n: {op: batch_norm, eps: 0}", "eps must be above 0, got 0"),
        ("d: {op: dropout, rate: 1}", "a rate of 1 drops everything; expected a rate below 1"),
        ("r: {op: relu, from: [input, input]}", "relu takes 1 input, got 2"),
        ("f: {op: flatten}\nn: {op: batch_norm}", "batch norm is not defined for a flattened map"),
        ("f: {op: flatten}\ng: {op: concat, from: [f, f]}", "flattened maps cannot be joined"),
        (
            "g: {layers: {c: {op: cov}}}",
            "$.layers.g.layers.c: unknown op 'cov'. Did you mean 'conv'?",
        ),
    ],
)
def test_one_line_names_the_layer(spec_file, layer, message):
    with pytest.raises(SpecError) as caught:
        zoo.graph(spec_file(layer, header=HEADER))
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert "tiny.yaml:" in text


def test_the_line_is_the_layers_own(spec_file):
    path = spec_file("a: {op: relu}\nb: {op: relu}\nc:\n  op: dropout\n  rate: 7", header=HEADER)
    with pytest.raises(SpecError, match=rf"tiny.yaml:{FIRST + 4}: \$.layers.c.rate"):
        zoo.graph(path)


def test_a_block_is_named_where_it_is_used_and_where_it_is_written(spec_file):
    path = spec_file("c: {block: conv, out_channels: 8, kernel_size: 99}", header=HEADER)
    message = r"\$.blocks.conv.layers.conv: in 'c.conv' of tiny: the 99x99 window is larger"
    with pytest.raises(SpecError, match=message):
        zoo.graph(path)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        (
            "models: {x: {setings: 3}}",
            "$.models.x.setings: unknown field. Did you mean 'settings'?",
        ),
        ("models: {x: {base: y}}", "$.models.x.base: unknown model 'y'"),
        ("models: {x: {base: y}, y: {base: x}}", "a cycle: x -> y"),
        (
            "settings: {width: 1}\nmodels: {x: {settings: {widht: 2}}}",
            "$.models.x.settings.widht: unknown setting. Did you mean 'width'?",
        ),
        (
            "models: {x: {layers: {s: {when: false}}}}",
            "no layer 's' to change. A new one needs 'after",
        ),
        ("models: {x: {layers: {r: ~}}}", "write {when: false} to leave a layer out"),
        ("models: {x: {layers: {s: {op: relu, after: q}}}}", "unknown layer 'q' in 'after'"),
        (
            "models: {x: {layers: {r: {after: r}}}}",
            "$.models.x.layers.r.after: layer 'r' already has a place, so 'after' cannot move it",
        ),
        (
            "models: {x: {layers: {r: {op: tanh, after: r}}}}",
            "$.models.x.layers.r.after: layer 'r' already has a place",
        ),
        (
            "models: {y: {base: x, layers: {s: {after: r}}}, x: {layers: {s: {op: relu, after: r}}}}",
            "$.models.y.layers.s.after: layer 's' already has a place",
        ),
        (
            "models: {x: {layers: {g: {after: r, layers: {s: {op: relu, after: r}}}}}}",
            "$.models.x.layers.g.layers.s.after: 'after' places a layer that a variant adds",
        ),
        (
            "blocks: {b: {layers: {s: {op: relu, after: input}}}}",
            "$.blocks.b.layers.s.after: 'after' places a layer that a variant adds",
        ),
        (
            "models: {x: {blocks: {b: {layers: {s: {op: relu, after: input}}}}}}",
            "$.models.x.blocks.b.layers.s.after: 'after' places a layer that a variant adds",
        ),
        ("outputs: {logits: {from: q}}", "output 'logits' comes from an unknown layer 'q'"),
        ("paper: {title: x}", "$.paper.authors: required field is missing"),
        ("output: {}", "$.output: unknown field. Did you mean 'outputs'?"),
        ("options: {num_classes: ten}", "$.options.num_classes: expected an integer of at least 1"),
        (
            "options: {num_classes: $aux}",
            "$.options.num_classes: expected an integer of at least 1",
        ),
        (
            "options: {input_size: [1, 2, 3]}",
            "$.options.input_size: expected an integer of at least",
        ),
        (
            "initializers: {weight: {distribution: uniform, std: 1}}",
            "$.initializers.weight.std: unknown field.",
        ),
        (
            "initializers: {weight: {distribution: even}}",
            "$.initializers.weight.distribution: expected",
        ),
        ("initializers: {weight: 3}", "$.initializers.weight: expected a mapping, got 3"),
        ("initializers: {bias: 0.2}", "$.initializers.weight: required field is missing"),
        (
            "initializers: {weight: {std: $x}}",
            "$.initializers.weight.std: expected a number, got '$x'",
        ),
        ("published: {params: many}", "$.published.params: expected a figure such as 159K or 1.5M"),
        ("published: {flops: 1M}", "$.published.flops: unknown kind of figure 'flops'"),
        ("outputs: {logits: {from: r, loss_weight: $q}}", "in '$q': unknown name '$q'"),
        ("settings: {a: $b}", "$.settings.a: in '$b': unknown name '$b'"),
        ("settings: {num_classes: 7}", "a setting cannot be called 'num_classes'"),
        (
            "blocks: {c: {layers: {x: {op: relu}}}}\nmodels: {m: {blocks: {c: {layers: [1]}}}}",
            "expected a mapping of layers",
        ),
        ("models: {m: {layers: {n: {op: relu, after: [r]}}}}", "unknown layer ['r'] in 'after'"),
        ("outputs: {logits: {from: input}}", "no layer reads its output"),
        ("blocks: {b: {parameters: {repeat: 1}, layers: {r: {op: relu}}}}", None),
    ],
)
def test_mistakes_beside_the_layers(spec_file, top, message):
    path = spec_file("r: {op: relu}", header=top + "\n")
    if message is None:
        zoo.graph(path)  # a block that is never used is not opened
        return
    with pytest.raises(SpecError) as caught:
        zoo.graph(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("version", ["2", "true", "1.0", "'1'"])
def test_the_format_version_is_checked(tmp_path, version):
    path = tmp_path / "new.yaml"
    path.write_text(f"format: {version}\nname: x\nlayers: {{r: {{op: relu}}}}\n")
    with pytest.raises(SpecError, match=r"new.yaml:1: \$.format: expected 1, the format that this"):
        zoo.graph(str(path))


def test_a_missing_format_version_says_what_to_write(tmp_path):
    (tmp_path / "new.yaml").write_text("name: x\nlayers: {r: {op: relu}}\n")
    with pytest.raises(
        SpecError, match=r"\$.format: required field is missing\. Write 'format: 1'"
    ):
        zoo.graph(tmp_path / "new.yaml")


def test_unknown_models():
    with pytest.raises(
        UnknownNameError, match=r"unknown model 'googlnet'. Did you mean 'googlenet'\?"
    ):
        zoo.graph("googlnet")
    with pytest.raises(UnknownNameError, match=r"unknown model 'x'. See zoo.list_models\(\)."):
        zoo.graph("x")
    with pytest.raises(SpecError, match=r"missing.yaml: no such file"):
        zoo.graph("missing.yaml")
    with pytest.raises(UnknownNameError, match=r"has no model 'vgg99'. Did you mean 'vgg9'\?"):
        zoo.graph(f"{catalog.folder() / 'vgg.yaml'}:vgg99")


SHIPPED = [path.read_text() for path in sorted(catalog.folder().glob("*.yaml"))]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_spec_is_read_or_refused_and_nothing_else(data, tmp_path_factory):
    text = data.draw(st.sampled_from(SHIPPED))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    insert = data.draw(
        st.sampled_from(["", "[", "]", "{", "}", ":", "$", "~", "&a ", "*a", "- ", "\n", "9", "x"])
    )
    path = tmp_path_factory.mktemp("damaged") / "spec.yaml"
    path.write_text(text[:start] + insert + text[end:])
    try:
        zoo.graph(str(path))
    except ZooError as error:
        assert str(error)


def test_repetition_is_bounded_even_where_everything_is_left_out(spec_file):
    header = """
    blocks:
      c: {layers: {x: {op: relu, when: false, repeat: 1000}}}
      b: {layers: {x: {block: c, repeat: 1000}}}
    """
    with pytest.raises(SpecError, match="more than 10,000 layers"):
        zoo.graph(spec_file("a: {block: b, repeat: 1000}", header=header))


def test_paths_are_taken_as_such(spec_file):
    from pathlib import Path

    assert zoo.graph(Path(spec_file("r: {op: relu}"))).name == "tiny"


def test_blocks_within_blocks_have_an_end_and_are_no_cycle(spec_file):
    blocks = "".join(f"  b{i}: {{layers: {{x: {{block: b{i + 1}}}}}}}\n" for i in range(20))
    header = f"blocks:\n{blocks}  b20: {{layers: {{x: {{op: relu}}}}}}\n"
    with pytest.raises(SpecError, match="blocks nested more than 16 levels deep: block b16 in b15"):
        zoo.graph(spec_file("a: {block: b0}", header=header))
