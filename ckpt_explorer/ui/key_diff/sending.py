"""Which messages the browser has already, so that none is sent twice.

Streamlit could do this by itself, by the hash of a message; but two requests that are on their way at once make its
browser half forget a message that the server half still counts on, and then the page stands still for good
(`ForwardMessageCache.incrementRunCount` of 1.67, "Cached ForwardMsg MISS"). So that is switched off in
`.streamlit/config.toml`, and here a browser that lacks a message asks for it.
"""

from __future__ import annotations

from ckpt_explorer.ui.key_diff.wire import Part

KEPT = 3
"""Messages of one kind that the browser keeps, the last ones; `carrier.js` has the same number."""


def to_send(part: Part, sent: list[str]) -> bytes | str:
    """The message, or its name alone where it was sent before; `sent` is brought up to date."""
    kind = part.name.partition(":")[0]
    known = part.name in sent
    if known:
        sent.remove(part.name)
    sent.append(part.name)
    alike = [name for name in sent if name.startswith(f"{kind}:")]
    for name in alike[:-KEPT]:
        sent.remove(name)
    return part.name if known else part.data
