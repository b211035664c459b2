"""Which state dict, which network, and the network's options: the choices that change everything."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ckpt_explorer.architectures.spec import CUSTOM_FIELDS, NAMED_SPECS, ResNetSpec, SpecField, options_of
from ckpt_explorer.errors import ArchitectureError, CheckpointExplorerError
from ckpt_explorer.reading import open_checkpoint
from ckpt_explorer.text import visible
from ckpt_explorer.ui import comparison, outlooks, plain, which_part
from ckpt_explorer.ui.offered import targets
from ckpt_explorer.ui.session import Session, controlled, current
from ckpt_explorer.ui.target import Target
from ckpt_explorer.ui.uploads import upload_field

NAMED_OPTIONS = ("stride_in_1x1", "ceil_mode", "eps", "dilate", "zeros")


def show(here: Session) -> None:
    """The choices, side by side, and below them what each would do, where somebody wants to compare."""
    if here.aligned is not None or here.comparing:  # the page's own alignment comes first
        outlooks.begin(here)
    with st.container(key="choices"):
        several = here.checkpoint is not None and len(here.checkpoint.state_dicts) > 1
        columns = st.columns([4, 6, 2, 2] if several else [6, 2, 2], vertical_alignment="bottom")
        if several:
            with columns[0]:
                which_part.state_dict(here)
        with columns[-3]:
            _network(here)
        with columns[-2], st.popover("Options", key="network-options", width="stretch"):
            _options(here)
        with columns[-1]:
            label = "Hide" if here.comparing else "Compare"
            st.button(label, key="compare", on_click=_compare, width="stretch", help="What each choice would do")
        if here.target.kind == "reference":
            _reference(here)
        if here.comparing:
            comparison.show(here)


def _compare() -> None:
    here = current()
    here.comparing = not here.comparing


def _network(here: Session) -> None:
    offered = targets(here)

    def choose(name: str) -> None:
        here.choose(offered[name][0])

    st.selectbox(
        "Network",
        list(offered),
        format_func=lambda name: f"{visible(name)} · {offered[name][1]}" if offered[name][1] else visible(name),
        **controlled("network", here.target.name, choose),
    )


def _options(here: Session) -> None:
    """Class count, input channels and the fields of the network, each committed when its field is left."""
    target = here.target
    if target.kind == "reference":
        plain.quiet("Another checkpoint's keys have no options.")
        return
    if target.kind == "class":
        plain.quiet("Your own class: leave a field at 0 for the class's own value.")
    _count(here, "num_classes", "Classes")
    _count(here, "in_channels", "Input channels")
    if target.kind == "class":
        return
    base = NAMED_SPECS.get(target.name, ResNetSpec())
    values = {**options_of(base), **target.options}
    elsewhere = {"num_classes", "in_channels", *(("zeros",) if values["shortcut"] != "A" else ())}
    wanted = [field for field in CUSTOM_FIELDS if field.name not in elsewhere]
    for field in wanted if target.kind == "custom" else [field for field in wanted if field.name in NAMED_OPTIONS]:
        _field(here, field, values[field.name])


def _count(here: Session, name: str, label: str) -> None:
    draft, complaint = here.drafts.get(f"option-{name}", ("", ""))

    def change(value: int) -> None:
        try:
            _commit(here, **{name: int(value) or None})
            here.drafts.pop(f"option-{name}", None)
        except ArchitectureError as error:
            here.drafts[f"option-{name}"] = (str(value), str(error))

    st.number_input(
        label,
        min_value=0,
        max_value=1_000_000,
        step=1,
        **controlled(f"option-{name}", int(draft) if draft else getattr(here.target, name) or 0, change),
    )
    if complaint:
        plain.say(complaint, "error", key=f"option-{name}")


def _field(here: Session, field: SpecField, value: Any) -> None:
    draft, complaint = here.drafts.get(f"option-{field.name}", (None, ""))

    def change(given: Any) -> None:
        try:
            _commit(here, options={**here.target.options, field.name: given})
            here.drafts.pop(f"option-{field.name}", None)
        except ArchitectureError as error:
            here.drafts[f"option-{field.name}"] = (given, str(error))

    key = f"option-{field.name}"
    if field.choices:
        st.selectbox(field.label, field.choices, help=field.help, **controlled(key, draft or value, change))
    elif isinstance(value, bool):
        st.toggle(field.label, help=field.help, **controlled(key, value, change))
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        st.text_input(field.label, help=field.help, **controlled(key, draft if draft is not None else text, change))
    if complaint:
        plain.say(complaint, "error", key=f"option-{field.name}")


def _commit(here: Session, **changes: Any) -> None:
    """Choose the target with `changes`, if a network can be built of it.

    Raises:
        ArchitectureError: it can't, and the choice stays as it was.
    """
    target = here.target
    values = {
        "num_classes": target.num_classes,
        "in_channels": target.in_channels,
        "options": target.options,
        **changes,
    }
    changed = Target(target.kind, target.name, **values)
    changed.architecture(here.reference)
    here.choose(changed)


def _reference(here: Session) -> None:
    """The other checkpoint, whose keys are the target."""

    def take(name: str, data: bytes) -> None:
        try:
            here.reference = open_checkpoint(data, name)
            here.choose(Target("reference", here.target.name, options={"file": name, "upload": here.generation}))
        except CheckpointExplorerError as error:
            here.message = ("error", str(error))

    upload_field(here, "reference", "The other checkpoint", take)
    if here.reference is not None:
        plain.quiet(f"Keys of {here.reference.name}")
