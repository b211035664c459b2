"""Diff: what the key diff was sent, read back from its bytes as the browser reads it, and what can be asked in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from streamlit.runtime.pages_manager import PagesManager

from ckpt_explorer.ui.key_diff.wire import HARMLESS, STATUSES
from tests.pages.tab import Tab, _as_a_server_that_was_visited

KINDS: dict[str, np.dtype[Any]] = {"i4": np.dtype("<i4"), "u2": np.dtype("<u2"), "u1": np.dtype("u1")}


@dataclass(frozen=True)
class Row:
    """One row, as the grid shows it."""

    checkpoint: str | None
    renamed: str | None
    model: str | None
    status: str
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    dtypes: tuple[str | None, str | None]
    rule: int | None
    note: str
    harmless: bool
    lit: bool


def unpacked(data: bytes) -> dict[str, Any]:
    """Header and columns of a message."""
    size = int.from_bytes(data[:4], "little")
    part: dict[str, Any] = json.loads(data[4 : 4 + size])
    for name, (kind, offset, length) in part["columns"].items():
        part[name] = np.frombuffer(data, KINDS[kind], length, 4 + size + offset)
    return part


def texts(ends: list[str], shared: Any) -> list[str]:
    """Front-coded texts in full."""
    read: list[str] = []
    for end, cut in zip(ends, shared, strict=True):
        read.append((read[-1][:cut] if cut else "") + end)
    return read


def rows(base: dict[str, Any], state: dict[str, Any]) -> list[Row]:
    """All rows of two messages."""
    keys = texts(base["checkpoint_keys"], base["checkpoint_shared"])
    wanted = texts(base["model_keys"], base["model_shared"])
    renamed = dict(zip(state["renamed_row"].tolist(), texts(state["renamed"], state["renamed_shared"]), strict=True))

    def of(side: str, fact: str, at: int) -> Any:
        value = None if at < 0 else base[f"{fact}s"][base[f"{side}_{fact}"][at]]
        return tuple(value) if isinstance(value, list) else value

    read = []
    for at, (left, right) in enumerate(zip(state["left"].tolist(), state["right"].tolist(), strict=True)):
        key, model = keys[left] if left >= 0 else None, wanted[right] if right >= 0 else None
        code = int(state["status"][at])
        read.append(
            Row(
                key,
                renamed.get(at, model if right >= 0 else key) if left >= 0 else None,
                model,
                str(STATUSES[code & ~HARMLESS]),
                (of("checkpoint", "shape", left), of("model", "shape", right)),
                (of("checkpoint", "dtype", left), of("model", "dtype", right)),
                int(state["rule"][at]) - 1 if state["rule"][at] else None,
                state["notes"][state["note"][at]],
                bool(code & HARMLESS),
                bool(state["lit"][at]) if "lit" in state else False,
            )
        )
    return read


class Diff:
    """The key diff of a tab, as it stands in the browser: what was sent last, and what was sent before and kept."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self._kept: dict[str, dict[str, Any]] = {}

    def _proto(self, key: str) -> Any:
        found = [part.proto for part in self.tab.app.get("bidi_component") if part.proto.id.endswith(f"-{key}")]
        assert len(found) == 1, f"there are {len(found)} components {key}"
        return found[0]

    def _part(self, key: str) -> dict[str, Any]:
        """A message; one that was sent before, and that nobody has looked at, is asked for as the browser does."""
        proto = self._proto(key)
        if proto.bytes:
            part = unpacked(proto.bytes)
            self._kept[part["name"]] = part
            return part
        name = json.loads(proto.json)
        if name not in self._kept:
            self._tell("lacked", [name])
            assert self._proto(key).bytes, "what is lacked is sent again"
            return self._part(key)
        return self._kept[name]

    @property
    def base(self) -> dict[str, Any]:
        """The keys of both sides."""
        return self._part("key-diff-base")

    @property
    def state(self) -> dict[str, Any]:
        """Their pairs."""
        return self._part("key-diff-state")

    @property
    def details(self) -> dict[str, Any]:
        """What is said of the selected row."""
        return self._part("key-diff-details")

    @property
    def light(self) -> dict[str, Any]:
        """What changes with a click."""
        read: dict[str, Any] = json.loads(self._proto("key-diff").json)
        return read

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return rows(self.base, self.state)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each status, without those that none has."""
        statuses = [row.status for row in self.rows]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def row(self, name: str) -> Row:
        """The row of a key of either side."""
        found = [row for row in self.rows if name in (row.model, row.checkpoint)]
        assert len(found) == 1, f"there are {len(found)} rows {name}"
        return found[0]

    def ask(self, **what: Any) -> Tab:
        """What the script in the browser would say after a click."""
        light = self.light
        asked = {"base": light["base"], "state": light["state"], **what}
        return self._tell("asked", asked)

    def _tell(self, event: str, value: Any) -> Tab:
        states = self.tab.app._tree.get_widget_states()
        state = states.widgets.add()
        state.id = f"$$STREAMLIT_INTERNAL_KEY_{self._proto('key-diff').id}__events"
        state.json_trigger_value = json.dumps([{"event": event, "value": value}])
        with patch.object(PagesManager, "__init__", _as_a_server_that_was_visited):
            self.tab.app._run(states)
        assert not self.tab.app.exception
        return self.tab

    def select(self, checkpoint: str | None = None, model: str | None = None) -> Tab:
        """Select the row of these keys."""
        return self.ask(do="select", **self.places(checkpoint, model))

    def places(self, checkpoint: str | None, model: str | None) -> dict[str, int]:
        """The numbers by which the browser knows the keys."""
        base = self.base
        keys = texts(base["checkpoint_keys"], base["checkpoint_shared"])
        wanted = texts(base["model_keys"], base["model_shared"])
        return {
            "left": -1 if checkpoint is None else keys.index(checkpoint),
            "right": -1 if model is None else wanted.index(model),
        }
