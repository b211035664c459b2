"""Many pictures: a zip of folders to a confusion matrix, and the stop button amid a thousand."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ckpt_explorer.examples import DIGITS, example_images, facts
from tests.browser.conftest import NewTab
from tests.browser.explorer import Explorer


@pytest.fixture(scope="module")
def digits_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty held-out digits in folders, ten of which lie in the wrong one, and a file that is no picture."""
    file = tmp_path_factory.mktemp("zip") / "digits.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number, path in enumerate(example_images()[::6]):
            digit = facts()["images"][path.name]
            wrong = (digit + 1) % 10 if number % 6 == 5 else digit
            archive.write(path, f"val/{DIGITS[wrong]}/{path.name}")
        archive.writestr("val/one/notes.png", b"milk, eggs")
    return file


@pytest.fixture(scope="module")
def thousand_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand pictures of one shade: quick to upload, and long enough to unpack that there is time to stop."""
    from PIL import Image

    data = io.BytesIO()
    Image.new("L", (1800, 1800), 90).save(data, "PNG")
    file = tmp_path_factory.mktemp("thousand") / "thousand.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(1000):
            archive.writestr(f"{number:04d}.png", data.getvalue())
    return file


def loaded(tab: Explorer) -> None:
    tab.click("open-fits")
    tab.says("say-good-facts", "digits_resnet20.pth")
    tab.aligns()
    tab.loads()
    tab.tries()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 900)])
def test_from_a_zip_of_folders_to_a_confusion_matrix(
    new_tab: NewTab, digits_zip: Path, scheme: str, width: int
) -> None:
    tab = new_tab(width=width, height=1900, scheme=scheme)
    loaded(tab)
    tab.drops(digits_zip, key="pictures")
    tab.says("score", "83.3% right (50 of 60)")
    tab.sees("val/one/notes.png is a text file")
    expect(tab.by_key("confusion-matrix").locator(".heatmaplayer")).to_be_attached()
    expect(tab.by_key("where-it-looked").locator("img")).to_be_visible()
    tab.says("alike", "0.9")
    page, table = tab.by_key("all-and-one").bounding_box(), tab.by_key("answers").first.bounding_box()
    assert page is not None and table is not None
    assert (table["width"] > 0.9 * page["width"]) == (width < 1150), "in a narrow window the table has the whole width"
    tab.pictured(f"predict-many-{scheme}-{width}")
    assert tab.problems == []


def test_a_run_over_a_thousand_pictures_is_stopped_amid_and_keeps_what_it_has(
    tab: Explorer, thousand_zip: Path
) -> None:
    loaded(tab)
    tab.drops(thousand_zip, key="pictures")
    tab.page.get_by_text("of 1,000 pictures ·").first.wait_for()
    tab.click("stop-classifying")
    tab.says("say-note-stopped", "of 1,000 pictures: what is answered is shown.")
    said = tab.by_key("say-note-stopped").inner_text()
    done = int(said.split("after ")[1].split(" of")[0].replace(",", ""))
    assert 0 < done < 1000
    tab.says("say-note-stopped", f"Stopped after {done:,} of 1,000")
    expect(tab.by_key("classify")).to_be_visible()
    assert tab.problems == []
