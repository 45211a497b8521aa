"""The site of the documentation: its links, and what readers do in it with a browser."""

import json
import posixpath
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import axe_core_python
import browsing
import loading
import pytest
import sites

import zoo
from zoo.language import index
from zoo.verification.comparison import Worst
from zoo.verification.results import BackendResult, Results
from zoo.weights import sources

#: A page of each kind.
KINDS = (
    *("index.html", "start.html", "tutorials/teacher.html", "lessons/index.html"),
    *("models.html", "families/vgg.html", "models/googlenet.html", "fine-tuning.html"),
    *("operations.html", "frameworks.html", "api/models.html", "search.html"),
)
#: Those that axe examines on a normal run; the others have the same parts.
EXAMINED = ("index.html", "families/vgg.html", "models/lenet5.html", "fine-tuning.html")
AXE = Path(axe_core_python.__file__).parent / "axe.min.js"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return sites.built(tmp_path_factory)


@pytest.fixture(scope="module")
def pages(site):
    return {
        path.relative_to(site).as_posix(): path.read_text()
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }


@pytest.fixture(scope="module")
def address(site):
    with sites.served(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    yield from browsing.chromium()


def test_every_link_leads_somewhere(site, pages):
    anchors = {page: set(re.findall(r'\bid="([^"]*)"', text)) for page, text in pages.items()}
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    dead, count = set(), 0
    for page, text in pages.items():
        folder = posixpath.dirname(page)
        for link in set(re.findall(r'\b(?:href|src)="([^"]*)"', text)):
            path, _, fragment = unquote(link).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            path = path.partition("?")[0]
            name = posixpath.normpath(posixpath.join(folder, path)) if path else page
            count += 1
            if name not in files or (
                fragment and name in anchors and fragment not in anchors[name]
            ):
                dead.add((page, link))
    assert count > (4_000 if loading.quick else 10_000)
    assert not dead, sorted(dead)[:20]


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loaded = (
        r'<(?:script|img|iframe|source|video|audio|object|embed)\b[^>]*\b(?:src|data)="([^"]*)"'
    )
    linked = r'<link\b(?![^>]*rel="(?:canonical|author)")[^>]*\bhref="([^"]*)"'
    for page, text in pages.items():
        for url in [*re.findall(loaded, text), *re.findall(linked, text)]:
            assert not re.match(r"(?:[a-z]+:)?//", url), f"{page}: {url}"
    for style in site.rglob("*.css"):
        outside = re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//[^)'\"]*", style.read_text())
        assert not outside, style


@pytest.fixture
def cards(monkeypatch):
    monkeypatch.syspath_prepend(sites.ROOT / "docs")
    from pages import cards

    return cards


def test_a_card_states_the_result_of_a_verification(cards, tmp_path):
    result = BackendResult(
        backend="torch",
        title="PyTorch",
        versions={"torch": "2.13.0"},
        status="compared",
        worst=Worst(2.5e-7, "fc"),
    )
    report = Results(
        model="lenet5",
        options={},
        dtype="float32",
        level="forward",
        tolerance=1e-5,
        seed=0,
        image="",
        parameters={},
        nodes=(),
        top5=(),
        results=(result,),
        pairs=(),
    )
    graph = zoo.graph("lenet5")
    for verdict, changed in (
        ("PASS", report),
        ("FAIL", replace(report, results=(replace(result, problems=("wrong",)),))),
    ):
        (tmp_path / "lenet5.json").write_text(json.dumps({"key": "", **changed.to_dict()}))
        card = cards.card(graph, tmp_path)
        assert f"**{verdict}** in float32" in card
        assert "| PyTorch | torch 2.13.0 | 2.5e-07 at `fc` |" in card
    assert "PASS" not in cards.card(graph, None)


def test_stated_accuracy_is_of_known_files(cards):
    """A row whose file no table has any more would be shown nowhere."""
    stated = cards.accuracy.stated()
    known = {
        (source.name, file.url): network.license or source.license
        for source in sources.sources().values()
        for network in source.networks.values()
        for file in network.published
    }
    assert stated.keys() <= known.keys()
    assert all(10 < float(row.top1) < float(row.top5) < 100 for row in stated.values())
    # From the table of torchvision's documentation.
    resnet50 = "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert stated["torchvision", resnet50][3:5] == ("76.130", "92.862")


def test_every_model_has_a_card(pages):
    names = [
        name
        for name, entry in index.entries().items()
        if not loading.quick or entry["family"] in sites.FAMILIES
    ]
    assert len(names) > 20
    for name in names:
        assert f">{name}" in pages[f"models/{name}.html"]
        assert f"{name}.svg" in pages[f"models/{name}.html"]


def opened(browser, address, page, width=1280, theme="light"):
    """Open a page, which must load nothing from elsewhere and cause no error."""
    sites.shown(browser, f"{address}/{page}", width, theme)
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            assert url.startswith((address, "data:")), f"{page} loads {url}"
    assert not browser.get_log("browser"), page
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, f"{page} is {wide} pixels wide"


@pytest.mark.parametrize("page", KINDS)
def test_a_page_of_each_kind(browser, address, page):
    opened(browser, address, page, width=360)


@pytest.mark.slow
def test_every_page(browser, address, pages):
    for page in sorted(pages):
        opened(browser, address, page, width=360)


@pytest.mark.parametrize("page", EXAMINED)
def test_accessibility(browser, address, page):
    examine(browser, address, page, 1280, "light")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("page", KINDS)
def test_accessibility_of_every_kind(browser, address, page, width, theme):
    examine(browser, address, page, width, theme)


def examine(browser, address, page, width, theme):
    opened(browser, address, page, width, theme)
    browser.set_script_timeout(300)
    browser.execute_script(AXE.read_text())
    options = "{resultTypes: ['violations']}"
    found = browser.execute_async_script(f"axe.run({options}).then(arguments[0])")["violations"]
    problems = [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in found
        for node in rule["nodes"][:3]
    ]
    assert not problems, "\n".join(problems)


def test_the_choice_of_a_framework_is_kept_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys

    def chosen():
        labels = browser.find_elements("css selector", ".sd-tab-set > input:checked + label")
        return [label.text for label in labels]

    opened(browser, address, "index.html")
    assert chosen() == ["PyTorch"]
    browser.find_element("css selector", ".sd-tab-set > input:checked").send_keys(Keys.ARROW_RIGHT)
    assert chosen() == ["PaddlePaddle"]
    outline = "return getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    opened(browser, address, "models/googlenet.html")
    assert chosen() == ["PaddlePaddle"]
    code = browser.find_element("css selector", ".sd-tab-content pre:not([hidden])")
    shown = [c.text for c in browser.find_elements("css selector", ".sd-tab-content") if c.text]
    assert code and len(shown) == 1 and '"paddle"' in shown[0]
    opened(browser, address, "fine-tuning.html")
    assert set(chosen()) == {"PaddlePaddle"}


def test_search_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    opened(browser, address, "index.html")
    browser.find_element("css selector", "input.sidebar-search").send_keys("dilation", Keys.ENTER)
    WebDriverWait(browser, 60).until(
        lambda b: b.find_elements("css selector", "#search-results li a")
    )
    found = browser.find_elements("css selector", "#search-results li a")
    assert "Operations" in [link.text for link in found]
    assert not browser.get_log("browser")


def test_the_menu_of_a_narrow_page_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    def until(condition):  # the drawer slides
        WebDriverWait(browser, 20).until(lambda _: condition())

    opened(browser, address, "index.html", width=360)
    button = browser.find_element("css selector", ".nav-overlay-icon .icon")
    drawer = browser.find_element("css selector", ".sidebar-drawer a")
    assert button.get_attribute("aria-expanded") == "false" and not drawer.is_displayed()
    button.send_keys(Keys.ENTER)
    until(lambda: button.get_attribute("aria-expanded") == "true" and drawer.is_displayed())
    drawer.send_keys(Keys.ESCAPE)
    until(lambda: button.get_attribute("aria-expanded") == "false")


@pytest.mark.parametrize("page", ["models/lenet5.html", "studies/first.html"])
def test_pictures_follow_the_theme(page, browser, address):
    scheme = "return getComputedStyle(document.querySelector('article img')).colorScheme"
    for theme in ("light", "dark"):
        opened(browser, address, page, theme=theme)
        assert browser.execute_script(scheme) == theme
