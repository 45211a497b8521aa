"""Reads images: files, Pillow images and arrays, each as a Pillow image of 8 bits."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from zoo import arguments
from zoo.errors import MAX_QUOTED, InputError, printable, shortened

if TYPE_CHECKING:
    from PIL import Image

    Source = str | bytes | os.PathLike[str] | Image.Image | np.ndarray[tuple[int, ...], Any]

MAX_PIXELS = 100_000_000

#: Modes that Pillow converts to gray or RGB only by way of another.
_BY_WAY_OF = {"LAB": "RGB", "La": "LA", "RGBa": "RGBA"}

_EXPECTED = "a file, a Pillow image or an array"


def read(image: Source, mode: str) -> Image.Image:
    """Return an image in 8 bits per value, upright, without transparency; it is not changed.

    A file and the Pillow image of it give the same result.

    Args:
        image: An image file that Pillow reads, a Pillow image, or an array of uint8 [H, W, 3],
            [H, W, 4], [H, W, 1] or [H, W].
        mode: ``RGB``, or ``L`` for the luminance.

    Raises:
        InputError: It cannot be read, is empty or too large, or has values other than brightness.

    Example:
        >>> read(np.zeros((4, 6, 4), np.uint8), "L").size
        (6, 4)
    """
    from PIL import Image

    if isinstance(image, Image.Image):
        return _converted(image, mode, str(getattr(image, "filename", "")) or "the image")
    if hasattr(image, "__array__") and not isinstance(image, str | bytes):
        return _converted(_from_array(image), mode, "the image", is_upright=True)
    name = os.fsdecode(image) if isinstance(image, bytes) else image  # as TensorFlow has paths
    path = arguments.path("an image", name, _EXPECTED)
    shown = shortened(printable(path), MAX_QUOTED)
    if not os.path.isfile(path):  # opening a pipe could block forever
        if arguments.is_address(path):
            raise InputError(f"{shown}: an address; download the image, and pass its path")
        raise InputError(f"{shown}: {'not a file' if os.path.exists(path) else 'no such file'}")
    if not os.path.getsize(path):
        raise InputError(f"{shown}: cannot be read as an image (the file is empty)")
    with opened(path, shown) as found:
        return _converted(found, mode, shown)


def opened(file: str | BinaryIO, name: str) -> Image.Image:
    """Open an image file, whose values are read later.

    Args:
        file: Its path, or the file itself.
        name: What messages call it.

    Raises:
        InputError: It is no image.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # zoo has its own limit
            return Image.open(file)
    except Exception as error:  # a damaged image can make Pillow raise anything
        raise _unreadable(name, error) from None


def _converted(
    image: Image.Image, mode: str, name: str, *, is_upright: bool = False
) -> Image.Image:
    """Convert an image, turned as its EXIF orientation says unless it is known to be upright."""
    from PIL import ImageOps

    width, height = image.size
    if not width * height:
        raise InputError(f"{name}: the image is empty, {width}x{height} pixels")
    if width * height > MAX_PIXELS:  # before anything is decoded
        raise InputError(f"{name}: the image has more than {MAX_PIXELS:,} pixels")
    try:
        upright = image if is_upright else ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            return _to_eight_bits(upright, name).convert(mode)
        if upright.mode == "P" and "transparency" in upright.info:  # else Pillow warns
            upright = upright.convert("RGBA")
        return upright.convert(_BY_WAY_OF.get(upright.mode, mode)).convert(mode)
    except Exception as error:  # a damaged image can make Pillow raise anything
        raise _unreadable(name, error) from None


def _to_eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale a 16-bit gray image to 8 bits; Pillow would clip its values at 255."""
    from PIL import Image

    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise InputError(
            f"{name}: expected an image with 8 or 16 bits per value, "
            f"got Pillow's mode {image.mode!r}"
        )
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _from_array(image: Any) -> Image.Image:
    from PIL import Image

    expected = "an image as uint8 [H, W, 3]"
    values = arguments.array("it", image, expected)
    fits = values.ndim > 1 and values.shape[2:] in ((), (1,), (3,), (4,)) and values.size
    if values.dtype != np.uint8 or not fits:
        hint = ""
        if values.dtype.kind == "f":
            hint = "; for values from 0 to 1: (255 * values).round().astype('uint8')"
        elif values.ndim == 3 and len(values) in (1, 3, 4) and not fits:
            hint = "; move the channels last: values.transpose(1, 2, 0)"
        raise InputError(f"expected {expected}, got {values.dtype} {list(values.shape)}{hint}")
    return Image.fromarray(values[:, :, 0] if values.shape[2:] == (1,) else values)


def _unreadable(name: str, error: Exception) -> InputError:
    """Return the error for whatever Pillow raised, which depends on the format of a file."""
    from PIL import UnidentifiedImageError

    if isinstance(error, InputError):
        return error
    reason = getattr(error, "strerror", None) or str(error)[:MAX_QUOTED] or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        reason = "no format that Pillow knows"
    return InputError(f"{name}: cannot be read as an image ({reason})")
