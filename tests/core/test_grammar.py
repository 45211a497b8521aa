"""No document, however wrong, ends in anything but one line that says where it is wrong."""

import copy
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo.errors import MAX_QUOTED, SpecError, ZooError
from zoo.language import catalog, document
from zoo.language.validation import validate, validate_extension
from zoo.ops.kinds import kind_or_value

DOCUMENTS = [document.read(path) for path in sorted(catalog.folder().glob("*.yaml"))]
VALUES = [
    *(None, True, False, 0, -1, 1.5, 10**18, "", "x", "$x", "<<", "y" * 5_000, "\x1b[2J"),
    *([], [1], [[]], ["a", 1], {}, {"op": "conv"}, {"op": []}, {"layers": 3}, {"x": {}}),
]
KEYS = ["block", "op", "layer", "layers", "from", "<<", "a b", "", "filters", "z" * 5_000]


def places(value, where=()):
    """Every place in a document, its mappings and lists included."""
    yield where
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from places(item, (*where, key))
        else:
            yield (*where, key)


PLACES = [list(places(each)) for each in DOCUMENTS]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_document_with_a_wrong_key_or_value_is_valid_or_refused_in_one_line(data):
    index = data.draw(st.integers(0, len(DOCUMENTS) - 1))
    damaged = copy.deepcopy(DOCUMENTS[index])
    where = data.draw(st.sampled_from(PLACES[index]))
    parent = damaged
    for key in where[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()) and where:
        parent[where[-1]] = data.draw(st.sampled_from(VALUES))
    elif isinstance(parent, dict):
        parent[data.draw(st.sampled_from(KEYS))] = data.draw(st.sampled_from(VALUES))
    check = data.draw(st.sampled_from([validate, validate_extension]))
    try:
        check(damaged)
    except SpecError as error:
        assert "\n" not in str(error)
        assert ": $" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 1\nname: x\nblock: {}\nlayers: {}", "tiny.yaml:3: $.block: unknown field. Did"),
        ("format: 1\nname: x\nop: conv\nlayers: {}", "tiny.yaml:3: $.op: unknown field."),
        ("block: {}", "tiny.yaml:1: $.block: unknown field. Did you mean 'blocks'?"),
        ("format: 1\nlayers: {}", "$.name: required field is missing"),
        ("format: 1\nextends: vgg\nmodels: {}", "$.models: expected at least one"),
        ("format: 1\nextends: vgg\nmodel: {}", "$.model: unknown field. Did you mean 'models'?"),
        ("format: 1\nname: x\nlayers: {a: {op: relu, from: [1]}}", "$.layers.a.from[0]: expected"),
    ],
)
def test_mistakes_at_the_top(text, message, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    with pytest.raises(ZooError) as caught:
        zoo.graph(str(path))
    assert message in str(caught.value)


def test_messages_quote_little_of_a_value():
    assert len(kind_or_value("x" * 10_000)) <= MAX_QUOTED
    assert kind_or_value({"a": 1}) == "a mapping"
    long = {"format": 1, "name": "x", "layers": {"a": {"op": "dropout", "rate": "x" * 100_000}}}
    with pytest.raises(SpecError) as caught:
        validate(long)
    assert len(str(caught.value)) < 2 * MAX_QUOTED


def test_a_document_nested_too_deeply_is_refused():
    inner = {"op": "relu"}
    for _ in range(5_000):
        inner = {"layers": {"a": inner}}
    with pytest.raises(SpecError, match="nested more than"):
        validate({"format": 1, "name": "x", "layers": {"a": inner}})


def test_reading_takes_work_in_proportion_to_the_document():
    def calls(count: int) -> int:
        layer = {"op": "conv", "out_channels": "$width", "kernel_size": [3, 3]}
        spec = {"format": 1, "name": "x", "layers": {f"a{i}": dict(layer) for i in range(count)}}
        total = 0

        def count_call(frame, event, argument):
            nonlocal total
            total += event == "call"

        sys.setprofile(count_call)
        try:
            validate(spec)
        finally:
            sys.setprofile(None)
        return total

    assert calls(400) < 2.2 * calls(200)


def test_values_of_a_record_are_plain_data_again():
    spec = validate(DOCUMENTS[0])
    assert spec.options.to_dict().keys() == {"num_classes", "in_channels", "input_size"}
    assert spec.preprocessing.to_dict(exclude={"about"})["interpolation"] == "bilinear"
    assert "about" not in spec.preprocessing.to_dict(exclude_none=True)
    assert repr(spec.paper).startswith("Paper(title=")
    assert spec == validate(DOCUMENTS[0])
