"""The page of a network's spec beside its source code: what belongs to what, and what it shows."""

from __future__ import annotations

import html
import re
import time
from collections import Counter
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


def positions(browser):
    """Left, top, right of every column that is shown."""
    shown = [p for p in browser.find_elements("css selector", ".pane") if p.is_displayed()]
    return [(p.rect["x"], p.rect["y"], p.rect["x"] + p.rect["width"]) for p in shown]


def resized(browser, width, height=900):
    """Emulate a screen: a phone if it is narrow."""
    phone = width < 600
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    touch = {"enabled": phone, "maxTouchPoints": 1} if phone else {"enabled": False}
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
    time.sleep(0.2)


@pytest.fixture
def screen(browser):
    yield lambda *size: resized(browser, *size)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_no_column_is_off_the_screen(browser, screen):
    """Those that do not fit beside the others are in further rows, of about as many columns."""
    screen(2100)
    assert len({top for _, top, _ in positions(browser)}) == 1
    screen(1400)
    places = positions(browser)
    assert sorted(Counter(top for _, top, _ in places).values()) == [3, 3]
    assert max(right for *_, right in places) <= 1400
    buttons = browser.find_elements("css selector", "[data-pane=paddle], [data-pane=keras]")
    for button in buttons:
        button.click()
    assert len(positions(browser)) == 4
    assert len({top for _, top, _ in positions(browser)}) == 1
    for button in buttons:
        button.click()


@pytest.mark.parametrize("width", [360, 950, 1700])
def test_what_is_said_of_a_layer_moves_nothing(browser, screen, width):
    screen(width)
    moved = """
        const top = () => document.querySelector("main").getBoundingClientRect().top;
        const output = document.querySelector("nav output"), before = top();
        const tops = arguments[0].map((text) => { output.textContent = text; return top() - before; });
        output.textContent = "";
        return tops;
    """
    short, usual, long = "fc", "act: used 57 times, 1,234 parameters; first 28x28x256", "long " * 90
    assert browser.execute_script(moved, [short, usual, long]) == [0, 0, 0]


def test_a_tap_on_a_phone(browser, screen):
    """Browsers send ``mouseover`` before the click, so what that changes must not move the layer."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    screen(360, 740)
    browser.execute_script("document.querySelector('[data-pane=torch]').click()")
    layer = browser.find_element("css selector", '#pane-torch [data-layer="/inception4a"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", layer)
    at = (
        "const r = arguments[0].getBoundingClientRect(); return [r.left + 60, r.top + r.height / 2]"
    )
    x, y = browser.execute_script(at, layer)
    tap = ActionBuilder(browser, mouse=PointerInput("touch", "finger"))
    tap.pointer_action.move_to_location(int(x), int(y)).pointer_down().pointer_up()
    tap.perform()
    time.sleep(0.5)  # the browser waits for a second tap
    assert any("self.inception4a = " in text for text in lit(browser, "torch"))
    browser.execute_script("document.querySelector('[data-pane=googlenet]').click()")


def test_a_narrow_screen_has_one_column(browser, screen):
    screen(360, 780)
    shown = [p for p in browser.find_elements("css selector", ".pane") if p.is_displayed()]
    assert [pane.get_attribute("id") for pane in shown] == ["pane-googlenet"]
    browser.find_element("css selector", "[data-pane=keras]").click()
    shown = [p for p in browser.find_elements("css selector", ".pane") if p.is_displayed()]
    assert [pane.get_attribute("id") for pane in shown] == ["pane-keras"]
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
