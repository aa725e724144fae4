"""The page in Chromium: sorting, filtering, a phone, the dark, paper; no network."""

import base64
import json

import pytest
from selenium.webdriver.common.keys import Keys

from recrepro.report import write_report


@pytest.fixture
def opened(browser, results, make, tmp_path):
    path = tmp_path / "report.html"
    write_report(make.experiment(), results, path, source="claim = 'x'")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.get(path.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def models(browser):
    return [
        row.find_element("tag name", "th").text.split()[0]
        for row in find(browser, "#board-1-table tbody tr")
        if row.is_displayed()
    ]


def test_columns_sort_by_mouse_and_by_keyboard(opened, make):
    means = {m: make.values_of(m).mean() for m in ("knn", "ease", "vae", "theirs")}
    best_first = sorted(means, key=means.get, reverse=True)
    assert models(opened) == [*best_first, "gone"]
    head = find(opened, "#board-1-table thead th")[1]
    button = head.find_element("tag name", "button")
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert models(opened) == [*best_first, "gone"]
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    assert models(opened) == [*reversed(best_first), "gone"]  # what has no value stays last
    find(opened, "#board-1-table thead button")[0].click()
    assert head.get_attribute("aria-sort") is None
    assert models(opened) == [*best_first, "gone"]
    assert opened.get_log("browser") == []


def test_rows_can_be_filtered_by_model_or_mark(opened):
    field = find(opened, "#board-1-table-filter")[0]
    field.send_keys("external")
    assert models(opened) == ["theirs"]
    assert find(opened, "output[for='board-1-table-filter']")[0].text == "1 of 5 rows"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    assert len(models(opened)) == 5
    assert opened.get_log("browser") == []


def test_numbers_behind_a_drawing_open(opened):
    details = find(opened, "#board-1-intervals details")[0]
    table = details.find_element("tag name", "table")
    assert not table.is_displayed()
    details.find_element("tag name", "summary").click()
    assert table.is_displayed()


def test_nothing_is_asked_of_a_network_and_the_console_is_empty(opened):
    asked = opened.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert asked == []
    assert opened.get_log("browser") == []


def test_a_page_can_be_read_on_a_phone_without_scrolling_sideways(opened):
    size = {"width": 375, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for details in find(opened, "details"):
        opened.execute_script("arguments[0].open = true", details)
    script = "return [document.documentElement.scrollWidth, window.innerWidth]"
    assert opened.execute_script(script) == [375, 375]


def test_the_dark_has_light_text_in_drawings_too(opened):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    script = (
        "const look = (s, what) => getComputedStyle(document.querySelector(s))[what]"
        ".match(/[0-9]+/g).slice(0, 3).map(Number);"
        "return [look('body', 'backgroundColor'), look('svg text', 'fill')]"
    )
    ground, text = opened.execute_script(script)
    assert max(ground) < 60
    assert min(text) > 200


def test_it_prints(opened):
    printed = opened.execute_cdp_cmd("Page.printToPDF", {})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")


def test_without_scripts_everything_can_be_read(opened):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.refresh()
        assert len(models(opened)) == 5
        assert find(opened, "th button") == []
        assert find(opened, ".filter") == []
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_screen_reader_finds_landmarks_names_and_the_states_of_columns(opened):
    tree = opened.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [(n.get("role", {}).get("value"), n.get("name", {}).get("value")) for n in tree]
    known = {role for role, _ in roles}
    assert {"main", "navigation", "banner", "contentinfo", "columnheader", "rowheader"} <= known
    assert all(name for role, name in roles if role in ("image", "table", "button", "searchbox")), (
        json.dumps([one for one in roles if not one[1]][:20])
    )
