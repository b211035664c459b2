"""The one owner of session state: what one browser tab has open, and nothing of any other's.

What is large (the file, the network, the pictures) does not lie in `st.session_state`, which Streamlit keeps long
after a tab was closed, but in a store of our own that lets go of it when the tab has been closed for a while. A
connection that drops and comes back in that time finds everything as it was.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from ckpt_explorer.alignment import Alignment
from ckpt_explorer.checkpoint import Checkpoint
from ckpt_explorer.evidence import ValuesCheck, Verification
from ckpt_explorer.examples import Example
from ckpt_explorer.inference.images import ImageSource
from ckpt_explorer.inference.pace import Pace
from ckpt_explorer.integrity import Integrity
from ckpt_explorer.loading import LoadedModel
from ckpt_explorer.outlook import Outlook
from ckpt_explorer.rules import RuleSet
from ckpt_explorer.suggestion import Candidate, Suggestion, as_custom, identify
from ckpt_explorer.ui.choices import LabelsChoice, LoadChoice, StepsChoice, TruthChoice
from ckpt_explorer.ui.given import Given, Refusal
from ckpt_explorer.ui.history import History
from ckpt_explorer.ui.job import Job
from ckpt_explorer.ui.operator import operator
from ckpt_explorer.ui.predict_run import Against, PredictRun
from ckpt_explorer.ui.target import Target


@dataclass(frozen=True)
class Aligned:
    """The alignment with the rules in force, what is wrong with the others, and what was suggested.

    Of a rule that is being typed, `drafted` is the position that it would have, and `lit` are the rows, by position, of
    `alignment.pairs` that it touches. `offers` keeps what can be done about a rule, `decisions` where each would lead.
    """

    alignment: Alignment
    complaints: dict[int, str]
    suggestion: Suggestion
    history: History
    drafted: int | None = None
    lit: frozenset[int] = frozenset()
    offers: dict[int, Any] = field(default_factory=dict, compare=False)
    decisions: dict[Any, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class RuleDraft:
    """A rule as it is being typed, not in force: in place of the one at `position`, or a new one (None) before `at`.

    An `at` of None is the end of the list. `tried` when it was to be put in force and could not.
    """

    position: int | None
    text: str
    at: int | None = None
    tried: bool = False


@dataclass
class Editing:
    """How far the rule editor in the browser and this side agree.

    `client` is the editor that was heard last, `done` the last of its acts that was taken, `closed` the last of its
    drafts that an act ended. `refused` are those of the acts that came last that could not be done, with the reason,
    and `shown` is the form in which the rules are being exported.
    """

    client: str = ""
    done: int = 0
    closed: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    shown: str = ""


@dataclass(frozen=True, eq=False)
class Opening:
    """What is being opened, and the work that opens it."""

    given: Given
    job: Job[Checkpoint]


@dataclass
class Session:
    """Everything that one tab has open.

    `given` is where the open checkpoint came from, where another of an archive's can be opened in its place.
    `refusal` is what was refused last; it holds the bytes only while something is offered to be done with them.
    `said` is what the last run said once, for a run that nobody asked for to say again.
    `histories` keeps the rules of every state dict and network that were looked at, so that going back finds them.
    `rule_drafts` are the rules that are being typed, by the same key; `previewed` is what they would make of it.
    `selected_row` are the checkpoint's key and the model's of the row that was selected in the key diff; `sought_rows`
    counts the rows that were asked for elsewhere, and that the diff is to bring into sight; `map_clicked` until the page
    has run again for it, `map_shown` while the map is. `sent_parts` names what this tab has of the diff's messages.
    `words` are those that the rule editor offers for the open file and network, with what they are for.
    `proposed` is the state dict and network that the file proposed by itself. `recalled` is what the browser kept of
    earlier work on it, and False once that was answered; `pending_rules` are those to be put in force where none were
    looked at yet, and `network_restored` says that the choices above them must be drawn anew.
    `opened` tells one opening from another, also of the same file.
    `outlooks` is what each state dict would make of each network, as far as `outlook_job` or a choice has looked at it,
    and `comparing` whether they are shown side by side.
    `picture_notes` are sentences on what was left out of the pictures; `run` holds their answers, `timings` what was
    measured at every pace, `against` another copy's answers, `shown_picture` and `stage` are what the page shows of one,
    `mistakes` the pictures in the table of them.
    `drafts` holds what was typed for a rule or a field and can't be used, with the reason, so that it is not lost.
    `pictures_version` and `load_version` count changes, so that an answer knows what it was for without holding it.
    `generation` counts the uploads: a widget that was emptied gets a new name.
    """

    checkpoint: Checkpoint | None = None
    given: Given | None = None
    opening: Opening | None = None
    refusal: Refusal | None = None
    verifying: Job[Integrity] | None = None
    integrity: Integrity | None = None
    example: Example | None = None
    candidates: tuple[Candidate, ...] = ()
    as_custom: Candidate | None = None
    target: Target = field(default_factory=Target)
    reference: Checkpoint | None = None
    outlooks: dict[tuple[str, str], Outlook] = field(default_factory=dict)
    outlook_job: Job[int] | None = None
    comparing: bool = False
    histories: dict[tuple[str, str], History] = field(default_factory=dict)
    suggestions: dict[tuple[str, str], Suggestion] = field(default_factory=dict)
    aligned: Aligned | None = None
    aligned_for: object = None
    rule_drafts: dict[tuple[str, str], RuleDraft] = field(default_factory=dict)
    editing: Editing = field(default_factory=Editing)
    words: tuple[object, Any] | None = None
    proposed: tuple[str, str] = ("", "")
    recalled: Any = None
    pending_rules: RuleSet | None = None
    network_restored: bool = False
    previewed: Aligned | None = None
    previewed_for: object = None
    selected_row: tuple[str | None, str | None] | None = None
    sought_rows: int = 0
    sent_parts: list[str] = field(default_factory=list)
    map_clicked: bool = False
    map_shown: bool = True
    load_choice: LoadChoice = field(default_factory=LoadChoice)
    loaded: LoadedModel | None = None
    loaded_as: object = None
    values: ValuesCheck | None = None
    verification: Verification | None = None
    images: dict[str, ImageSource] = field(default_factory=dict)
    picture_notes: tuple[str, ...] = ()
    pictures_version: int = 0
    load_version: int = 0
    steps: StepsChoice | None = None
    steps_for: object = None
    labels: LabelsChoice = field(default_factory=LabelsChoice)
    truth: TruthChoice = field(default_factory=TruthChoice)
    pace: Pace = field(default_factory=Pace)
    run: PredictRun | None = None
    against: Against | None = None
    timings: dict[Pace, dict[str, Any]] = field(default_factory=dict)
    shown_picture: str = ""
    mistakes: tuple[str, ...] = ()
    stage: str = ""
    opened: str = ""
    drafts: dict[str, tuple[str, str]] = field(default_factory=dict)
    generation: int = 0
    message: tuple[str, str] | None = None
    said: tuple[str, str] | Refusal | None = None

    def take(self, checkpoint: Checkpoint, given: Given) -> None:
        """Make `checkpoint` the open one. Pictures and labels stay; rules and network belong to the file and go."""
        self.given = given if given.is_remote or len(checkpoint.members) > 1 else None
        self.example = given.example
        self.refusal = None
        self.forget_integrity()
        self.forget_outlooks()
        self._propose_for(checkpoint)
        self.proposed = self.place
        self.recalled = self.pending_rules = None
        self.histories = {}
        self.suggestions = {}
        self.rule_drafts = {}
        self.selected_row = None
        self.words = None
        self.opened = uuid.uuid4().hex[:12]
        self.aligned = self.previewed = self.previewed_for = None
        self.drafts = {}
        self.steps = None
        if self.labels.proposed:
            self.labels = LabelsChoice()
        self.load_choice = LoadChoice()

    def select_state_dict(self, path: str) -> None:
        """Select another state dict of the open file, and propose a network for it anew."""
        if self.checkpoint is None or path == self.checkpoint.selected:
            return
        self._stop_outlooks()
        self._propose_for(self.checkpoint.select(path))

    def _propose_for(self, checkpoint: Checkpoint) -> None:
        """Make `checkpoint` the open one, with the networks that its selected state dict could be."""
        self.checkpoint = checkpoint
        self.candidates = identify(checkpoint.state_dict)
        self.as_custom = as_custom(checkpoint.state_dict)
        self.target = Target.proposed(self.candidates, self.example.architecture if self.example else "")
        self.forget_loaded()

    def forget_loaded(self) -> None:
        """Let go of the network and its answers."""
        self.load_version += 1
        self.verification = None
        self.loaded = self.loaded_as = self.values = None
        self.forget_run()
        self.against = None

    def forget_run(self) -> None:
        """Let go of the answers, and end the run that gives them."""
        if self.run is not None:
            self.run.stop()
        if self.against is not None:
            self.against.stop()
        self.run = None
        self.timings = {}

    def _stop_outlooks(self) -> None:
        if self.outlook_job is not None:
            self.outlook_job.stop()
        self.outlook_job = None

    def forget_outlooks(self) -> None:
        """Let go of what each choice would do, and of the look at it if it still goes on."""
        self._stop_outlooks()
        self.outlooks = {}
        self.comparing = False

    def forget_integrity(self) -> None:
        """Let go of what a look at every byte found, and of the look itself if it still goes on."""
        if self.verifying is not None:
            self.verifying.stop()
        self.verifying = self.integrity = None

    def stop_opening(self) -> None:
        """Abandon what is being opened."""
        if self.opening is not None:
            self.opening.job.stop()
        self.opening = None

    def say_again(self) -> None:
        """Before a run that nobody asked for: what stands on the page is not to vanish by it."""
        if isinstance(self.said, Refusal):
            self.refusal = self.refusal or self.said
        elif self.said is not None:
            self.message = self.message or self.said

    def let_go(self) -> None:
        """Forget all that is large: the tab was closed, and nobody will come back."""
        self.stop_opening()
        self.forget_integrity()
        self.forget_outlooks()
        self.forget_loaded()
        self.checkpoint = self.reference = self.aligned = self.previewed = self.previewed_for = None
        self.given = self.refusal = self.said = None
        self.images.clear()

    def choose(self, target: Target) -> None:
        """Choose another network; the rules that were written for it before come back with it."""
        if target != self.target:
            self.target = target
            self.drafts = {name: draft for name, draft in self.drafts.items() if not name.startswith("option-")}
            self.forget_loaded()

    def select_row(self, checkpoint: str | None, model: str | None, seek: bool = False) -> None:
        """Select the row of these keys in the key diff; with `seek`, bring it into sight there."""
        self.selected_row = None if checkpoint is None and model is None else (checkpoint, model)
        self.sought_rows += seek

    def set_pictures(self, images: dict[str, ImageSource], notes: tuple[str, ...] = ()) -> None:
        """Make `images` the pictures, with `notes` on what was left out; answers to others are out of date."""
        self.images = images
        self.picture_notes = notes
        self.forget_run()
        self.pictures_version += 1

    @property
    def draft(self) -> RuleDraft | None:
        """The rule that is being typed for the open state dict and network, if any."""
        return self.rule_drafts.get(self.place)

    @draft.setter
    def draft(self, draft: RuleDraft | None) -> None:
        if draft is None:
            self.rule_drafts.pop(self.place, None)
        else:
            self.rule_drafts[self.place] = draft

    @property
    def place(self) -> tuple[str, str]:
        """The open state dict and network, as a key: rules and suggestions belong to both."""
        return (self.checkpoint.selected if self.checkpoint else "", self.target.key)


class _Store:
    """Sessions by id, each let go of `keep_seconds` after its tab was closed."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.timers: dict[str, threading.Timer] = {}
        self.lock = threading.Lock()

    def get(self, key: str) -> Session:
        with self.lock:
            if timer := self.timers.pop(key, None):
                timer.cancel()
            return self.sessions.setdefault(key, Session())

    def leaving(self, key: str) -> None:
        with self.lock:
            timer = self.timers[key] = threading.Timer(operator().keep_seconds, self.drop, (key,))
            timer.daemon = True
            timer.start()

    def drop(self, key: str) -> None:
        with self.lock:
            self.timers.pop(key, None)
            session = self.sessions.pop(key, None)
        if session is not None:
            session.let_go()


