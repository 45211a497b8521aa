"""Writes PaddlePaddle layers as programs."""

from __future__ import annotations

from pathlib import Path

import paddle
from paddle import inference, nn

from zoo.backend.base import Array
from zoo.backend.programs import Program, Run
from zoo.paddle import _private
from zoo.paddle.run import named_modules

#: What the files in the folder are called, without their suffixes.
_NAME = "inference"


class InferenceProgram(Program):
    """A folder that ``paddle.jit.save`` writes, for Paddle Inference."""

    def write(self, model: nn.Layer, path: Path) -> None:
        graph = model.zoo_graph
        names = [output.name for output in graph.outputs]
        _fill_batch_norms(model)
        path.mkdir()
        network = _InOrder(model, names)
        network.eval()
        shape = [None, *graph.input_shape]
        spec = paddle.static.InputSpec(shape, model._dtype, "input")
        with _private.compiled():
            paddle.jit.save(network, str(path / _NAME), [spec])
        _private.name_outputs(path / f"{_NAME}.json", names)

    def read(self, path: Path) -> Run:
        config = inference.Config(*(str(path / f"{_NAME}{s}") for s in (".json", ".pdiparams")))
        config.disable_glog_info()
        config.disable_onednn()  # some of its kernels never return
        predictor = inference.create_predictor(config)

        def run(x: Array) -> dict[str, Array]:
            predictor.get_input_handle("input").copy_from_cpu(x)
            predictor.run()
            names = predictor.get_output_names()
            return {name: predictor.get_output_handle(name).copy_to_cpu() for name in names}

        return run


def _fill_batch_norms(model: nn.Layer) -> None:
    """Give batch norms the scale and the shift that they lack: without, oneDNN's kernel crashes."""
    layers = named_modules(model)
    for node in model.zoo_graph.nodes:
        if node.op != "batch_norm":
            continue
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            layer, start = layers[node.name], nn.initializer.Constant(value)
            if getattr(layer, name) is None:
                shape = [node.attributes["num_features"]]
                filled = layer.create_parameter(shape, None, model._dtype, False, start)
                setattr(layer, name, filled)


class _InOrder(nn.Layer):
    """A network whose outputs are a tuple: of a dict, Paddle saves them in alphabetical order."""

    def __init__(self, network: nn.Layer, names: list[str]) -> None:
        super().__init__()
        self.network, self._names = network, names

    def forward(self, input: paddle.Tensor) -> tuple[paddle.Tensor, ...]:
        outputs = self.network(input)
        return tuple(outputs[name] for name in self._names) if len(self._names) > 1 else (outputs,)
