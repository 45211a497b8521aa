"""Where weights come from, and what their publisher states about them, as far as known.

Names do not prove who published a file: if you train torchvision's ResNet on your own images, the
file has torchvision's names. A hash proves it, and a statement in the file itself is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.errors import WeightsError
from zoo.weights import published_files
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.reading import zoo_file
from zoo.weights.sources import File, Source

_CONFIG = "config.json"
_BESIDE_CONFIG = ("model.safetensors", "pytorch_model.bin")  # the names of Hugging Face's files
_MAX_CONFIG = 10_000_000  # bytes


def stated(
    checkpoint: Checkpoint,
    path: Path,
    tables: Sequence[Source],
    file: File | None = None,
    notes: Sequence[str] = (),
) -> Checkpoint:
    """Add what is known of a publisher's file: its origin, and its preprocessing.

    Args:
        checkpoint: The weights.
        path: Their file.
        tables: The sources whose names it has.
        file: The published file that it is, if that has been checked; it is the first source's.
        notes: How the file departs from a published one.

    Returns:
        The checkpoint. Only if the file is one that a source published does its ``origin`` state
        a source, and that source's license; otherwise it states whose names the file has.

    Raises:
        WeightsError: The file was published for another network with similar arrays; or what it
            states about itself is wrong.
    """
    table = tables[0] if file else None
    if file is None and not notes:
        table, file = published_files.recognized(path, tables, checkpoint.model)
        if table is None and (other := published_files.published_as(path, tables)):
            raise WeightsError(
                f"{path} is {other[0].title}'s file of {other[1]}, whose arrays have the names and "
                f"shapes of those of {checkpoint.model}, but which computes something else with "
                f"them; build {other[1]!r}"
            )
    if table and file:
        license = file.license or table.networks[checkpoint.model].license or table.license
        origin = {"source": table.title, "file": path.name, "license": license}
        size = (file.input_size, file.input_size) if file.input_size else None
        return _with_recipe(checkpoint, origin, file.preprocessing, size)
    names = " and ".join(dict.fromkeys(f"{table.title}'s" for table in tables))
    origin = {"names": f"as {names}", "file": path.name}
    if notes:
        origin["note"] = "; ".join(notes)
    config = _config(path) if any(table.name == "timm" for table in tables) else None
    if config is None:
        return replace(checkpoint, origin=origin)
    if config.license:
        origin["license"] = config.license
    return _with_recipe(checkpoint, origin, config.recipe, config.input_size[1:])


def _with_recipe(
    checkpoint: Checkpoint,
    origin: Mapping[str, str],
    recipe: Mapping[str, Any] | None,
    size: tuple[int, int] | None,
) -> Checkpoint:
    """Return a checkpoint with a publisher's preprocessing, and its input size unless chosen."""
    document: Any = checkpoint.document
    if recipe is not None:
        document = {**document, "preprocessing": dict(recipe)}
    chosen = checkpoint.chosen
    if chosen.input_size is None:
        chosen = chosen._replace(input_size=size)
    return replace(checkpoint, origin=origin, document=document, chosen=chosen, input_size=size)


_Fraction = Annotated[float, Field(gt=0, le=1)]
_Side = Annotated[int, Field(gt=0, le=8192)]
_Deviation = Annotated[float, Field(gt=0)]


class _Config(BaseModel):
    """timm's ``pretrained_cfg``: what its files say of themselves."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    input_size: tuple[Literal[3], _Side, _Side]
    crop_pct: _Fraction
    crop_mode: Literal["center", "squash"] = "center"
    interpolation: Literal["nearest", "bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[_Deviation, _Deviation, _Deviation]
    license: str | None = Field(None, max_length=200)

    @property
    def recipe(self) -> dict[str, Any]:
        """The fields of a spec's ``preprocessing``."""
        return {
            "crop": self.crop_pct,
            "keep_aspect": self.crop_mode != "squash",
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
        }


def architecture(path: Path) -> str | None:
    """Return timm's name of the network of a file, if the file or its configuration has it."""
    try:
        stated, beside = _read(path)
    except (OSError, ValueError, RecursionError):
        return None  # a wrong configuration is reported when it is used
    for each in (beside, stated):
        name = each.get("architecture") if isinstance(each, dict) else None
        if isinstance(name, str) and name:
            return name
    return None


def _place(path: Path) -> tuple[Path, str] | None:
    """Return the file that has the ``pretrained_cfg``, and its text if it is the weights' own."""
    if path.suffix.lower() == ".safetensors":
        text = zoo_file.texts_of(path).get("pretrained_cfg", "")
        if text:
            return path, text
    beside = path.parent / _CONFIG
    return (beside, "") if path.name in _BESIDE_CONFIG and beside.is_file() else None


def _read(path: Path) -> tuple[Any, Any]:
    """Return a ``pretrained_cfg`` as data, and the configuration that it is in."""
    place = _place(path)
    if place is None:
        return None, None
    file, text = place
    if text:
        return json.loads(text), None
    with file.open("rb") as opened:
        config = json.loads(opened.read(_MAX_CONFIG))
    return config.get("pretrained_cfg") if isinstance(config, dict) else None, config


def _config(path: Path) -> _Config | None:
    """Return the ``pretrained_cfg`` in a file, or in the configuration next to it."""
    try:
        stated, _ = _read(path)
        return None if stated is None else _Config.model_validate(stated)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        problem = f"{field}: {first['msg']}" if field else first["msg"]
    except (OSError, ValueError, RecursionError) as error:
        problem = str(error).partition("\n")[0][:200]
    place = _place(path)
    where = place[0] if place else path
    raise WeightsError(
        f"{where}: pretrained_cfg: {problem}. Correct it or remove it; without it, "
        "the weights get the preprocessing of the network's spec."
    )
