"""A card for each model, and a page for each family."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zoo
from pages import accuracy, sides
from pages.staging import put
from pages.tabs import tabs
from zoo.data.images import USUAL
from zoo.views.shapes import height_width_channels
from zoo.weights import sources

#: What each backend returns.
CLASSES = {
    "torch": "a torch.nn.Module",
    "paddle": "a paddle.nn.Layer",
    "keras": "a keras.Model",
    "flax": "a flax.nnx.Module",
    "onnx": "an onnx.ModelProto",
}


def write(graphs: Mapping[str, zoo.Graph], target: Path, reports: Path | None) -> None:
    """Write the pages of all families and models, with their drawings.

    Args:
        graphs: Every model's graph, family by family.
        target: The folder of the pages.
        reports: The folder of ``zoo verify --all --output``, if the models were verified.
    """
    families: dict[str, list[zoo.Graph]] = {}
    for graph in graphs.values():
        families.setdefault(graph.about["family"], []).append(graph)
        put(target / f"models/{graph.name}.svg", zoo.draw(graph).svg)
        put(target / f"models/{graph.name}.md", card(graph, reports))
    for name, members in families.items():
        put(target / f"families/{name}.md", _family(members))
    index = "".join(f"families/{name}\n" for name in families)
    put(target / "families.txt", index)


def card(graph: zoo.Graph, reports: Path | None) -> str:
    """Return the page of a model."""
    about = graph.about
    parts = [
        "---\norphan: true\n---",
        f"# {graph.name}",
        f"A model of the family [{about['title']}](../families/{about['family']}.md). "
        f"{about['about'] or ''}".strip(),
        _counts(graph),
        _built(graph),
        *([sides.link(graph.name, "../")] if graph.name in sides.MODELS else []),
        "## Drawing",
        f"```{{image}} {graph.name}.svg\n:alt: {_alt(graph)}\n```",
        f'`zoo.draw("{graph.name}", depth=3)` opens the blocks.',
        "## Layers",
        _layers(graph),
        "## Published weights",
        _weights(graph),
        "## Paper",
        _paper(about["paper"]),
        "## Verification",
        _verified(graph.name, reports),
    ]
    return "\n\n".join(parts) + "\n"


def _alt(graph: zoo.Graph) -> str:
    steps = ", ".join(step.name for step in graph.root.steps)
    return f"{graph.name} from its input to its logits: {steps}"


def _counts(graph: zoo.Graph) -> str:
    facts = {
        "input": height_width_channels(graph.input_shape),
        "classes": f"{graph.output_nodes[graph.outputs[0].name].shape[0]:,}",
        "parameters": f"{graph.num_parameters:,}",
        "multiply-accumulates": f"{graph.macs:,}",
        "operations": f"{len(graph.nodes):,}",
    }
    if graph.omitted:
        facts["auxiliary heads"] = f"{', '.join(graph.omitted)}; build them with `aux=True`"
    rows = (f"| {name} | {value} |" for name, value in facts.items())
    return "\n".join(["| property | value |", "|---|---|", *rows])


def _built(graph: zoo.Graph) -> str:
    code = {
        name: f'import zoo\n\nmodel = zoo.build("{graph.name}", "{name}")  # {what}\n'
        for name, what in CLASSES.items()
    }
    return tabs({name: f"```python\n{text}```" for name, text in code.items()})


def _layers(graph: zoo.Graph) -> str:
    return f"```{{raw}} html\n{zoo.summary(graph).to_html()}\n```"


def _weights(graph: zoo.Graph) -> str:
    rows = list(_files(graph))
    if not rows:
        return "zoo knows no published weights of this network."
    head = ["`weights=`", "file", "license", "preprocessing"]
    if any(row[4] for row in rows):
        head += ["top-1", "top-5"]
    table = [f"| {' | '.join(head)} |", "|---" * 4 + "|--:" * (len(head) - 4) + "|"]
    table += [f"| {' | '.join(row[: len(head)])} |" for row in rows]
    notes = [
        "zoo downloads a file with a name under `weights=`, and checks its hash. For any other, "
        "pass the path of the file."
    ]
    if len(head) > 4:
        notes.append(
            "The accuracy, in percent of ImageNet's validation images, is what the publisher "
            "states on the page that is linked, if it does."
        )
    return "\n\n".join(["\n".join(table), " ".join(notes)])


def _files(graph: zoo.Graph) -> Iterator[list[str]]:
    """Each file as the cells of a row."""
    for source in sources.sources().values():
        network = source.networks.get(graph.name)
        if network is None:
            continue
        title = f"[{source.title}]({source.url})"
        license = network.license or source.license
        recipe = {**USUAL, **graph.preprocessing, **network.preprocessing}
        size = graph.input_shape[1:]
        if not network.published:
            ends = " or ".join(f"`.{suffix}`" for suffix in source.formats)
            yield ["a path", f"{ends} of {title}", license, _preprocessing(size, recipe), "", ""]
        for i, file in enumerate(network.published):
            tag = f":{file.tag}" if file.tag and i else ""
            of_file = (file.input_size,) * 2 if file.input_size else size
            stated = accuracy.stated().get((source.name, file.url))
            figures = [f"[{stated.top1}]({stated.stated_in})", stated.top5] if stated else ["", ""]
            yield [
                f'`"{source.name}{tag}"`' if file.downloaded else "a path",
                f"[{file.name}]({file.url}) of {title}",
                file.license or license,
                _preprocessing(of_file, {**recipe, **(file.preprocessing or {})}),
                *figures,
            ]


def _preprocessing(size: Sequence[int], recipe: Mapping[str, Any]) -> str:
    height, width = size
    parts = [f"{height}x{width}", recipe["interpolation"]]
    crop = recipe["crop"]
    if not isinstance(crop, int | float):
        parts.append(f"crop {crop[0]} of {crop[1]}")
    elif crop != 1:
        parts.append(f"crop {crop:g}")
    if not recipe["keep_aspect"]:
        parts.append("stretched")
    if recipe["channels"] != "rgb":
        parts.append("BGR")
    if all(recipe[key] == USUAL[key] for key in ("range", "mean", "std")):
        parts.append("ImageNet's mean and deviation")
    else:
        parts.append(f"0 to {recipe['range']:g}")
        parts += [f"{key} {', '.join(f'{v:g}' for v in recipe[key])}" for key in ("mean", "std")]
    return ", ".join(parts)


def _paper(paper: Mapping[str, Any]) -> str:
    if not paper:
        return "There is no paper about this network."
    title = paper["title"]
    head = f"[{title}]({paper['url']})" if paper.get("url") else f"*{title}*"
    about = [str(paper[key]) for key in ("authors", "venue", "year") if paper.get(key)]
    if len(about) > 1 and about[-1] in about[-2]:  # "CVPR 2015"
        about.pop()
    return f"{head}. {', '.join(about)}."


def _verified(name: str, reports: Path | None) -> str:
    """Describe the result of a verification that a folder of reports holds."""
    command = f"```\nzoo verify {name}\n```"
    file = reports / f"{name}.json" if reports else None
    if file is None or not file.is_file():
        return f"To verify that this network is the same in all installed frameworks:\n\n{command}"
    report = json.loads(file.read_text())
    verdict = "PASS" if report["passed"] else "FAIL"
    rows = [
        f"| {each['title']} | {', '.join(map(' '.join, each['versions'].items()))} | "
        f"{_error(each['worst'])} |"
        for each in report["results"]
        if each["status"] == "compared"
    ]
    head = "| framework | versions | largest error |\n|---|---|---|"
    parts = [
        f"**{verdict}** in {report['dtype']}, level `{report['level']}`, with a tolerance of "
        f"{report['tolerance']:.1e} at every node.",
        "\n".join([head, *rows]) if rows else report["not_run"],
        "To repeat it:",
        command,
    ]
    return "\n\n".join(parts)


def _error(worst: Mapping[str, Any] | None) -> str:
    if worst is None or worst["error"] is None:
        return "not a number"
    return f"{worst['error']:.1e} at `{worst['node']}`"


def _family(members: Sequence[zoo.Graph]) -> str:
    """Return the page of a family: its paper, and its models side by side."""
    about = members[0].about
    rows = [
        f"| [`{g.name}`](../models/{g.name}.md) | {g.num_parameters:,} | {g.macs:,} | "
        f"{height_width_channels(g.input_shape)} | {', '.join(_publishers(g.name)) or 'none'} | "
        f"{html.escape(g.about['about'] or '', quote=False)} |"
        for g in members
    ]
    head = "| model | parameters | MACs | input | weights | about |\n|---|--:|--:|--:|---|---|"
    return (
        "\n\n".join(
            [f"# {about['title']}", _paper(about["paper"]), "\n".join([head, *rows]), _spec(about)]
        )
        + "\n"
    )


def _publishers(name: str) -> list[str]:
    return [source.name for source in sources.sources().values() if name in source.networks]


def _spec(about: Mapping[str, Any]) -> str:
    return (
        "The columns count the trainable parameters, and the multiply-accumulates (MACs) of one "
        "image. `zoo diff` shows how two of these models differ."
    )
