"""What whoever starts the app allows: `streamlit run app.py -- --model my_net.py:CustomResNet --allow-folder weights`.

None of it can be set from the browser: a class is code that runs, a folder is somebody's disk, and an address is asked
for from this machine, inside whatever network it stands in.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import streamlit as st

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import is_address
from ckpt_explorer.text import visible
from ckpt_explorer.ui.allowed_address import lies_under

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Operator:
    """The start's own options. `keep_seconds` is how long a closed tab's file is kept for a reconnect."""

    models: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    addresses: tuple[str, ...] = ()
    keep_seconds: float = 60.0

    @property
    def allows_any(self) -> bool:
        """Whether anything but uploads and examples may be opened."""
        return bool(self.folders or self.addresses)

    def allowed_path(self, text: str) -> tuple[Path, Path]:
        """The file or folder that a person typed, and the allowed folder that it lies in (links are followed first).

        Raises:
            SourceError: it lies elsewhere; whether it exists there is not said.
        """
        given = Path(text.strip())
        for folder in self.folders:
            top = folder.resolve()
            try:
                path = (given if given.is_absolute() else top / given).resolve()
            except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a circle
                continue
            if path.is_relative_to(top):
                return path, top
        raise SourceError(f"{visible(text, 120)} lies in no folder that this app may open: {self.allowed_as_text()}.")

    def allowed_address(self, text: str) -> str:
        """The address that a person typed.

        Raises:
            SourceError: it is not under one that is allowed; nothing was asked for.
        """
        address = text.strip()
        if any(lies_under(address, allowed) for allowed in self.addresses):
            return address
        if not self.addresses:
            raise SourceError(
                "This app was started for folders and opens no address: download the file and drop it on the page, or start it with --allow-folder and the address above it."
            )
        raise SourceError(f"This address is not under one that this app may open: {self.allowed_as_text()}.")

    def allowed_as_text(self) -> str:
        """The allowed folders and addresses, for a sentence."""
        allowed = [*map(str, self.folders), *self.addresses]
        return ", ".join(visible(row) for row in allowed) or "none was allowed"


@lru_cache(maxsize=1)
def operator() -> Operator:
    """The options after `--` on the command line that started the app."""
    parser = argparse.ArgumentParser(prog="streamlit run app.py --", add_help=False)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--allow-folder", action="append", default=[], metavar="DIR|https://HOST/PATH/")
    parser.add_argument("--keep-closed-tab", type=float, default=60.0)
    given, _ = parser.parse_known_args(sys.argv[1:])
    here = st.get_option("server.address") in LOOPBACK
    allowed = given.allow_folder if here else []
    addresses = tuple(row for row in allowed if is_address(row))
    folders = tuple(Path(row) for row in allowed if not is_address(row) and Path(row).is_dir())
    return Operator(tuple(given.model), folders, addresses, max(given.keep_closed_tab, 0.0))
