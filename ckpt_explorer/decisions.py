"""Decisions: what does not fit, what can be done about it, and what follows from each choice, in words.

A choice is carried out by rules, or by building the network with the file's own counts; nothing is done in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ckpt_explorer.alignment import Alignment, KeyPair, Status, align
from ckpt_explorer.architectures import with_counts
from ckpt_explorer.decision import STOP, Choice, Decision
from ckpt_explorer.errors import LoadError
from ckpt_explorer.key_pair import is_counter, named
from ckpt_explorer.rules import Rule, RuleSet
from ckpt_explorer.suggestion.conv_biases import biases_before_norms, taking_off
from ckpt_explorer.text import plural, shape_as_text, visible

MOST_DROPS = 12
"""Rules that leaving out may take: where it would take more, the network is another one."""

_STATISTICS = (".running_mean", ".running_var")


def decisions_for(alignment: Alignment) -> tuple[Decision, ...]:
    """Everything that does not fit, as questions with their choices, in the order in which they are best answered."""
    return tuple(found for ask in _QUESTIONS if (found := ask(alignment)) is not None)


def taken(alignment: Alignment, choice: Choice) -> Alignment:
    """The alignment as it is when `choice` is carried out.

    Raises:
        LoadError: the choice is to stop. ArchitectureError: the network can't be built with the counts it needs.
    """
    if choice is STOP:
        raise LoadError("Stopped: what does not fit was to be decided before anything is loaded.")
    architecture = alignment.architecture
    if choice.num_classes is not None or choice.in_channels is not None:
        architecture = with_counts(architecture, choice.num_classes, choice.in_channels)
    rules = RuleSet((*alignment.rules, *choice.added))
    return align(alignment.state_dict, architecture, rules, alignment.by_order)


def decided(alignment: Alignment, answers: Sequence[str]) -> Alignment:
    """The alignment with `ABOUT=CHOICE` answers carried out, such as `classes=leave out`, in the order of the questions.

    Raises:
        LoadError: an answer is to no question that there is, names no choice, or says to stop.
    """
    given: dict[str, str] = {}
    for answer in answers:
        about, _, name = answer.partition("=")
        given[about.strip()] = name.strip()
    while given:
        open_now = {row.about: row for row in decisions_for(alignment)}
        found = next((row for row in open_now if row in given), None)
        if found is None:
            asked = ", ".join(open_now) or "nothing: all fits"
            raise LoadError(
                f"There is nothing to decide about {visible(next(iter(given)), 40)!r}. To be decided: {asked}."
            )
        alignment = taken(alignment, open_now[found].choice(given.pop(found)))
    return alignment


def _classes(alignment: Alignment) -> Decision | None:
    head = set(alignment.architecture.head)
    rows = [pair for pair in alignment.rows(Status.SHAPE_MISMATCH) if pair.model in head]
    if not rows or not all(pair.checkpoint_shape and pair.model_shape for pair in rows):
        return None
    counts = {((pair.checkpoint_shape or ())[0], (pair.model_shape or ())[0]) for pair in rows}
    alike = all((pair.checkpoint_shape or ())[1:] == (pair.model_shape or ())[1:] for pair in rows)
    if len(counts) != 1 or not alike:
        return None
    ours, wanted = counts.pop()
    keys = tuple(pair.model for pair in rows if pair.model)
    choices = []
    if alignment.architecture.kind != "reference":
        choices.append(
            Choice(
                "classes of the file",
                f"Build the head with the file's {plural(ours, 'class', 'classes')}",
                f"Everything is loaded. The answers are the file's {plural(ours, 'class', 'classes')}, in the order it was trained with.",
                num_classes=ours,
            )
        )
    if ours == wanted + 1:
        choices.append(
            Choice(
                "without the first",
                "Leave the first class out",
                "Right where the file's class 0 is the background, as in TensorFlow's networks of 1,001 classes; else every label is off by one.",
                added=_transforms(rows, f"last {wanted} rows"),
            )
        )
    if ours > wanted:
        choices.append(
            Choice(
                "first classes",
                f"Take the first {plural(wanted, 'class', 'classes')}",
                f"Right only where your {plural(wanted, 'class', 'classes')} are the file's first ones, in the same order; probabilities are then among those alone.",
                added=_transforms(rows, f"first {wanted} rows"),
            )
        )
    choices += _leaving_out(alignment, rows, _if_random(alignment, keys))
    beyond = f"A head of {wanted:,} classes can't be filled from {ours:,}: the others would be random."
    return Decision(
        "classes",
        f"The file's head has {plural(ours, 'class', 'classes')}, the network's {wanted:,}.",
        keys,
        (*choices, STOP),
        "" if ours > wanted else beyond,
    )


def _channels(alignment: Alignment) -> Decision | None:
    stem = _stem_row(alignment)
    if stem is None or stem.checkpoint_shape is None or stem.model_shape is None:
        return None
    ours, wanted = stem.checkpoint_shape[1], stem.model_shape[1]
    rest = [(shape[0], *shape[2:]) for shape in (stem.checkpoint_shape, stem.model_shape)]
    if ours == wanted or rest[0] != rest[1]:
        return None
    choices = []
    if alignment.architecture.kind != "reference":
        choices.append(
            Choice(
                "channels of the file",
                f"Build the stem for the file's {plural(ours, 'channel')}",
                f"Everything is loaded as it was trained; pictures must come with {plural(ours, 'channel')}.",
                in_channels=ours,
            )
        )
    for name, says, consequence in _adaptations(ours, wanted):
        choices.append(
            Choice(name, says, consequence, added=_transforms([stem], _OPERATION_NAMES.get(name) or f"{name} channels"))
        )
    lost = "The first conv is random then: nothing that comes after it can be trusted."
    return Decision(
        "channels",
        f"The file's first conv takes {plural(ours, 'channel')}, the network's {wanted:,}.",
        (stem.model or "",),
        (*choices, *_leaving_out(alignment, [stem], lost), STOP),
    )


_OPERATION_NAMES = {
    "sum to gray": "sum RGB to gray",
    "mean to gray": "mean RGB to gray",
    "a third each": "gray to RGB, a third each",
}


def _adaptations(ours: int, wanted: int) -> Iterator[tuple[str, str, str]]:
    """Name, label and consequence of every way from `ours` channels to `wanted`."""
    if (ours, wanted) == (3, 1):
        yield (
            "sum to gray",
            "Sum the three channels",
            "Answers on a gray picture as the file's network does on that picture in all three channels, where mean and std are the same for each.",
        )
        yield (
            "mean to gray",
            "Average the three channels",
            "A third of the scale that BatchNorm expects behind it: answers suffer. For training on, it makes little difference.",
        )
        return
    if (ours, wanted) == (1, 3):
        yield (
            "a third each",
            "A third of the kernel to each channel",
            "Answers on a colour picture as the file's network does on the mean of its channels.",
        )
        return
    if ours > wanted:
        yield (
            f"first {wanted}",
            f"Take the first {plural(wanted, 'channel')}",
            f"Right only where what the other {plural(ours - wanted, 'channel')} brought was near 0: what arrives at the first BatchNorm is less by their share.",
        )
        return
    yield (
        f"repeat to {wanted}",
        f"Repeat the kernel's channels until there are {wanted:,}, scaled",
        "A start for training on, as timm makes it: the scale is kept, but no answer means anything until the new bands were trained.",
    )


def _shapes(alignment: Alignment) -> Decision | None:
    asked = {key for ask in (_classes, _channels) if (found := ask(alignment)) for key in found.keys}
    rows = [pair for pair in alignment.rows(Status.SHAPE_MISMATCH) if pair.model and pair.model not in asked]
    if not rows:
        return None
    keys = tuple(dict.fromkeys(pair.model for pair in rows if pair.model))
    first = rows[0]
    example = f"{visible(first.model or '', 80)} is {shape_as_text(first.checkpoint_shape)} in the file and {shape_as_text(first.model_shape)} in the network"
    return Decision(
        "shapes",
        f"{plural(len(keys), 'tensor')} of the network {'has' if len(keys) == 1 else 'have'} another shape in the file: {example}.",
        keys,
        (*_leaving_out(alignment, rows, _if_random(alignment, keys)), STOP),
        "A part of a kernel is not offered: some channels of a trained layer, without those that they work with, compute nothing that was trained. Look for the network that has these shapes.",
    )


def _statistics(alignment: Alignment) -> Decision | None:
    lost = _lost_statistics(alignment)
    if not lost:
        return None
    fill = (
        Rule("fill", "running_mean$", "0", why="the statistics were folded into scale and bias"),
        Rule("fill", "running_var$", "1 - eps", why="the statistics were folded into scale and bias"),
    )
    return Decision(
        "statistics",
        f"BatchNorm's running statistics are not in the file ({named(lost)}).",
        lost,
        (
            Choice(
                "leave at 0 and 1",
                "Load the rest; the statistics stay at 0 and 1",
                "The network normalises with numbers that were never measured: every answer is wrong until they are.",
                partial=True,
            ),
            Choice(
                "folded",
                "Fill in mean 0 and variance 1: the file's norms were folded",
                "Right only where scale and bias already hold the statistics, as in Caffe2's and detectron2's affine layers.",
                added=fill,
            ),
            STOP,
        ),
    )


def _missing(alignment: Alignment) -> Decision | None:
    statistics = set(_lost_statistics(alignment))
    keys = tuple(key for key in _missing_keys(alignment) if key not in statistics)
    if not keys:
        return None
    return Decision(
        "missing",
        f"{named(keys)} {'is' if len(keys) == 1 else 'are'} wanted by the network and not in the file.",
        keys,
        (
            Choice(
                "leave random",
                "Load the rest (strict=False); these stay as initialised",
                _if_random(alignment, keys),
                partial=True,
            ),
            STOP,
        ),
    )


def _unexpected(alignment: Alignment) -> Decision | None:
    rows = [pair for pair in alignment.rows(Status.UNEXPECTED) if pair.checkpoint and pair.renamed]
    keys = tuple(pair.checkpoint for pair in rows if pair.checkpoint and not is_counter(pair.checkpoint))
    if not keys:
        return None
    strangers = alignment.strangers
    consequence = (
        f"{named(strangers)} {'was' if len(strangers) == 1 else 'were'} trained inside this network and would take no part: it computes something else than what was trained."
        if strangers
        else "Nothing of the network depends on them: its answers are the same."
    )
    return Decision(
        "unexpected",
        f"{named(keys)} of the file {'has' if len(keys) == 1 else 'have'} no place in the network.",
        keys,
        (*_taking_off_biases(alignment, keys), *_leaving_out(alignment, rows, consequence), STOP),
    )


def _taking_off_biases(alignment: Alignment, keys: Sequence[str]) -> Iterator[Choice]:
    """The choice to take biases of convs off the means of the BatchNorms behind them, where all `keys` are such."""
    if set(keys) <= biases_before_norms(alignment).keys() and (rules := taking_off(alignment)):
        yield Choice(
            "into the norms",
            f"Take {'it' if len(keys) == 1 else 'them'} off the running means of the BatchNorms behind",
            "The answers are those of the network with the biases: BatchNorm takes its mean off what the conv gives, so the mean less the bias does the same.",
            added=rules,
        )


_QUESTIONS: Sequence[Callable[[Alignment], Decision | None]] = (
    _classes,
    _channels,
    _shapes,
    _statistics,
    _missing,
    _unexpected,
)


def _missing_keys(alignment: Alignment) -> tuple[str, ...]:
    """The unfilled keys of the model that the file has in no shape."""
    missing = {pair.model for pair in alignment.rows(Status.MISSING)}
    return tuple(key for key in alignment.unfilled if key in missing)


def _lost_statistics(alignment: Alignment) -> tuple[str, ...]:
    """Running statistics that the file lacks although it has the scale of their norm."""
    filled = set(alignment.filled)
    lost = (key for key in _missing_keys(alignment) if key.endswith(_STATISTICS))
    return tuple(key for key in lost if f"{key.rsplit('.', 1)[0]}.weight" in filled)


def _stem_row(alignment: Alignment) -> KeyPair | None:
    stem = next((key for key, wanted in alignment.architecture.tree.items() if len(wanted.shape) == 4), None)
    rows = [pair for pair in alignment.rows(Status.SHAPE_MISMATCH) if pair.model == stem]
    row = rows[0] if len(rows) == 1 else None
    return row if row and row.checkpoint_shape and len(row.checkpoint_shape) == 4 else None


def _if_random(alignment: Alignment, keys: Sequence[str]) -> str:
    """What follows when these keys of the network come from no file."""
    if set(keys) <= set(alignment.architecture.head):
        return "The head is random then: class answers mean nothing, features can be used."
    are = "is" if len(keys) == 1 else "are"
    return f"{named(keys)} {are} random then, inside the trunk: no answer and no feature can be trusted."


def _transforms(rows: Sequence[KeyPair], name: str) -> tuple[Rule, ...]:
    """A rule of arithmetic for each row, held to its key."""
    return tuple(Rule("transform", f"^{pair.model}$", name, why="decided by hand") for pair in rows)


def _leaving_out(alignment: Alignment, rows: Sequence[KeyPair], consequence: str) -> list[Choice]:
    """The choice to leave these rows' keys out: by rules where few do, else by a partial load."""
    drops = _drops(alignment, rows)
    out = Choice("leave out", f"Leave {'it' if len(rows) == 1 else 'them'} out of the load", consequence)
    return [replace(out, added=drops, partial=True) if drops else replace(out, partial=True)]


def _drops(alignment: Alignment, rows: Sequence[KeyPair]) -> tuple[Rule, ...]:
    """The fewest drop rules that leave exactly these rows out; none where it would take too many."""
    wanted = {pair.renamed for pair in rows if pair.renamed}
    kept = {front for pair in alignment.pairs if pair.renamed not in wanted for front in _fronts(pair.renamed or "")}
    finds: dict[str, None] = {}
    for key in wanted:
        finds[next((front for front in _fronts(key) if front not in kept), key)] = None
        if len(finds) > MOST_DROPS:
            return ()
    rules = (f"^{find}" if find.endswith(".") else f"^{find}$" for find in sorted(finds))
    return tuple(Rule("drop", find, why="decided by hand") for find in rules)


def _fronts(key: str) -> Iterator[str]:
    """Every front of a key that ends with a dot, the shortest first."""
    at = key.find(".")
    while at >= 0:
        yield key[: at + 1]
        at = key.find(".", at + 1)
