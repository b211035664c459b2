"""What whoever starts the app allows: `streamlit run app.py -- --model my_net.py:CustomResNet --allow-folder weights`.

None of it can be set from the browser: a class is code that runs, and a folder is somebody's disk.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import streamlit as st

from ckpt_explorer.errors import SourceError
from ckpt_explorer.text import visible

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Operator:
    """The start's own options. `keep_seconds` is how long a closed tab's file is kept for a reconnect."""

    models: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    keep_seconds: float = 60.0

    def allowed_path(self, text: str) -> Path:
        """The file that a person typed, if it lies in an allowed folder (links are followed first).

        Raises:
            SourceError: it lies elsewhere; whether it exists there is not said.
        """
        given = Path(text.strip())
        for folder in self.folders:
            path = (given if given.is_absolute() else folder / given).resolve()
            if path.is_relative_to(folder.resolve()):
                return path
        raise SourceError(f"{visible(text, 120)} lies in no folder that this app may open: {self.folders_as_text()}.")

    def folders_as_text(self) -> str:
        """The allowed folders, for a sentence."""
        return ", ".join(visible(str(folder)) for folder in self.folders) or "none was allowed"


@lru_cache(maxsize=1)
def operator() -> Operator:
    """The options after `--` on the command line that started the app."""
    parser = argparse.ArgumentParser(prog="streamlit run app.py --", add_help=False)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--allow-folder", action="append", default=[])
    parser.add_argument("--keep-closed-tab", type=float, default=60.0)
    given, _ = parser.parse_known_args(sys.argv[1:])
    here = st.get_option("server.address") in LOOPBACK
    folders = tuple(Path(folder) for folder in given.allow_folder if Path(folder).is_dir()) if here else ()
    return Operator(tuple(given.model), folders, max(given.keep_closed_tab, 0.0))
