"""Tab: one browser tab of the app, driven by Streamlit's AppTest, in the words that the tests use.

Nothing here imports torch: the tests that show the app without it use a Tab too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import pandas as pd
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

import ckpt_explorer
from ckpt_explorer.ui import session

ROOT = Path(ckpt_explorer.__file__).parent.parent
PAGES = "pages"

_made = PagesManager.__init__


def _as_a_server_that_was_visited(self: PagesManager, *given: Any, **named: Any) -> None:
    """AppTest forgets at every run that `st.navigation` was called; a server remembers it."""
    _made(self, *given, **named)
    PagesManager.uses_pages_directory = False


class Tab:
    """One tab. Every action runs the page again, and no run may end in an exception."""

    def __init__(self) -> None:
        self.app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        self._typed = 0
        self._told: dict[str, dict[str, Any]] = {}
        self._log: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.run()

    def run(self) -> Self:
        """Run the page again."""
        with patch.object(PagesManager, "__init__", _as_a_server_that_was_visited):
            self.app.run()
        assert not self.app.exception, "the page ended in an exception: see the log"
        return self

    def go(self, page: str) -> Self:
        """To another page, as by the menu."""
        self.app.switch_page(f"{PAGES}/{page}.py")
        return self.run()

    @property
    def session(self) -> session.Session:
        """What this tab has open."""
        return session._store.get(self.app.session_state["session"])

    # What a person does

    def click(self, key: str) -> Self:
        """Press a button."""
        button = self.app.button(key=key)
        assert not button.proto.disabled, f"{key} can't be pressed"
        button.click()
        return self.run()

    def write(self, key: str, text: str) -> Self:
        """Write into a field and leave it."""
        fields = [field for field in (*self.app.text_input, *self.app.text_area) if field.key == key]
        assert len(fields) == 1, f"there are {len(fields)} fields {key}"
        fields[0].set_value(text)
        return self.run()

    def choose(self, key: str, value: Any) -> Self:
        """Choose from a menu or among radio buttons."""
        menus = [menu for menu in (*self.app.selectbox, *self.app.radio) if menu.key == key]
        assert len(menus) == 1, f"there are {len(menus)} menus {key}"
        menus[0].set_value(value)
        return self.run()

    def tick(self, key: str, on: bool) -> Self:
        """Switch a checkbox or a toggle."""
        boxes = [box for box in (*self.app.checkbox, *self.app.toggle) if box.key == key]
        boxes[0].set_value(on)
        return self.run()

    def count(self, key: str, number: int) -> Self:
        """Write a number."""
        self.app.number_input(key=key).set_value(number)
        return self.run()

    def upload(self, field: str, *files: tuple[str, bytes]) -> Self:
        """Drop files on the field whose key begins with `field`."""
        fields = [uploader for uploader in self.app.file_uploader if (uploader.key or "").startswith(field)]
        assert len(fields) == 1, f"there are {len(fields)} fields {field}"
        fields[0].set_value([(name, data, "application/octet-stream") for name, data in files])
        return self.run()

    def open(self, name: str, data: bytes) -> Self:
        """Upload a checkpoint on the Open page."""
        return self.go("open").upload("checkpoint-", (name, data))

    def open_example(self, example: str) -> Self:
        """Open a built-in example by its button."""
        return self.go("open").click(f"open-{example}")

    # What a person sees

    @property
    def says(self) -> list[str]:
        """All texts of the page, without the sidebar's."""
        return [text.value for text in self.app.main.text]

    @property
    def sidebar(self) -> list[str]:
        """All texts of the sidebar."""
        return [text.value for text in self.app.sidebar.text]

    @property
    def title(self) -> str:
        """The page's title."""
        return next(
            part.value.removeprefix("<h1 class='room'>").removesuffix("</h1>")
            for part in self.app.main.html
            if "<h1" in part.value
        )

    @property
    def headings(self) -> list[str]:
        """The headings on the page."""
        return [part.value[len("<h2 class='room'>") : -len("</h2>")] for part in self.app.html if "<h2" in part.value]

    def boxes(self, *tones: str) -> list[str]:
        """The sentences in boxes of these tones (error, warning, good, note), without their symbol."""
        return [box.text[0].value[3:] for box in self._containers("say-") if (box.key or "").split("-")[1] in tones]

    def box(self, key: str) -> str:
        """The sentence in the box called `key`."""
        found = [box for box in self._containers("say-") if (box.key or "").split("-", 2)[2] == key]
        assert len(found) == 1, f"there are {len(found)} boxes {key}"
        return str(found[0].text[0].value[3:])

    def has_box(self, key: str) -> bool:
        """Whether there is a box called `key`."""
        return any((box.key or "").split("-", 2)[2] == key for box in self._containers("say-"))

    def texts_in(self, container: str) -> list[str]:
        """The texts in the container called `container`."""
        return [text.value for box in self._containers(container) if box.key == container for text in box.text]

    def table(self, column: str) -> pd.DataFrame:
        """The table that has `column`."""
        return next(table.value for table in self.app.dataframe if column in table.value.columns)

    def has_table(self, column: str) -> bool:
        """Whether a table has `column`."""
        return any(column in table.value.columns for table in self.app.dataframe)

    def label(self, key: str) -> str:
        """What is written on a button."""
        return str(self.app.button(key=key).label)

    def has_button(self, key: str) -> bool:
        """Whether there is a button called `key`."""
        return any(button.key == key for button in self.app.button)

    def field(self, key: str) -> Any:
        """What a field, menu or checkbox shows."""
        kinds = (
            self.app.text_input,
            self.app.text_area,
            self.app.selectbox,
            self.app.radio,
            self.app.checkbox,
            self.app.toggle,
            self.app.number_input,
        )
        found = [widget for widgets in kinds for widget in widgets if widget.key == key]
        assert len(found) == 1, f"there are {len(found)} fields {key}"
        return found[0].value

    @property
    def badge(self) -> str:
        """The verdict's badge: COMPLETE, PARTIAL or INCOMPATIBLE."""
        return next(
            part.value.split(">")[1].split("<")[0].split()[1] for part in self.app.html if "badge" in part.value
        )

    @property
    def verdict(self) -> str:
        """The verdict's sentence."""
        return self.texts_in("verdict")[0]

    @property
    def rules(self) -> list[str]:
        """The rules' texts, in order."""
        return [line["text"] for line in self.editor["rules"]]

    @property
    def editor(self) -> dict[str, Any]:
        """What the rule editor was given to draw."""
        shown = json.loads(self._component("rule_editor").proto.json)
        assert isinstance(shown, dict)
        return shown

    @property
    def memory(self) -> dict[str, Any]:
        """What the component that keeps rules in the browser was given."""
        given = json.loads(self._component("browser_memory").proto.json)
        assert isinstance(given, dict)
        return given

    def acts(self, *acts: dict[str, Any], client: str = "tab") -> Self:
        """Do something in the rule editor: each act as its script writes it into the log; all in one run."""
        log = self._log.setdefault((client, self.editor["place"]), [])
        for act in acts:
            log.append({"id": len(log) + 1, **act})
        return self._tells("rule_editor", "acts", {"client": client, "place": self.editor["place"], "log": list(log)})

    def types(self, text: str | None, position: int | None = None, at: int | None = None, client: str = "tab") -> Self:
        """Type in the rule editor without Enter; None leaves the field as it was."""
        self._typed += 1
        draft = {"client": client, "place": self.editor["place"], "number": self._typed, "position": position, "at": at}
        return self._tells("rule_editor", "draft", {**draft, "text": text})

    def writes(self, text: str, position: int | None = None, at: int | None = None) -> Self:
        """Type a rule and press Enter: in place of the one at `position`, or a new one."""
        self.types(text, position, at)
        act = {"act": "write", "position": position, "at": at, "text": text, "number": self._typed}
        return self.acts(act | {"rule": None if position is None else self.rules[position]})

    def on_rule(self, act: str, position: int, **more: Any) -> Self:
        """Do something to the rule at `position`."""
        return self.acts({"act": act, "position": position, "rule": self.rules[position], **more})

    def _component(self, name: str) -> Any:
        found = [part for part in self.app.get("bidi_component") if part.proto.component_name.endswith(name)]
        assert len(found) == 1, f"there are {len(found)} components {name}"
        return found[0]

    def _tells(self, component: str, name: str, value: Any) -> Self:
        """As the component's script tells of a new state; what it told of before stays."""
        widget = self._component(component).proto.id
        told = self._told.setdefault(widget, {})
        told[name] = value
        states = self.app._tree.get_widget_states()
        for at in reversed([at for at, row in enumerate(states.widgets) if row.id == widget]):
            del states.widgets[at]
        state = states.widgets.add()
        state.id, state.json_value = widget, json.dumps(told)
        with patch.object(PagesManager, "__init__", _as_a_server_that_was_visited):
            self.app._run(states)
        assert not self.app.exception, "the page ended in an exception: see the log"
        return self

    def _containers(self, prefix: str) -> Iterator[Block]:
        for node in (*self.app.main, *self.app.sidebar):
            if isinstance(node, Block) and (node.key or "").startswith(prefix):
                yield node