_store = _Store()


def _leaving(key: str) -> None:
    _store.leaving(key)


@st.cache_resource(scope="session", on_release=_leaving, show_spinner=False)
def _watch(key: str) -> str:
    """Its release tells that the tab was closed, or that its connection dropped."""
    return key


def current() -> Session:
    """The session of the tab that this script runs for."""
    key: str = st.session_state.setdefault("session", uuid.uuid4().hex)
    _watch(key)
    return _store.get(key)


def require_checkpoint() -> Session:
    """The session with its open checkpoint; without one, the page says so, with the way to open one, and stops."""
    session = current()
    if session.checkpoint is None:
        st.text("No checkpoint is open.")
        st.page_link("pages/open.py", label="Open a checkpoint")
        st.stop()
    return session


def widget_value(key: str, default: Any = None) -> Any:
    """The value of the widget called `key` at the last run."""
    return st.session_state.get(key, default)


def selected_rows(key: str) -> list[int]:
    """The rows of the table called `key` that are selected, as it was given them."""
    selection = getattr(st.session_state.get(key), "selection", None)
    return [int(row) for row in getattr(selection, "rows", [])]


def controlled(key: str, value: Any, changed: Callable[[Any], None]) -> dict[str, Any]:
    """Arguments for a widget that shows `value` and tells `changed` what a person made of it.

    The value has its home in the Session and not in the widget, which Streamlit forgets when the page is left.
    """
    st.session_state[key] = value

    def tell() -> None:
        changed(st.session_state[key])

    return {"key": key, "on_change": tell}


def frame_drawn() -> None:
    """Note that this tab's pages stand in the frame of `app.py`."""
    st.session_state["frame"] = True


def has_frame() -> bool:
    """Whether this tab's pages stand in the frame of `app.py`."""
    return bool(st.session_state.get("frame", False))
