"""Trains a PaddlePaddle layer, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import paddle
from paddle import distributed as dist
from paddle import nn

from zoo.backend.devices import ALONE, Group
from zoo.backend.outputs import mapped
from zoo.backend.training import LossScale, Part, Plan, Trainer
from zoo.errors import BackendError
from zoo.paddle import _private, devices, optimizers
from zoo.paddle.run import named_modules


class PaddleTrainer(Trainer):
    """Runs forward and backward passes eagerly."""

    model: nn.Layer

    def __init__(self, backend: Any, model: nn.Layer, plan: Plan, group: Group = ALONE) -> None:
        super().__init__(backend, model, plan, group)
        values = backend.filled_tensors(model)
        self._trained = {name: values[name].handle for name in self.trained}
        example = _check(list(self._trained.values()), plan)
        frozen = (values[name].handle for name in values.keys() & plan.frozen)
        self._frozen = [parameter for parameter in frozen if not parameter.stop_gradient]
        rule = plan.optimized
        if plan.native:
            self.optimizer = optimizers.native(self._trained, rule.name, rule.lr, plan.settings)
        else:
            decays = {name: rule.decay_of(p) for name, p in self.trained.items()}
            self.optimizer = optimizers.make(self._trained, rule, decays)
        self._place, self._dtype = example.place, example.dtype
        layers = named_modules(model)
        self._dropouts = {name: layers[name] for name in self.dropouts}
        fixed = {layers[name] for name in (*self.dropouts, *self.frozen_norms)}
        self._modes = [(each, each not in fixed) for each in model.sublayers(include_self=True)]
        norms = [
            node.name
            for node in backend.known_graph(model).nodes
            if node.op == "batch_norm" and node.name not in self.frozen_norms
        ]
        self._norms = [layers[name] for name in norms]
        self._statistics = [
            values[f"{name}.{kind}"].handle
            for name in norms
            for kind in ("running_mean", "running_var")
        ]
        self._network: nn.Layer = self._distributed() if group.size > 1 else model
        self._values = values if plan.ema is not None else {}
        self.averages = {n: t.handle.detach().clone() for n, t in self._values.items()}

    def step(self, parts: Sequence[Part], lr: float, examples: int | None = None) -> paddle.Tensor:
        if self.group.size == 1:
            return self._step(parts, lr, sum(len(part.labels) for part in parts))
        assert examples is not None
        with devices.connected():
            return self._step(parts, lr, examples)

    def _step(self, parts: Sequence[Part], lr: float, examples: int) -> paddle.Tensor:
        self.optimizer.set_lr(float(lr))
        self._clear()
        total = paddle.zeros([], self._dtype)
        with self._training():
            for number, part in enumerate(parts):
                with self._exchanging(last=number == len(parts) - 1):
                    loss = self._loss(part) * (len(part.labels) / examples)
                    self._differentiate(loss)
                total = total + loss.detach()
        if self.group.size > 1:
            self._join(total, sum(len(part.labels) for part in parts) / examples)
        if bool(total.isfinite()):
            self._update([p.grad for p in self._trained.values() if p.grad is not None], float(lr))
        self._clear()  # what somebody else's backward pass would be added to
        return total

    def slot(self, slot: str, name: str) -> paddle.Tensor:
        return optimizers.slot(self.optimizer, slot, self._trained[name])

    def set_state(self, arrays: Mapping[str, Any], steps: int) -> None:
        super().set_state(arrays, steps)
        optimizers.set_steps(self.optimizer, self.plan.rule, steps)

    def _clear(self) -> None:
        self.optimizer.clear_grad(set_to_zero=False)  # otherwise zeros are written and added to

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Train what is to be trained, and leave the model as it was."""
        # Only where it differs, because Paddle's layers take long to set an attribute.
        changed = [(each, mode) for each, mode in self._modes if each.training != mode]
        for layer, mode in changed:
            layer.training = mode
        for parameter in self._frozen:
            parameter.stop_gradient = True
        synchronized = self._norms if self.group.size > 1 and self.plan.sync_batch_norm else []
        for layer in synchronized:
            object.__setattr__(layer, "forward", partial(devices.synchronized, layer))
        try:
            yield
        finally:
            for layer in synchronized:
                object.__delattr__(layer, "forward")
            for parameter in self._frozen:
                parameter.stop_gradient = False
            for layer, mode in changed:
                layer.training = not mode

    def _distributed(self) -> paddle.DataParallel:
        with self._training():  # it exchanges the gradients of what is not frozen now
            return paddle.DataParallel(self.model)

    @contextmanager
    def _exchanging(self, last: bool) -> Iterator[None]:
        """Exchange gradients between processes, after the last part of a batch."""
        if last or not isinstance(self._network, paddle.DataParallel):
            yield
            return
        with self._network.no_sync():
            yield

    def _differentiate(self, loss: paddle.Tensor) -> None:
        if self.loss_scale is not None:
            loss = loss * self.loss_scale.value
        if self.group.size > 1:
            loss = loss * self.group.size  # gradients are averaged over the processes, not added
        loss.backward()

    @paddle.no_grad()
    def _join(self, loss: paddle.Tensor, share: float) -> None:
        """Add the loss over the processes, and average running statistics that are their own."""
        dist.all_reduce(loss)
        if self.plan.sync_batch_norm or not self._norms:
            return
        own = self._statistics
        whole = paddle.concat([buffer * share for buffer in own])
        dist.all_reduce(whole)
        for buffer, value in zip(own, whole.split([b.shape[0] for b in own]), strict=True):
            paddle.assign(value, buffer)

    def _loss(self, part: Part) -> paddle.Tensor:
        x, labels = self._to_tensor(part.x), paddle.to_tensor(part.labels, place=self._place)
        with ExitStack() as stack:
            # Hooks are not called inside what is compiled.
            stack.enter_context(_private.dynamic())
            for name, mask in part.masks.items():
                hook = _Dropping(self._to_tensor(mask))
                stack.callback(self._dropouts[name].register_forward_post_hook(hook).remove)
            outputs = self._outputs(x)
        loss: paddle.Tensor = self.backend.total_loss(
            self.model, outputs, labels, self.plan.label_smoothing
        )
        return loss

    def _outputs(self, x: paddle.Tensor) -> Any:
        if self.plan.precision == "full":
            return self._network(x)
        with paddle.amp.auto_cast(dtype=self.plan.precision):
            outputs = self._network(x)
        return mapped(outputs, lambda output: output.astype(self._dtype))

    def _to_tensor(self, array: Any) -> paddle.Tensor:
        return paddle.to_tensor(array, place=self._place).astype(self._dtype)

    @paddle.no_grad()
    def _update(self, gradients: list[paddle.Tensor], lr: float) -> None:
        if self.loss_scale is None or self._unscale(gradients, self.loss_scale):
            if self.plan.clip_norm is not None:
                _clip(gradients, self.plan.clip_norm)
            self._decay(lr)
            self.optimizer.step()
            self.steps += 1
        if self.plan.ema is not None:
            for name, average in self.averages.items():
                average.add_((1 - self.plan.ema) * (self._values[name].handle - average))

    def _decay(self, lr: float) -> None:
        """Let weights decay apart from the optimizer."""
        for parameter in self._trained.values():
            decay = self.plan.apart(parameter)
            if decay and self.plan.decoupled:
                parameter.scale_(1 - lr * decay)
            elif decay and parameter.grad is not None:
                parameter.grad.add_(decay * parameter)

    @staticmethod
    def _unscale(gradients: list[paddle.Tensor], scale: LossScale) -> bool:
        """Undo the scale of gradients, and tell whether all of them are finite."""
        for gradient in gradients:
            gradient.scale_(1 / scale.value)
        finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
        scale.update(finite)
        return finite


