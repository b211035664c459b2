"""What is sent of the key diff: a message once, and its name from then on, as long as the browser keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from ckpt_explorer.ui import key_diff
from ckpt_explorer.ui.key_diff.sending import KEPT, to_send
from ckpt_explorer.ui.key_diff.wire import packed


def test_a_message_is_sent_once_and_then_by_its_name() -> None:
    sent: list[str] = []
    part = packed("base", {"keys": ["conv1.weight"]}, {})
    assert to_send(part, sent) == part.data
    assert to_send(part, sent) == part.name
    assert to_send(packed("base", {"keys": ["conv1.weight"]}, {}), sent) == part.name


def test_what_the_browser_has_made_room_for_is_sent_again_and_kinds_do_not_push_each_other_out() -> None:
    sent: list[str] = []
    keys = packed("base", {}, {})
    to_send(keys, sent)
    states = [packed("state", {"number": number}, {}) for number in range(KEPT + 1)]
    for state in states:
        assert to_send(state, sent) == state.data
    assert to_send(states[1], sent) == states[1].name, "it is among the last ones, and now the very last"
    assert to_send(states[0], sent) == states[0].data
    assert to_send(states[1], sent) == states[1].name
    assert to_send(states[2], sent) == states[2].data
    assert to_send(keys, sent) == keys.name


def test_the_browser_keeps_as_many_as_the_server_counts_on() -> None:
    script = (Path(key_diff.__file__).parent / "carrier.js").read_text(encoding="utf-8")
    assert re.findall(r"const KEPT = (\d+);", script) == [str(KEPT)]
