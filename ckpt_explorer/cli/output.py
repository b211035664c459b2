"""Writing to the terminal: JSON that is strict, and text whose control characters are shown as what they are."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from ckpt_explorer.text import visible

_json_goes_to: list[TextIO] = []


@contextmanager
def only_json() -> Iterator[None]:
    """Keep standard output for `write_json`: what a class of the user's own prints goes to standard error."""
    _json_goes_to.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _json_goes_to.pop()


def never_refuse_a_character() -> None:
    """Write what the terminal's encoding lacks as escapes, in place of failing at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_json(answer: Any) -> None:
    """One JSON document on standard output; NaN and Infinity are refused, as they are no JSON."""
    out = _json_goes_to[-1] if _json_goes_to else sys.stdout
    out.write(json.dumps(answer, allow_nan=False, ensure_ascii=True, default=str) + "\n")


def write_line(text: str = "") -> None:
    """One line of text on standard output."""
    sys.stdout.write(visible(text, 2000) + "\n")


def write_heading(text: str) -> None:
    """A heading with an empty line above it."""
    sys.stdout.write("\n")
    write_line(text)


def warn(text: str) -> None:
    """One line of text on standard error."""
    sys.stderr.write(visible(text, 2000) + "\n")


def write_table(rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
    """Rows in columns as wide as their widest cell, the last one free."""
    cells = [[visible(cell, 200) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells if column < len(row)) for column in range(max(map(len, cells)))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        sys.stdout.write(f"{indent}{line.rstrip()}\n")
