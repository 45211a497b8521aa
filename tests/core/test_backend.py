"""What every backend shares: layouts, the table of operations, the table of backends."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.backend.base import Backend
from zoo.backend.description import Description
from zoo.backend.operations import Operations
from zoo.backend.parameters import Parameters, Slot, Tensor, convention, to_native
from zoo.errors import BackendError
from zoo.graphs.shapes import Map

KERNEL = np.arange(5 * 4 * 3 * 2.0).reshape(5, 4, 3, 2)  # O, I, H, W


def held(array: np.ndarray, axes: str) -> np.ndarray:
    """A canonical kernel in another order of axes, said in einsum's words."""
    if axes == "HWCM":  # depthwise: channel c's m-th output is output c * M + m
        outputs, _, height, width = array.shape
        return array.reshape(outputs // 2, 2, height, width).transpose(2, 3, 0, 1)
    canonical = "OIHW" if array.ndim == 4 else "OI"
    return np.einsum(f"{canonical}->{axes}", array)


@pytest.mark.parametrize(
    ("array", "axes"),
    [
        (KERNEL, "OIHW"),
        (KERNEL, "HWIO"),
        (KERNEL[:4, :1], "HWCM"),
        (KERNEL[..., 0, 0], "OI"),
        (KERNEL[..., 0, 0], "IO"),
        (KERNEL[0, 0, 0], "C"),
    ],
)
def test_layouts_both_ways(array, axes):
    expected = array if axes == "C" else held(array, axes)
    tensor = Tensor(None, expected.shape, axes)
    assert tensor.canonical_shape == array.shape
    assert np.array_equal(tensor.to_native(array), expected)
    assert np.array_equal(tensor.to_canonical(expected), array)
    assert not np.shares_memory(tensor.to_native(array), array)
    assert not np.shares_memory(tensor.to_canonical(expected), expected)


def test_a_linear_kernel_behind_a_flatten_reads_hwc():
    layout = Map(2, 3, 4)
    kernel = np.arange(5.0 * 24).reshape(5, 24)
    expected = kernel.reshape(5, 2, 3, 4).transpose(2, 3, 1, 0).reshape(24, 5)
    tensor = Tensor(None, (24, 5), "IO", layout)
    assert np.array_equal(to_native(kernel, "IO", layout), expected)
    assert np.array_equal(tensor.to_canonical(expected), kernel)


def test_a_vector_may_be_held_with_axes_of_one():
    """As Keras holds PReLU's slopes: [1, 1, C]."""
    tensor = Tensor(None, (1, 1, 6), "C")
    assert tensor.canonical_shape == (6,)
    assert tensor.to_native(np.arange(6.0)).shape == (1, 1, 6)
    assert Tensor(None, (1,), "C").canonical_shape == (1,)


def test_a_table_states_what_differs():
    own = {"linear": {"weight": Slot("kernel", "IO")}, "batch_norm": {"weight": Slot("gamma")}}
    table = Parameters("mine", own)
    assert table.slot("linear", "weight") == Slot("kernel", "IO")
    assert table.slot("linear", "bias") == Slot("bias", "C")
    assert table.slot("conv", "weight") == Slot("weight", "OIHW")
    assert table.slot("batch_norm", "weight") == Slot("gamma", "C")
    assert convention(table, "HWC", ["*.x"]) == {
        "layouts": {"conv": "OIHW", "linear": "IO", "flatten": "HWC"},
        "parameters": {"linear": {"weight": ["kernel"]}, "batch_norm": {"weight": ["gamma"]}},
        "left_out": ["*.x"],
    }


def test_an_operation_that_is_missing_is_refused_by_name():
    operations = Operations("mine", "My framework", relu=object)
    assert "relu" in operations
    with pytest.raises(BackendError, match=r"mine backend has no operation 'conv': .*My framework"):
        operations["conv"]


@pytest.mark.parametrize("place", ["json:missing", "missing_for_zoo:f", "json", "a:b:c", None])
def test_an_operation_that_cannot_be_loaded_is_named(place, prelu, monkeypatch):
    monkeypatch.setattr(ops.OPS["prelu"], "implementations", {"mine": place})
    with pytest.raises(BackendError, match="the operation 'prelu' cannot be loaded"):
        Operations("mine", "My framework")["prelu"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a DESCRIPTION"),
        ("DESCRIPTION = 1", "needs a DESCRIPTION"),
        ("import nothing_of_that_name", "cannot be imported"),
    ],
)
def test_what_is_no_backend_is_refused_by_name(text, message, tmp_path, monkeypatch):
    name = f"package{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError, match=message):
        registry.register(name)


def test_what_a_backend_lacks_is_refused_by_name():
    class Least(Backend):
        description = Description("least", "Least", "x:Least", "numpy")

        def construct(self, graph, draw, dtype, seed):
            return None

        def tensors(self, model):
            return {}

        def to_numpy(self, handle):
            return handle

        def assign(self, handle, array):
            pass

        def observe(self, model, x, names):
            return x, {}

    least = Least()
    for call in (
        lambda: least.gradients(None, None, None),
        lambda: least.differentiate(None, None, None, ()),
        lambda: least.cross_entropy(None, None),
        lambda: least.optimizing(None, "SGD", {}),
        lambda: least.export(None, ""),
        lambda: least.own_weights(None),
        lambda: least.named_modules(None),
        lambda: least.require_engine("x"),
    ):
        with pytest.raises(BackendError, match="zoo's least backend"):
            call()


def test_aliases_lead_to_backends():
    for alias, name in {
        "PyTorch": "torch",
        "tf": "keras",
        "tensorflow": "keras",
        "jax": "flax",
        "nnx": "flax",
        "paddlepaddle": "paddle",
    }.items():
        assert registry.resolve(alias).name == name
    with pytest.raises(zoo.UnknownNameError, match=r"unknown backend 'torhc'\. Did you mean"):
        registry.resolve("torhc")
