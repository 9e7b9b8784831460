"""A real headless Chromium for a test session, driven through ChromeDriver (W3C WebDriver).

Uses the machine's `chromium` and `chromedriver`. Without them tests that need a browser are
skipped, with the reason; under CI (CI=true) they fail.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import pytest

from needed import lacking
from servers import PATIENCE, free_port

__all__ = ["Browser", "browser"]

#: What a browser does on the network by itself, it does not do here.
_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference


class Browser:
    """One window. What pages save lands in `downloads`."""

    def __init__(self, chromium: str, driver: str, folder: Path):
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        port = free_port()
        self._address = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {
            "binary": chromium,
            "args": [*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"],
            "prefs": {"download.default_directory": str(self.downloads)},
        }
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._session = ""
        self._session = f"/session/{self._asked('POST', '/session', wanted)['sessionId']}"

    def open(self, address: str) -> None:
        """Load a page and wait until it is there."""
        self._asked("POST", "/url", {"url": address})

    def reload(self) -> None:
        """Load the page anew, as after closing and opening it."""
        self._asked("POST", "/refresh", {})

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector as a mouse does: it must be in sight."""
        self._asked("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into an element in place of what it holds."""
        element = self._find(selector)
        self._asked("POST", f"/element/{element}/clear", {})
        self._asked("POST", f"/element/{element}/value", {"text": text})

    def press(self, key: str, selector: str = "body") -> None:
        """Press a key in an element; without one, with nothing in particular in focus."""
        self._asked("POST", f"/element/{self._find(selector)}/value", {"text": key})

    def narrow(self, width: int, height: int) -> None:
        """Show pages as on a screen of so many pixels; 0 and 0: as in the window again."""
        size = {"width": width, "height": height, "deviceScaleFactor": 0, "mobile": bool(width)}
        sent = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self._asked("POST", "/goog/cdp/execute", sent)

    def script(self, source: str) -> Any:
        """What a function body returns in the page, as JSON values."""
        return self._asked("POST", "/execute/sync", {"script": source, "args": []})

    def until(self, source: str) -> Any:
        """What a function body returns in the page, as soon as that is true of it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.script(source)
            if found:
                return found
            assert time.monotonic() < deadline, f"hasn't happened within {PATIENCE:g} s: {source}"
            time.sleep(0.1)

    def saved(self) -> str:
        """The one file that the page saved, which is then taken away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            files = [path for path in self.downloads.iterdir() if path.suffix != ".crdownload"]
            if files and not list(self.downloads.glob("*.crdownload")):
                (file,) = files
                text = file.read_text(encoding="utf-8")
                file.unlink()
                return text
            assert time.monotonic() < deadline, "the page saved nothing"
            time.sleep(0.05)

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            if self._session:
                self._asked("DELETE", "")
        finally:
            self._process.terminate()
            self._process.wait()

    def _find(self, selector: str) -> str:
        using = {"using": "css selector", "value": selector}
        return str(self._asked("POST", "/element", using)[_ELEMENT])

    def _asked(self, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> Any:
        asked = None if body is None else json.dumps(body)
        request = urllib.request.Request(
            f"{self._address}{self._session}{path}",
            data=None if asked is None else asked.encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    return json.load(answer)["value"]
            except TimeoutError:
                said = f"the driver gave no answer within {PATIENCE:g} s: {path} {asked}"
                raise AssertionError(said) from None
            except urllib.error.HTTPError as error:
                with error:
                    raise AssertionError(error.read().decode()) from None
            except urllib.error.URLError:  # the driver is still starting
                assert self._process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for the whole session."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    if None in found:
        lacking("no chromium and chromedriver here; .ci/run installs them")
    made = Browser(str(found[0]), str(found[1]), tmp_path_factory.mktemp("browser"))
    try:
        yield made
    finally:
        made.close()
