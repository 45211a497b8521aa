"""The page of a network's spec beside its source code: what belongs to what, and what it shows."""

from __future__ import annotations

import html
import re
import time
from pathlib import Path

import pytest
from browsing import chromium
from small import GOOGLENET

import zoo
from zoo.errors import InputError
from zoo.language.places import places, spans
from zoo.writing import notes
from zoo.writing.files import BACKENDS
from zoo.writing.highlighting import highlighted

#: One of each way in which specs are written.
MODELS = ("googlenet", "resnet50_keras", "vgg16_bn", "mobilenet_v3_small", "densenet121",
          "shufflenet_v2_x1_0")  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return {name: zoo.sources(name) for name in MODELS}


def layers(found, name):
    return {span.name for span in found.spans[name]}


@pytest.mark.parametrize("model", MODELS)
def test_every_layer_is_in_the_spec_and_in_each_framework(found, model):
    sources = found[model]
    graph = zoo.graph(model, aux=True) if sources.graph.omitted else sources.graph
    wanted = {place for chain in places(graph).values() for place in chain}
    stated = set().union(*(layers(sources, name) for name in sources.specs))
    assert wanted <= stated
    for backend in BACKENDS:
        groups = {place for place in wanted if any(p.startswith(f"{place}.") for p in wanted)}
        assert layers(sources, backend) - groups == wanted - groups, backend


def test_a_part_of_code_is_its_layer(found):
    sources = found["googlenet"]
    parts = {
        backend: {
            sources[backend][span.start : span.end]
            for span in sources.spans[backend]
            if span.name == "aux_head/dropout"
        }
        for backend in BACKENDS
    }
    assert parts["torch"] == {"self.dropout = nn.Dropout(0.7)", "self.dropout"}
    assert parts["keras"] == {'layers.Dropout(0.7, name=f"{name}.dropout")(x)'}
    (text,) = sources.specs.values()
    (span,) = (span for span in sources.spans["googlenet.yaml"] if span.name == "aux_head/dropout")
    assert text[span.start : span.end] == "dropout: {op: dropout, rate: 0.7}"


def test_the_page_has_all_code_unchanged(found):
    sources = found["googlenet"]
    for backend in BACKENDS:
        shown = highlighted(sources[backend], "python", sources.spans[backend])
        assert html.unescape(re.sub(r"<[^>]*>", "", shown)) == sources[backend].rstrip("\n")
        assert sources[backend] == zoo.source("googlenet", backend)


def test_links_are_where_dialects_differ(found):
    topics = {
        backend: {
            note.topic
            for _, _, note in notes.found(
                found["googlenet"][backend], backend, found["googlenet"].spans[backend]
            )
        }
        for backend in BACKENDS
    }
    common = {"layouts", "padding", "ceil_mode", "average_pool", "lrn", "flatten", "dropout"}
    for backend in BACKENDS:
        assert common | {"initializers"} <= topics[backend] | ({"ceil_mode"} & common), backend
        assert "batch_norm" not in topics[backend]
    assert "randomness" in topics["flax"]
    assert "randomness" not in topics["torch"]


def test_models_of_others_are_not_its_own():
    text = (
        "layers:\n  a: {op: relu}\n"
        "models:\n"
        "  one: {layers: {a: {op: tanh}}}\n"
        "  two:\n    base: one\n    layers:\n      b: {op: relu}\n\n      # a comment\n"
        "  three: {layers: {c: {op: relu}}}\n"
    )
    (written,) = spans([text], "two")
    assert [text[s.start : s.end] for s in written] == [
        "a: {op: relu}",
        "a: {op: tanh}",
        "b: {op: relu}",
    ]


def test_a_graph_without_a_file_has_its_spec(tmp_path):
    path = tmp_path / "mine.yaml"
    spec = Path(GOOGLENET.partition(":")[0]).read_text()
    path.write_text(spec)
    graph = zoo.graph(path)
    sources = zoo.sources(path)
    assert list(sources.specs) == ["mine.yaml", "googlenet.yaml"]
    assert sources.specs["mine.yaml"] == spec
    assert "/aux2" in layers(sources, "mine.yaml")
    again = zoo.sources(zoo.Graph.from_dict(graph.to_dict()))
    (text,) = again.specs.values()
    path.write_text(text)
    assert zoo.graph(path).nodes == graph.nodes


