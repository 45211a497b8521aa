"""The functions that build models and access their weights."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from zoo import arguments
from zoo.backend import registry
from zoo.backend.unwrapping import find_whole
from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.language import graphs, options
from zoo.weights import initial
from zoo.weights.checking import checked_arrays, floating

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def build(
    name: str | os.PathLike[str] | Graph,
    backend: str,
    *,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    init: str = "he_uniform",
    dtype: str = "float32",
    weights: str | os.PathLike[str] | None = None,
    head: str | None = None,
    stem: str | None = None,
    entry: str | None = None,
) -> Any:
    """Build a model in a framework.

    Args:
        name: A model that zoo ships (see :func:`list_models`), the path of a YAML file, or a graph
            (see :func:`graph`), which already has the options ``aux`` to ``classes``.
        backend: ``torch``, ``paddle``, ``keras`` or ``flax``; ``pytorch``, ``paddlepaddle`` and
            ``jax`` are aliases. ``keras`` uses the current engine of Keras; ``tensorflow``
            requires that to be TensorFlow. Or ``onnx``, for a model that only infers.
        aux: Whether to build the auxiliary heads. The model then returns a dict
            ``{"logits", "aux1", "aux2"}``, in training and evaluation alike.
        num_classes: Number of outputs of the classifier; 1000 in the ImageNet models, or that of
            the weights. With 0, the network has no classifier, and returns the features that the
            classifier would read.
        in_channels: Number of channels of the input; 3 in the ImageNet models, or that of the
            weights.
        input_size: Height and width, or one number for a square; 224 in most ImageNet models, or
            that of the weights if their file or publisher states it. The model also accepts other
            sizes, if none of its layers would have to change. It rejects sizes at which a flattened
            feature map would have another size, or ``same`` padding or ``ceil_mode`` would pad
            differently. In ONNX, the size is fixed.
        classes: The names of the classes, if they are not the spec's; they stay with the model's
            graph and with its weights when it is saved.
        seed: Random seed for the initial weights, which are bitwise equal in all frameworks.
        init: ``he_uniform``, ``glorot_uniform``, ``paper`` (if the spec states one), or
            ``native`` for the framework's own default, which ONNX does not have.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``, as a name or as a dtype of
            NumPy or of the framework.
        weights: Pretrained weights to start from: a file, written by :func:`save`, by a framework
            itself or by a publisher; or the name of a source, such as ``torchvision``, whose file
            is downloaded, checked and cached; or ``torchvision:IMAGENET1K_V2``, another of its
            files, by the source's name for it; or ``torchvision:file.pth``, a file with that
            source's names. Weights of auxiliary heads are ignored if the model has none. The model
            gets the preprocessing of a file that is known to be its publisher's.
        head: ``new`` for a classifier with new random weights, for example if ``num_classes``
            differs from that of the pretrained one, or if the file has none. All layers of the
            classifier that the file does not have are new.
        stem: ``adapt`` to use weights trained on three channels with another number of
            ``in_channels``: summed for one channel, repeated and scaled for more.
        entry: The key of the weights to read, such as ``state_dict_ema``, if the file of a training
            tool holds several sets of weights; or the beginning of their names. By default, the
            main set is read, and the origin of the weights says which one it is.

    Returns:
        A ``torch.nn.Module``, ``paddle.nn.Layer``, ``keras.Model``, ``flax.nnx.Module`` or
        ``onnx.ModelProto``. Models of Keras and Flax take [N, H, W, C], the others [N, C, H, W];
        all return logits [N, num_classes], or features [N, F] if there is no classifier. ONNX's
        outputs are named ``logits``, ``aux1`` and ``aux2``.

    Raises:
        UnknownNameError: There is no such model, backend, initializer or dtype.
        BackendError: The framework is not installed, or does not support the request.
        SpecError: The spec is not valid, or does not fit this input size.
        InputError: An option has an invalid value.
        WeightsError: The weights are damaged, belong to another network, or do not fit.

    Example:
        >>> import zoo
        >>> model = zoo.build("googlenet", backend="torch")
        >>> model.inception3a.branch5x5.reduce.conv
        Conv2d(192, 16, kernel_size=(1, 1), stride=(1, 1))
    """
    network = graphs.graph(
        name,
        aux=aux,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=input_size,
        classes=classes,
    )
    seed = arguments.integer("seed", seed)
    dtype = initial.check(init, dtype, seed)
    if weights is not None:
        from zoo.api import checkpoints
        from zoo.weights import adaptation

        chosen = options.checked(**network.options)
        requested = (
            chosen
            if isinstance(name, Graph)
            else options.checked(aux, num_classes, in_channels, input_size, classes)
        )
        checkpoint = checkpoints.find(weights, network, chosen, head, entry)
        with checkpoint.verified():
            network = adaptation.fitted(network, checkpoint, requested, head, stem)
            names = checkpoint.chosen.classes or ()
            if requested.classes is None and len(names) == network.options["num_classes"] > 0:
                network = graphs.with_options(network, classes=names)
            return checkpoints.build(
                network,
                checkpoint,
                backend,
                dtype=dtype,
                head=head,
                stem=stem,
                seed=seed,
                init=init,
            )
    if any(option is not None for option in (head, stem, entry)):
        raise InputError("head, stem and entry require pretrained weights; pass weights, too")
    framework = registry.load(backend)
    draw = None if init == "native" else initial.drawing(network, seed, init, dtype)
    return framework.build(network, draw, dtype, seed % 2**31)  # a range that all frameworks accept


def get_weights(model: Any) -> dict[str, Array]:
    """Copy a model's weights and running statistics to NumPy.

    Args:
        model: A model of any backend.

    Returns:
        Canonical name -> array in the canonical layout (convolution [out, in, height, width],
        linear [out, in] with inputs in CHW order), in the model's dtype, in the graph's order.

    Raises:
        BackendError: A layer computes its weights from others, for example because it was pruned;
            the message says how to undo that. Or a model that zoo built is a part of this one.
        WeightsError: A layer was quantized.

    Example:
        >>> import zoo
        >>> weights = zoo.get_weights(zoo.build("googlenet", "torch"))
        >>> weights["conv1.conv.weight"].shape
        (64, 3, 7, 7)
    """
    backend, inner = find_whole(model)
    return dict(floating(backend.get_weights(inner)))


def set_weights(model: Any, weights: Mapping[str, Array]) -> None:
    """Set a model's weights and running statistics from arrays by name.

    The arrays must have exactly the names and shapes of the model's parameters and running
    statistics. Only the arrays of auxiliary heads that the model does not have, PyTorch's counters
    of batches, and Flax's state of random generators are ignored. The arrays are copied. If they do
    not fit, the model stays unchanged.

    Args:
        model: A model of any backend.
        weights: Canonical name -> array, as :func:`get_weights` returns for any backend; or a
            framework's own state of a model that zoo built of the same network: the
            ``state_dict()`` of PyTorch or PaddlePaddle, or Flax's ``nnx.to_pure_dict(nnx.state(
            model))``, also as msgpack and Orbax restore it; or the dict of a training tool that has
            it under a key such as ``state_dict``, or as ``params`` and ``batch_stats``. What
            ``nnx.to_flat_state`` and ``flax.traverse_util.flatten_dict`` return is read, too.

    Raises:
        WeightsError: Lists the arrays that are missing, unexpected or of another shape; or there
            are several sets of weights.
        InputError: ``weights`` is not a mapping of names to arrays.

    Example:
        >>> import zoo
        >>> model = zoo.build("googlenet", "torch", seed=1)
        >>> zoo.set_weights(model, zoo.get_weights(zoo.build("googlenet", "torch", aux=True)))
    """
    backend, model = find_whole(model)
    if isinstance(weights, Sequence) and _are_items(weights):
        weights = dict(weights)
    if not isinstance(weights, Mapping):
        raise arguments.wrong("weights", "a mapping of names to arrays", weights)
    network = backend.graph_of(model)
    omitted: Collection[str] = ()
    hint = ""
    if network is not None:
        from zoo.api.states import in_canonical_form
        from zoo.weights.adaptation import without_heads

        omitted, weights = graphs.left_out(network), in_canonical_form(weights, network)
        if any(name not in weights for name in backend.shapes(model)):
            hint, _ = without_heads(network, weights)
    counters = {name for name in weights if str(name).endswith(".num_batches_tracked")}
    expected = backend.shapes(model)
    backend.set_weights(model, checked_arrays(expected, weights, {*omitted, *counters}, hint))


def _are_items(values: Sequence[Any]) -> bool:
    """Tell whether these are pairs of a name and something else, as Flax's flat states have."""
    return bool(values) and all(
        isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], tuple | str)
        for each in values
    )
