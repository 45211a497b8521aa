"""The site of the documentation: built once, served from this machine, and opened in Chromium."""

import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import loading
from limits import HANG
from once import once

ROOT = Path(__file__).resolve().parent.parent


#: The families whose models have cards on a normal run; the others' are of the same kinds.
FAMILIES = ("alexnet", "googlenet", "lenet", "resnet", "squeezenet", "vgg")


def built(tmp_path_factory) -> Path:
    """The folder of the site."""
    program = [sys.executable, str(ROOT / "docs" / "build.py"), "--no-run", "--output"]
    families = ["--families", *FAMILIES] if loading.quick else []

    def build(folder):
        done = subprocess.run(
            [*program, str(folder), *families], capture_output=True, text=True, timeout=HANG
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    return once(tmp_path_factory, "site", build)


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a plain server of static files."""
    handler = functools.partial(_Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def shown(browser, address: str, width: int, theme: str) -> None:
    """Open a page in a window of that width."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get(address)
    if browser.execute_script("return document.body.dataset.theme") != theme:
        browser.execute_script(f"localStorage.setItem('theme', '{theme}')")
        browser.refresh()