def test_text_of_a_spec_is_not_markup(tmp_path):
    path = tmp_path / "mine.yaml"
    spec = Path(GOOGLENET.partition(":")[0]).read_text()
    about = "</script><script>alert(1)</script> \ue000x\ue001 <b>"
    spec = re.sub(r"(?m)^    about: .*$", f'    about: "{about}"', spec, count=1)
    path.write_text(spec)
    page = zoo.sources(path).html
    assert "<script>alert" not in page
    assert page.count("<script") == 2


def test_a_page_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        zoo.sources("lenet5", tmp_path / "none" / "page.html")


@pytest.fixture(scope="module")
def browser(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "googlenet.html"
    found["googlenet"].save(path)
    running = chromium()
    browser = next(running)
    browser.set_window_size(1700, 900)
    browser.get(path.as_uri())
    yield browser
    assert not browser.get_log("browser")
    running.close()


def lit(browser, pane):
    return [
        part.text
        for part in browser.find_elements("css selector", f"#pane-{pane} [data-layer].lit")
    ]


def test_a_layer_lights_in_all_columns(browser):
    from selenium.webdriver import ActionChains

    layer = browser.find_element("css selector", '#pane-torch [data-layer="/inception3a"]')
    ActionChains(browser).move_to_element(layer).perform()
    assert lit(browser, "torch")[0] == 'self.inception3a = Inception(192, *TABLE1["inception3a"])'
    assert lit(browser, "googlenet") == ["inception3a: {block: inception, table: table1}"]
    for pane in ("paddle", "keras", "flax"):
        assert all("inception3a" in text for text in lit(browser, pane)), pane
        assert lit(browser, pane)
    boxes = browser.find_elements("css selector", ".picture .lit")
    assert [box.get_attribute("data-name") for box in boxes] == ["inception3a"]
    said = browser.find_element("css selector", "nav output").text
    assert said == "inception3a: 28x28x256, 163,696 parameters"


def test_a_layer_that_is_clicked_stays_and_is_scrolled_to(browser):
    from selenium.webdriver import ActionChains

    box = browser.find_element("css selector", '.picture [data-name="inception5b"] rect')
    browser.execute_script("arguments[0].scrollIntoView()", box)
    ActionChains(browser).move_to_element(box).click().perform()
    ActionChains(browser).move_to_element(browser.find_element("css selector", "h1")).perform()
    for pane in ("googlenet", "torch", "paddle", "keras", "flax"):
        first = browser.find_element("css selector", f"#pane-{pane} .lit")
        area = browser.find_element("css selector", f"#pane-{pane} pre")
        assert area.rect["y"] <= first.rect["y"] <= area.rect["y"] + area.rect["height"], pane


def test_layers_by_keyboard(browser):
    from selenium.webdriver.common.keys import Keys

    area = browser.find_element("css selector", "#pane-keras pre")
    browser.execute_script("arguments[0].focus()", area)
    area.send_keys("n")
    first = lit(browser, "torch")
    area.send_keys("n")
    assert first
    assert lit(browser, "torch") != first
    area.send_keys("p")
    assert lit(browser, "torch") == first
    area.send_keys(Keys.ESCAPE)
    assert not lit(browser, "torch")


def test_columns_are_chosen(browser):
    button = browser.find_element("css selector", "[data-pane=flax]")
    button.click()
    assert not browser.find_element("id", "pane-flax").is_displayed()
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert browser.find_element("id", "pane-flax").is_displayed()


def test_a_narrow_screen_has_one_column(browser):
    size = {"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    time.sleep(0.2)
    shown = [p for p in browser.find_elements("css selector", ".pane") if p.is_displayed()]
    assert [pane.get_attribute("id") for pane in shown] == ["pane-googlenet"]
    browser.find_element("css selector", "[data-pane=keras]").click()
    shown = [p for p in browser.find_elements("css selector", ".pane") if p.is_displayed()]
    assert [pane.get_attribute("id") for pane in shown] == ["pane-keras"]
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
