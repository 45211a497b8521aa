"""The public verbs; ``import zoo`` offers them all and imports no framework."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from zoo.api.listing import list_models as list_models
from zoo.backend import registry
from zoo.data.labels import class_numbers
from zoo.errors import InputError
from zoo.graphs.graph import Graph, graph_of
from zoo.graphs.nodes import Node
from zoo.language import graphs, options
from zoo.weights import initial
from zoo.weights.checking import fitting

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

graph = graphs.graph


def list_backends() -> list[str]:
    """List the backends whose framework is installed; none is imported.

    Example:
        >>> import zoo
        >>> "numpy" in zoo.list_backends()
        False
    """
    return [name for name, entry in registry.table().items() if registry.is_installed(entry)]


def build(
    name: str | os.PathLike[str],
    backend: str,
    *,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    seed: int = 0,
    init: str = "he_uniform",
    dtype: str = "float32",
    weights: str | os.PathLike[str] | None = None,
    head: str | None = None,
    stem: str | None = None,
) -> Any:
    """Build a model in a framework.

    Args:
        name: A model zoo ships (see :func:`list_models`), or the path of a YAML file.
        backend: ``torch``, ``paddle``, ``keras`` or ``flax`` (``pytorch``, ``paddlepaddle`` and
            ``jax`` are understood too). ``keras`` takes whichever engine Keras runs on;
            ``tensorflow`` insists on TensorFlow.
        aux: Whether to build the auxiliary heads; the model then returns a dict
            ``{"logits", "aux1", "aux2"}``, in training and evaluation alike.
        num_classes: Outputs of the classifier; 1000 in the ImageNet models.
        in_channels: Channels of the input; 3 in the ImageNet models.
        input_size: Height and width, one number for a square; 224 in the ImageNet models. The
            model refuses inputs of another size.
        seed: Of the initial weights, which are the same bits in every framework.
        init: ``he_uniform``, ``glorot_uniform``, ``paper`` (where the spec states one), or
            ``native`` for the framework's own default.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``; or the dtype of that name, as
            NumPy or the framework has it.
        weights: A file of weights to start from: zoo's own (see :func:`save`) or a publisher's; or
            the name of a source, such as ``torchvision``, whose file is downloaded, checked and
            kept; or ``torchvision:file.pth``, a file of that source. Nothing is drawn then. Those
            of auxiliary heads are left out if there are none. The preprocessing that they were
            trained with comes along.
        head: ``new`` for a classifier that starts anew, such as one of another ``num_classes``
            than the weights have.
        stem: ``adapt`` to let weights that read three colours read another number of
            ``in_channels``: summed over them for one, repeated and scaled for more.

    Returns:
        A ``torch.nn.Module``, ``paddle.nn.Layer``, ``keras.Model`` or ``flax.nnx.Module``. The
        first two take [N, C, H, W], the others [N, H, W, C]; all return logits [N, num_classes].

    Raises:
        UnknownNameError: No such model, backend, initialiser or dtype.
        BackendError: The framework is not installed, or cannot do what is asked.
        SpecError: The spec is wrong or does not fit this input size.
        InputError: An option has a value that cannot be.
        WeightsError: The weights are damaged, of another network, or do not fit.

    Example:
        >>> import zoo
        >>> model = zoo.build("googlenet", backend="torch")
        >>> model.inception3a.branch5x5.reduce.conv
        Conv2d(192, 16, kernel_size=(1, 1), stride=(1, 1))
    """
    network = graph(
        name, aux=aux, num_classes=num_classes, in_channels=in_channels, input_size=input_size
    )
    dtype = initial.check(init, dtype, seed)
    if weights is not None:
        from zoo.api import storage
        from zoo.weights import loading

        chosen = options.checked(**network.options)
        checkpoint = loading.find(weights, network.name, chosen)
        return storage.filled(network, checkpoint, backend, head, stem, seed, init, dtype)
    if head or stem:
        raise InputError("head and stem say what of weights to take; give weights too")
    framework = registry.load(backend)
    draw = None if init == "native" else initial.drawing(network, seed, init, dtype)
    return framework.build(network, draw, dtype, seed % 2**31)  # what every framework takes


def preprocess(image: Any, model: Any) -> Array:
    """Make a model's input of a photograph, as the publisher of its weights did.

    Args:
        image: An image file, a Pillow image, or an array of uint8 [H, W, 3].
        model: A model that zoo built; or a graph, or a name as :func:`build` takes it.

    Returns:
        float32 [1, C, H, W] of the size the model was built for; see :func:`predict`.

    Raises:
        InputError: The image cannot be read.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> from zoo.data import images
        >>> zoo.preprocess(images.default(), zoo.graph("vgg16")).shape
        (1, 3, 224, 224)
    """
    from zoo.data import images

    if isinstance(model, str | os.PathLike):
        model = graph(model)
    network = model if isinstance(model, Graph) else graph_of(model)
    channels, *size = network.input_shape
    return images.load(image, (size[0], size[1]), channels, network.preprocessing)


def get_weights(model: Any) -> dict[str, Array]:
    """Copy a model's weights and running statistics to NumPy.

    Args:
        model: A model of any backend.

    Returns:
        Canonical name -> array in the canonical layout (convolution [out, in, height, width],
        linear [out, in] with inputs in CHW order), in the model's dtype, in the graph's order.

    Example:
        >>> import zoo
        >>> weights = zoo.get_weights(zoo.build("googlenet", "torch"))
        >>> weights["conv1.conv.weight"].shape
        (64, 3, 7, 7)
    """
    return registry.of(model).get_weights(model)


def set_weights(model: Any, weights: Mapping[str, Array]) -> None:
    """Fill a model from canonical arrays.

    Strict both ways: every parameter and running statistic must be given, in its shape, and
    nothing else, but for the auxiliary heads of a model built without them, which are left out.
    The arrays are copied; the model is untouched if they do not fit.

    Args:
        model: A model of any backend.
        weights: Canonical name -> array, as :func:`get_weights` of any backend gives.

    Raises:
        WeightsError: A list of what is missing (-), unexpected (+) or of another shape (!).

    Example:
        >>> import zoo
        >>> model = zoo.build("googlenet", "torch", seed=1)
        >>> zoo.set_weights(model, zoo.get_weights(zoo.build("googlenet", "torch", aux=True)))
    """
    backend = registry.of(model)
    if not isinstance(weights, Mapping):
        raise InputError(f"expected weights by name, got {type(weights).__name__}")
    known = getattr(model, "zoo_graph", None)
    omitted = graphs.left_out(known) if isinstance(known, Graph) else ()
    backend.set_weights(model, fitting(backend.shapes(model), weights, omitted))


def loss(model: Any, outputs: Any, labels: Any) -> Any:
    """Return the loss that a network is trained with: cross-entropy, auxiliary heads by weight.

    Args:
        model: A model that zoo built.
        outputs: What the model returned: logits [N, classes], or a dict of them.
        labels: Class numbers [N] (or [N, 1]), as NumPy's or the framework's integers.

    Returns:
        A scalar of the framework, to differentiate: the mean over the batch, plus that of each
        auxiliary head times the weight that its spec declares (0.3 in GoogLeNet).

    Raises:
        BackendError: The model was not built by zoo.
        InputError: Outputs are missing, or labels are no class numbers, one for each example. Of
            the framework's own tensors only the shape is looked at: a number that is no class's
            gives NaN, or in PyTorch its own error.

    Example:
        >>> import torch, zoo
        >>> model = zoo.build("googlenet", "torch", aux=True, num_classes=10)
        >>> images, labels = torch.rand(2, 3, 224, 224), torch.tensor([3, 8])
        >>> zoo.loss(model, model(images), labels).backward()
    """
    backend, network = registry.of(model), graph_of(model)
    logits = network.named(outputs)[network.outputs[0].name]
    numbers = class_numbers(labels, *logits.shape)
    return network.total_loss(
        outputs, lambda logits, weight: backend.cross_entropy(logits, numbers, weight)
    )


def predict(model: Any, x: Array) -> Array | dict[str, Array]:
    """Run a model of any backend on NumPy arrays, in evaluation mode and without gradients.

    The model's own mode is restored. Each framework's fast ordinary road is taken: inference mode
    in PyTorch, a compiled function in Keras, a jitted one in Flax.

    Args:
        model: A model of any backend.
        x: [N, C, H, W], whatever the framework's own layout; cast to the model's dtype.

    Returns:
        Logits [N, num_classes], or a dict of them if the model was built with ``aux=True``.
        bfloat16 results come as float32.

    Raises:
        InputError: x does not have the shape the model was built for.

    Example:
        >>> import numpy as np, zoo
        >>> model = zoo.build("googlenet", "torch", num_classes=10)
        >>> zoo.predict(model, np.zeros((1, 3, 224, 224), np.float32)).shape
        (1, 10)
    """
    backend = registry.of(model)
    return backend.predict(model, _checked(model, x))


def features(model: Any, x: Array, nodes: str | Iterable[str]) -> dict[str, Array]:
    """Return what nodes of a model compute, in evaluation mode.

    Args:
        model: A model that zoo built.
        x: [N, C, H, W].
        nodes: Path names of nodes or blocks, such as ``inception3a.branch5x5``; a block stands for
            its output. ``zoo.graph(...).nodes`` lists the nodes.

    Returns:
        The names as given -> [N, C, H, W] or [N, features], in the canonical layout whatever the
        framework's own. bfloat16 results come as float32.

    Raises:
        UnknownNameError: The model has no such node.
        BackendError: The model was not built by zoo.

    Example:
        >>> import numpy as np, zoo
        >>> model = zoo.build("googlenet", "torch")
        >>> maps = zoo.features(model, np.zeros((1, 3, 224, 224), np.float32), "inception3a")
        >>> maps["inception3a"].shape
        (1, 256, 28, 28)
    """
    backend = registry.of(model)
    names = [nodes] if isinstance(nodes, str) else list(nodes)
    network = graph_of(model)
    if not names:
        return {}
    wanted: dict[str, Node] = {name: network.node(name) for name in names}
    unique = list({node.name: node for node in wanted.values()}.values())
    found = backend.features(model, _checked(model, x), unique)
    return {name: found[node.name] for name, node in wanted.items()}


def _checked(model: Any, x: Array) -> Array:
    """Refuse an input of the wrong shape before a framework meets it."""
    try:
        x = np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:  # such as a ragged list
        raise InputError(f"expected numbers [N, C, H, W], got no array: {error}") from None
    network = getattr(model, "zoo_graph", None)
    if x.ndim != 4 or not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise InputError(f"expected numbers [N, C, H, W], got {x.dtype} {list(x.shape)}")
    if not len(x):
        raise InputError("expected at least one example, got an empty batch")
    if isinstance(network, Graph) and x.shape[1:] != network.input_shape:
        raise InputError(network.refusal(x.shape))
    return x
