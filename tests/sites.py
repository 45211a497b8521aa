"""The site of the documentation: built once, served from this machine, and opened in Chromium."""

import fcntl
import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limits import HANG

ROOT = Path(__file__).resolve().parent.parent


def built(tmp_path_factory) -> Path:
    """The folder of the site. The first process that asks builds it, and others wait."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    site = base / "site"
    with (base / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not site.is_dir():
            program = [sys.executable, str(ROOT / "docs" / "build.py"), "--no-run"]
            done = subprocess.run(
                [*program, "--output", str(site)], capture_output=True, text=True, timeout=HANG
            )
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return site


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
