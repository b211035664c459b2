"""A field that filters a table by words, and the tables' measure."""

from __future__ import annotations

import streamlit as st

ROW = 35
"""Height of a table's row in pixels."""


def filter_field(key: str, label: str, placeholder: str) -> str:
    """What was typed; the label and the placeholder are fixed words and counts of ours."""
    return st.text_input(label, key=key, placeholder=placeholder, label_visibility="collapsed", width=320) or ""


def holds(text: str, words: str) -> bool:
    """Whether `text` has all of the `words`, in any order and case."""
    text = text.lower()
    return all(word in text for word in words.lower().split())
