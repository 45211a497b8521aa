"""Headless Chromium, and what is read off a page in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest


def chromium() -> Iterator:
    """Headless Chromium, which notes what it is asked for and what goes wrong."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium and its driver")
        pytest.skip("needs Chromium and its driver")  # on a laptop that has none
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking",
                 "disable-component-update", "disable-sync", "no-first-run"):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def opened(browser, path, width=1100):
    browser.get_log("performance")
    browser.set_window_size(width, 900)
    browser.get(path.as_uri())
    asked = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert asked == [path.as_uri()], "a page of its own asks for nothing else"
    assert not browser.get_log("browser"), "nothing goes wrong in it"


def cells(browser, table):
    rows = browser.find_elements("css selector", f"#{table} tbody tr")
    return [[c.text for c in row.find_elements("css selector", "th, td")] for row in rows]
