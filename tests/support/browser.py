"""Chromium without a window, driven by selenium: what a reader of a page sees and does."""

import shutil
from typing import Any

import pytest


def start_browser() -> Any:
    """A running browser; skips, with the reason, where there is none."""
    pytest.importorskip("selenium", reason="selenium is not installed (extra `test`)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def look(browser: Any, width: int, scheme: str = "light", medium: str = "screen") -> None:
    """Set width, colour scheme and medium."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})


class Page:
    """A report that is open in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def unfold(self, selector: str) -> None:
        """Open what a <summary> folds, and wait until its content is made: browsers say that it is open a moment later."""
        from selenium.webdriver.support.ui import WebDriverWait

        summary = self.one(selector)
        summary.click()
        made = "return arguments[0].parentElement.children.length > 1"
        WebDriverWait(self.driver, 30).until(lambda _: self.run(made, summary))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((it) => it.textContent)"
        return list(self.run(script, selector))

    def errors(self) -> list[str]:
        """What the console tells; refused scripts and styles, too."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def choose(self, selector: str, value: str) -> None:
        self.run(
            "const list = document.querySelector(arguments[0]); list.value = arguments[1];"
            "list.dispatchEvent(new Event('change'))",
            selector,
            value,
        )

    def press(self, *keys: str) -> None:
        """Press keys by name, as a person without a mouse does."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            ActionChains(self.driver).send_keys(getattr(Keys, key, key)).perform()

    def tab_to(self, text: str) -> None:
        """Press Tab until the focus is on what begins with a text."""
        for _ in range(30):
            if self.focused.startswith(text):
                return
            self.press("TAB")
        raise AssertionError(f"30 times Tab never came to {text!r}")

    def point_at(self, element: Any) -> None:
        """Move the mouse over an element."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).move_to_element(element).perform()

    @property
    def focused(self) -> str:
        """The text, or the name, of what has the focus."""
        script = "const it = document.activeElement; return it.getAttribute('aria-label') || it.textContent"
        return str(self.run(script))

    @property
    def samples(self) -> list[str]:
        """The ids in the table, in its order."""
        return self.texts(".opener")
