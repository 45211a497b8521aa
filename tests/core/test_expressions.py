"""The arithmetic of specs, held against Python's own where both define it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.ops.expressions import ExpressionError, evaluate, is_expression

NAMES = {"a": 2, "b": False, "rates": [5, 6], "word": "x", "input": {"channels": 9}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$a", 2),
        ("$a * 2 + 3", 7),
        ("-$a * 2", -4),
        ("2 - 3 - $a", -3),
        ("2 * (3 - $a)", 2),
        ("$a / 4", 0.5),
        ("7 // $a % 2", 1),
        ("not $b and $a > 1", True),
        ("$b or $a == 2", True),
        ("not $a == 3", True),
        ("$rates[$a - 1]", 6),
        ("$rates[$a / 2]", 6),
        ("$input.channels // 2", 4),
        ("$word == 'x'", True),
        ("len($rates)", 2),
        ("max($a, 3, 4) / 2", 2.0),
        ("round_to($a * 30, 8)", 64),
        ("round_to(11, 8)", 16),  # 8 would be more than a tenth less
        ("round_to(1, 8)", 8),
        ("ceil(5 / $a)", 3),
        ("true and not $b", True),
        ("$a if $rates[0] == 5 else 1", 2),
        ("$a if $b else 1 + 2", 3),
        ("1 if $b else 2 if $a == 3 else 3", 3),  # of the second choice, as in Python
        ("(1 if $b else $a) * 4", 8),
        ("max($a, 7 if not $b else 8)", 7),
        ("$rates[1 if $a > 1 else 0]", 6),
        ("$rates[:1]", [5]),
        ("$rates[1:]", [6]),
        ("$rates[$a - 2:$a][1]", 6),
        ("$rates[:]", [5, 6]),
        ("sum($rates)", 11),
        ("sum($rates[:$a - 1]) / sum($rates)", 5 / 11),
        ("sum($rates[:0])", 0),
    ],
)
def test_values(text, value):
    found = evaluate(text, NAMES)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$rate", r"unknown name '\$rate'. Did you mean '\$rates'\?"),
        ("$q", r"unknown name '\$q'. Known here: \$a, "),
        ("$a +", "expected a value, got the end of the expression"),
        ("$a ** 2", r"expected a value, got '\*'"),
        ("$a // 0", "a division by zero"),
        ("($a", r"expected '\)', got the end"),
        ("f($a)", "unknown function 'f'"),
        ("rond($a)", "unknown function 'rond'. Did you mean 'round'"),
        ("$a 3", "expected the end of the expression, got '3'"),
        ("$a if $b", "expected 'else', got the end"),
        ("$a if $b 3", "expected 'else', got '3'"),
        ("$a if 2 else 3", "expected true or false after 'if', got 2"),
        ("$a else 3", "expected the end of the expression, got 'else'"),
        ("1 if $b else $q", r"unknown name '\$q'"),  # both are computed
        ("if + $a", "unknown function 'if'"),
        ("$rates[7]", "invalid index 7 for a list of length 2"),
        ("$rates[-1]", "invalid index -1 for a list of length 2"),
        ("$rates[2]", "invalid index 2 for a list of length 2"),
        ("$rates[:3]", "invalid index 3 for a list of length 2"),
        ("$rates[2:1]", "invalid index 1 for a list of length 2"),
        ("$rates[:1", r"expected '\]', got the end"),
        ("sum($a)", "sum is not defined for 2"),
        ("sum('12' if $b else '3')", "sum takes a list of numbers, got '3'"),
        ("$a[0]", "only a list can be indexed, got 2"),
        ("$rates * $a", r"arithmetic needs numbers, got \[5, 6\] and 2"),
        ("$b + 1", "arithmetic needs numbers, got False and 1"),
        ("$input.chanels", "unknown name '.chanels'. Did you mean '.channels'"),
        ("$a * 9007199254740992", "a number beyond"),
        ("1e999 + $a", "a number beyond"),
        ("min($a)", "min takes 2 to 8 arguments, got 1"),
        ("round_to($a, 0)", "round_to is not defined for 2, 0"),
        ("len($a)", "len is not defined for 2"),
        ("__import__('os')", "unknown function '__import__'"),
        ("$a; $a", "cannot read ';"),
        ("(" * 50 + "$a" + ")" * 50, "nested more than 20 levels"),
        ("$a" + " + 1" * 100, "more than 200 characters"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ExpressionError, match=message):
        evaluate(text, NAMES)


integers = st.integers(-1000, 1000)


@given(integers, integers, integers, *[st.sampled_from(["+", "-", "*", "//", "%"])] * 2)
def test_integer_arithmetic_is_pythons(a, b, c, first, second):
    text = f"$a {first} $b {second} $c"
    names = {"a": a, "b": b, "c": c}
    try:
        expected = eval(f"a {first} b {second} c", {}, names)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="division by zero"):
            evaluate(text, names)
    else:
        assert evaluate(text, names) == expected


@given(st.text(max_size=60))
def test_any_text_has_a_value_or_a_reason(text):
    if is_expression(text):
        try:
            evaluate(text, NAMES)
        except ExpressionError as error:
            assert str(error)
