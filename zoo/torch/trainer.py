"""Trains a PyTorch module, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from zoo.backend.devices import ALONE, Group
from zoo.backend.outputs import mapped
from zoo.backend.training import LossScale, Part, Plan, Trainer
from zoo.errors import BackendError
from zoo.torch import devices, optimizers
from zoo.torch.train import training


class TorchTrainer(Trainer):
    """Runs forward and backward passes eagerly, or compiled if the plan says so."""

    model: nn.Module

    def __init__(self, backend: Any, model: nn.Module, plan: Plan, group: Group = ALONE) -> None:
        super().__init__(backend, model, plan, group)
        own = backend.tensors(model)
        self._trained = {name: own[name].handle for name in self.trained}
        self._frozen = [own[name].handle for name in own.keys() & plan.frozen]
        rule = plan.optimized
        if plan.native:
            self.optimizer = optimizers.native(self._trained, rule.name, rule.lr, plan.settings)
        else:
            decays = {name: rule.decay_of(p) for name, p in self.trained.items()}
            self.optimizer = optimizers.make(self._trained, rule, decays)
        optimizers.start(self.optimizer, plan.rule, 0)
        example = next(model.parameters())
        self._device, self._dtype = example.device, example.dtype
        self._values = own if plan.ema is not None else {}
        self.averages = {name: t.handle.detach().clone() for name, t in self._values.items()}
        self._norms = [
            cast(nn.BatchNorm2d, model.get_submodule(node.name))
            for node in backend.known_graph(model).nodes
            if node.op == "batch_norm" and node.name not in self.frozen_norms
        ]
        self._network: nn.Module = self._distributed() if group.size > 1 else model
        self._loss = torch.compile(self._compute) if plan.compile else self._compute

    def step(self, parts: Sequence[Part], lr: float, examples: int | None = None) -> torch.Tensor:
        if self.group.size == 1:
            return self._step(parts, lr, sum(len(part.labels) for part in parts))
        assert examples is not None
        with devices.connected():
            return self._step(parts, lr, examples)

    def _step(self, parts: Sequence[Part], lr: float, examples: int) -> torch.Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=self._dtype, device=self._device)
        with self._training():
            for number, part in enumerate(parts):
                x = torch.from_numpy(part.x).to(self._device, self._dtype)
                labels = torch.from_numpy(part.labels).to(self._device)
                masks = {
                    name: torch.from_numpy(mask).to(self._device, self._dtype)
                    for name, mask in part.masks.items()
                }
                with self._exchanging(last=number == len(parts) - 1):
                    loss = self._loss(x, labels, masks) * (len(part.labels) / examples)
                    self._differentiate(loss)
                total += loss.detach()
        if self.group.size > 1:
            self._join(total, sum(len(part.labels) for part in parts) / examples)
        if not total.isfinite():
            return total
        gradients = [p.grad for p in self._trained.values() if p.grad is not None]
        if self.loss_scale is None or self._unscale(gradients, self.loss_scale):
            if self.plan.clip_norm is not None:
                _clip(gradients, self.plan.clip_norm)
            self._decay(lr)
            self.optimizer.step()
            self.steps += 1
        if self.plan.ema is not None:
            self._average(self.plan.ema)
        return total

    def slot(self, slot: str, name: str) -> torch.Tensor:
        value: torch.Tensor = self.optimizer.state[self._trained[name]][optimizers.SLOTS[slot]]
        return value

    def set_state(self, arrays: Mapping[str, Any], steps: int) -> None:
        super().set_state(arrays, steps)
        optimizers.start(self.optimizer, self.plan.rule, steps)

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Train what is to be trained, and leave the model as it was."""
        with training(self.model), ExitStack() as stack:
            for name in (*self.frozen_norms, *self.dropouts):
                self.model.get_submodule(name).eval()
            for layer in self._norms if self.group.size > 1 else ():
                if self.plan.sync_batch_norm:
                    layer.forward = partial(devices.synchronized, layer)  # type: ignore[method-assign]  # until the step ends
                    stack.callback(delattr, layer, "forward")
            for parameter in self._frozen:
                stack.callback(parameter.requires_grad_, parameter.requires_grad)
                parameter.requires_grad_(False)
            yield

    def _distributed(self) -> nn.Module:
        if self.plan.compile:
            raise BackendError(
                "zoo's torch backend does not compile a step of several devices; train without "
                "compiling"
            )
        with self._training():  # it exchanges the gradients of what is not frozen now
            return devices.parallel(self.model)

    @contextmanager
    def _exchanging(self, last: bool) -> Iterator[None]:
        """Exchange gradients between processes, after the last part of a batch."""
        if last or not isinstance(self._network, DistributedDataParallel):
            yield
            return
        with self._network.no_sync():
            yield

    def _differentiate(self, loss: torch.Tensor) -> None:
        if self.loss_scale is not None:
            loss = loss * self.loss_scale.value
        if self.group.size > 1:
            loss = loss * self.group.size  # gradients are averaged over the processes, not added
        torch.autograd.backward(loss)

    @torch.no_grad()
    def _join(self, loss: torch.Tensor, share: float) -> None:
        """Add the loss over the processes, and average running statistics that are their own."""
        dist.all_reduce(loss)
        if self.plan.sync_batch_norm or not self._norms:
            return
        own = [
            cast(torch.Tensor, buffer)
            for layer in self._norms
            for buffer in (layer.running_mean, layer.running_var)
        ]
        whole = torch.cat([buffer * share for buffer in own])
        dist.all_reduce(whole)
        ends = np.cumsum([len(buffer) for buffer in own])[:-1]
        for buffer, value in zip(own, whole.tensor_split(ends.tolist()), strict=True):
            buffer.copy_(value)

    def _compute(
        self, x: torch.Tensor, labels: torch.Tensor, masks: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        with ExitStack() as stack:
            for name, mask in masks.items():
                module = self.model.get_submodule(name)
                stack.callback(module.register_forward_hook(_Dropping(mask)).remove)
            if self.plan.precision != "full":
                dtype = getattr(torch, self.plan.precision)
                stack.enter_context(torch.autocast(self._device.type, dtype))
            outputs = mapped(self._network(x), lambda output: output.to(self._dtype))
        loss: torch.Tensor = self.backend.total_loss(
            self.model, outputs, labels, self.plan.label_smoothing
        )
        return loss

    @staticmethod
    def _unscale(gradients: list[torch.Tensor], scale: LossScale) -> bool:
        """Undo the scale of gradients, and tell whether all of them are finite."""
        for gradient in gradients:
            gradient.div_(scale.value)
        finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
        scale.update(finite)
        return finite

    @torch.no_grad()
    def _decay(self, lr: float) -> None:
        """Let weights decay apart from the optimizer."""
        for parameter in self._trained.values():
            decay = self.plan.apart(parameter)
            if decay and self.plan.decoupled:
                parameter.mul_(1 - lr * decay)
            elif decay and parameter.grad is not None:
                parameter.grad.add_(parameter, alpha=decay)

    @torch.no_grad()
    def _average(self, kept: float) -> None:
        for name, average in self.averages.items():
            average.add_(self._values[name].handle - average, alpha=1 - kept)


def _clip(gradients: list[torch.Tensor], largest: float) -> None:
    norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))
    # Not PyTorch's own, which adds 1e-6 to the norm.
    factor = torch.clamp(largest / norm, max=1)
    for gradient in gradients:
        gradient.mul_(factor)


class _Dropping:
    """Multiplies what a dropout in evaluation mode passes on, by a mask that is given."""

    def __init__(self, mask: torch.Tensor) -> None:
        self.mask = mask

    def __call__(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return output * self.mask.to(output.dtype)
