"""Writes the metrics of a run as events that TensorBoard shows."""

from __future__ import annotations

import os
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from zoo import arguments
from zoo.errors import BackendError
from zoo.training.events import Epoch, Evaluating, Event, Step


class TensorBoard:
    """A callback of ``zoo.train``, to be used in a ``with`` block.

    Example:
        >>> import tempfile, zoo
        >>> from zoo.training.tensorboard import TensorBoard
        >>> folder, model = tempfile.mkdtemp(), zoo.build("lenet5", "torch")
        >>> with TensorBoard(folder) as board:
        ...     _ = zoo.train(model, "digits", epochs=1, lr=0.05, callbacks=[board])
        >>> len(os.listdir(folder))
        1
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Prepare a file of events, which begins with the first event.

        Args:
            folder: The folder to write it to.

        Raises:
            BackendError: ``tensorboardX`` is not installed.
        """
        self._path = arguments.path("folder", folder, "the path of a folder")
        if find_spec("tensorboardX") is None:
            raise BackendError(
                "events for TensorBoard need tensorboardX: "
                "python -m pip install 'polyzoo[tensorboard]'"
            )
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, event: Event) -> None:
        match event:
            case Step():
                self._write("step", event.step, loss=event.loss, lr=event.lr)
            case Epoch():
                result = event.validation
                self._write("train", event.step, loss=event.train_loss)
                self._write("validation", event.step, loss=result.loss, top1=result.top1)
                if result.top5 is not None:
                    self._write("validation", event.step, top5=result.top5)
            case Evaluating():
                pass

    def _write(self, group: str, step: int, **values: float) -> None:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(self._path)
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