def _check(trained: list[paddle.Tensor], plan: Plan) -> paddle.Tensor:
    """Check that parameters can be trained as planned, and return one of them.

    Raises:
        BackendError: They cannot.
    """
    if not trained:
        raise BackendError(
            "there is nothing to train: the model has no parameters, or all of them are frozen"
        )
    example = trained[0]
    dtypes = {str(p.dtype).removeprefix("paddle.") for p in trained} - {"float32", "float64"}
    if dtypes:
        raise BackendError(
            f"zoo's paddle backend trains weights in float32 and float64, not in {dtypes.pop()}; "
            "build the model in one of them"
        )
    if plan.precision != "full" and example.place.is_cpu_place():
        raise BackendError(
            f"PaddlePaddle computes in {plan.precision} on GPUs only, and the model is on the CPU; "
            "train it in full precision"
        )
    if plan.compile:
        raise BackendError(
            "zoo's paddle backend does not compile training, which paddle.jit.to_static does not "
            "make faster; train without compiling"
        )
    return example


def _clip(gradients: list[paddle.Tensor], largest: float) -> None:
    squares = paddle.stack([gradient.square().sum() for gradient in gradients])
    # Not Paddle's own, which takes the norm of each group of an optimizer.
    factor = (largest / squares.sum().sqrt()).clip(max=1)
    for gradient in gradients:
        gradient.multiply_(factor)


class _Dropping:
    """Multiplies what a dropout in evaluation mode passes on, by a mask that is given."""

    def __init__(self, mask: paddle.Tensor) -> None:
        self.mask = mask

    def __call__(self, layer: nn.Layer, inputs: Any, output: paddle.Tensor) -> paddle.Tensor:
        return output * self.mask.astype(output.dtype)
