"""Writes the metrics of a run as events that TensorBoard shows.

They are written when they happen. The ``SummaryWriter`` of tensorboardX has a thread for that, and
if the disk is full, the thread ends and whoever adds events waits for it forever.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from zoo import arguments
from zoo.errors import BackendError, InputError
from zoo.training.events import Epoch, Evaluating, Event, Step

#: Seconds after which events are on the disk, for those who watch a long epoch.
_FLUSH = 30.0


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
        self._flushed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            with self._writing() if error is None else suppress(OSError):
                self._writer.close()

    def __call__(self, event: Event) -> None:
        """Write an event.

        Raises:
            InputError: The folder cannot be written to.
        """
        if isinstance(event, Evaluating):
            return
        with self._writing():
            if self._writer is None:
                self._begin(event.step)
            match event:
                case Step():
                    self._write("step", event.step, loss=event.loss, lr=event.lr)
                case Epoch():
                    self._write("train", event.step, loss=event.train_loss)
                    self._evaluated(event)
            if isinstance(event, Epoch) or time.monotonic() - self._flushed > _FLUSH:
                self._writer.flush()
                self._flushed = time.monotonic()

    def _evaluated(self, epoch: Epoch) -> None:
        """Write the evaluation of the weights, and that of their averages under another name."""
        averages = None if epoch.plain is None else epoch.validation
        for group, result in (
            ("validation", epoch.plain or epoch.validation),
            ("validation_ema", averages),
        ):
            if result is not None:
                self._write(group, epoch.step, loss=result.loss, top1=result.top1)
                if result.top5 is not None:
                    self._write(group, epoch.step, top5=result.top5)

    def _begin(self, step: int) -> None:
        """Begin a file, and let TensorBoard forget what other files have of this and later steps.

        They are of steps that are made again, as the run was resumed.
        """
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.record_writer import RecordWriter, directory_check

        directory_check(self._path)
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        self._writer, self._flushed = RecordWriter(os.path.join(self._path, name)), time.monotonic()
        self._add(file_version="brain.Event:2")
        self._add(step=step, session_log=SessionLog(status=SessionLog.START))

    def _write(self, group: str, step: int, **values: float) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        for name, value in values.items():
            scalar = Summary.Value(tag=f"{group}/{name}", simple_value=value)
            self._add(step=step, summary=Summary(value=[scalar]))

    def _add(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record

        self._writer.write(Record(wall_time=time.time(), **fields).SerializeToString())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Report what keeps the folder from being written to, such as a full disk."""
        try:
            yield
        except OSError as error:
            if self._writer is not None:
                with suppress(OSError):  # the same again, of what is still in the buffer
                    self._writer.close()
            reason = error.strerror or error
            raise InputError(f"{self._path}: cannot be written to: {reason}") from None
