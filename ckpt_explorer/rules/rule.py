"""Rule: one line of the rename language, as data, as text that a person writes, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import pattern, rewriting
from ckpt_explorer.rules.arithmetic import OPERATIONS, combination, filling, operation
from ckpt_explorer.rules.pattern import MAX_PATTERN, Rewrite
from ckpt_explorer.rules.sized_operations import NAMES
from ckpt_explorer.text import visible

Kind = Literal[
    "strip prefix",
    "add prefix",
    "remove segment",
    "rename",
    "regex",
    "drop",
    "take from",
    "transform",
    "combine",
    "fill",
]

MAX_LINE = 25 * MAX_PATTERN
"""Characters of a rule's text: two patterns, each character of which may take twelve in a JSON string."""

DROPPED = "\x00dropped"
"""What a drop rule renames to: no key of a file can hold a zero byte and pass for it, since keys are compared first."""


@dataclass(frozen=True)
class Rule:
    """One rule. `find` is what it looks for, `to` what `rename` and `regex` put there; `why` is its reason, if any."""

    kind: Kind
    find: str
    to: str = ""
    enabled: bool = True
    why: str = ""

    def __str__(self) -> str:
        target = f" -> {_quoted(self.to)}" if KINDS[self.kind].has_target else ""
        return f"{self.kind} {_quoted(self.find)}{target}"

    def as_json(self) -> dict[str, Any]:
        """The rule as a JSON object; `text` is the same rule for a person and is not read back."""
        target = {"to": self.to} if KINDS[self.kind].has_target else {}
        why = {"why": self.why} if self.why else {}
        return {"kind": self.kind, "find": self.find, **target, "enabled": self.enabled, **why, "text": str(self)}

    def switched(self, enabled: bool) -> Rule:
        """The same rule, on or off."""
        return replace(self, enabled=enabled)

    def rewrite(self) -> Rewrite:
        """The function that applies it to one key.

        Raises:
            RuleError: the rule is not valid; the text says what is wrong with it.
        """
        if len(self.find) > MAX_PATTERN:
            raise RuleError(f"A rule has {MAX_PATTERN} characters at most, this one has {len(self.find):,}.")
        return KINDS[self.kind].compile(self)


@dataclass(frozen=True)
class RuleKind:
    """How one kind of rule is compiled and explained; `has_target` where it is written with an arrow."""

    compile: Callable[[Rule], Rewrite]
    help: str
    example: str
    has_target: bool = False


def _needed(rule: Rule) -> str:
    if not rule.find:
        raise RuleError(f"A rule of kind '{rule.kind}' needs something behind it: {KINDS[rule.kind].example}.")
    return rule.find


def _strip_prefix(rule: Rule) -> Rewrite:
    prefix = _needed(rule)

    def rewrite(key: str, _seconds: float) -> str | None:
        return key[len(prefix) :] if key.startswith(prefix) and len(key) > len(prefix) else None

    return Rewrite(rewrite, prefix)


def _add_prefix(rule: Rule) -> Rewrite:
    prefix = _needed(rule)
    return Rewrite(lambda key, _seconds: prefix + key)


def _remove_segment(rule: Rule) -> Rewrite:
    segment = _needed(replace(rule, find=rule.find.strip(".")))
    found = re.compile(rf"(?:^|(?<=\.)){re.escape(segment)}\.")

    def rewrite(key: str, _seconds: float) -> str | None:
        shorter, count = found.subn("", key)
        return shorter if count and shorter else None

    return Rewrite(rewrite, segment + ".")


def _drop(rule: Rule) -> Rewrite:
    found = pattern.compiled(_needed(rule))
    return Rewrite(
        lambda key, seconds: DROPPED if found.found_in(key, seconds) else None,
        found.holds,
        found.quick,
        found.ends,
    )


def _take_from(_rule: Rule) -> Rewrite:
    return Rewrite(_left_alone)


def _left_alone(_key: str, _seconds: float) -> None:
    """What a rule makes of a key that is none of its business."""


def _transform(rule: Rule) -> Rewrite:
    """Keys that it touches keep their name: what it does to the tensor is done when the tensor is read."""
    operation(rule.to)
    found = pattern.compiled(_needed(rule))
    return Rewrite(
        lambda key, seconds: key if found.found_in(key, seconds) else None, found.holds, found.quick, found.ends
    )


def _combine(rule: Rule) -> Rewrite:
    ends = combination(_needed(rule))
    if not rule.to:
        raise RuleError(f"A rule of kind 'combine' needs a name for the result: {KINDS['combine'].example}.")

    def rewrite(key: str, _seconds: float) -> str | None:
        for end in ends.parts:
            if key == end or key.endswith("." + end):
                return key[: len(key) - len(end)] + rule.to
        return None

    return Rewrite(rewrite)


def _fill(rule: Rule) -> Rewrite:
    """It touches no key of the file: it is for keys of the network that the file has not."""
    filling(rule.to)
    pattern.compiled(_needed(rule))
    return Rewrite(_left_alone)


KINDS: dict[Kind, RuleKind] = {
    "strip prefix": RuleKind(_strip_prefix, "cut this exact text from the start of a key", "strip prefix module."),
    "add prefix": RuleKind(_add_prefix, "put this text in front of every key", "add prefix backbone."),
    "remove segment": RuleKind(_remove_segment, "cut this segment wherever it stands", "remove segment _orig_mod"),
    "rename": RuleKind(
        lambda rule: rewriting.rename(_needed(rule), rule.to),
        "whole dotted segments; {n} catches a number, {n:3-6} one of these, {i:a-d} a letter, {n-1} computes with it, {a|b} -> {x|y} names several at once, ^ and $ are the ends of the key",
        "rename res{n}. -> layer{n-1}.",
        has_target=True,
    ),
    "regex": RuleKind(
        lambda rule: rewriting.expression(_needed(rule), rule.to),
        "a regular expression; \\1 is what the first group caught",
        r"regex ^stem\.(\d) -> conv\1",
        has_target=True,
    ),
    "drop": RuleKind(_drop, "leave out every key in which this pattern is found", "drop ^optimizer."),
    "take from": RuleKind(_take_from, "use the state dict at this dotted path of the file", "take from state_dict_ema"),
    "transform": RuleKind(
        _transform,
        f"arithmetic on the tensor of every key in which this pattern is found: {', '.join((*OPERATIONS, *NAMES))}",
        "transform conv1.weight -> RGB to BGR",
        has_target=True,
    ),
    "combine": RuleKind(
        _combine,
        "one tensor of two whose keys end so: a * b is their product, a * b / |b| the second at the lengths of the first, a - b the first less the second where there is one; w / (u w v) is spectral norm's, of three",
        "combine 'weight_orig * weight_mask' -> weight",
        has_target=True,
    ),
    "fill": RuleKind(
        _fill,
        "a number in every tensor of the network that has this pattern and that the file lacks; 1 - eps is BatchNorm's",
        "fill running_mean$ -> 0",
        has_target=True,
    ),
}
assert set(KINDS) == set(get_args(Kind))


def _quoted(text: str) -> str:
    """`text` in quotes, exactly as it is; the few that quotes can't hold as a JSON string behind the word json."""
    plain = text.isprintable() and not text.endswith("\\")
    quote = next((mark for mark in "'\"" if mark not in text), None) if plain else None
    return f"{quote}{text}{quote}" if quote else f"json{json.dumps(text)}"


_QUOTED = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|json("(?:[^"\\]|\\.)*"))\s*""")
_ARROW = re.compile(r"\s*(?:->|→|=>)\s*")


def parse_rule(text: str) -> Rule:
    """Read one rule as a person writes it: `strip prefix module.`, `rename 'linear.' -> 'fc.'`; quotes are optional.

    A line `a -> b` without a kind is a rename. The rule is compiled once, so that what comes back can be applied.

    Raises:
        RuleError: no kind of rule is written like this, or its pattern is not valid.
    """
    line = text.strip()
    if len(line) > MAX_LINE:
        raise RuleError(f"A rule has {MAX_PATTERN} characters at most.")
    kind = next((kind for kind in KINDS if line.lower().startswith(kind + " ") or line.lower() == kind), None)
    if kind is None and _ARROW.search(line):
        kind, line = "rename", f"rename {line}"
    if kind is None:
        kinds = "; ".join(row.example for row in KINDS.values())
        raise RuleError(f"{visible(line, 60)!r} is no rule: a rule begins with its kind, as in {kinds}.")
    find, rest = _operand(line[len(kind) :].strip(), KINDS[kind].has_target)
    target = ""
    if KINDS[kind].has_target:
        arrow = _ARROW.match(rest)
        if not arrow:
            raise RuleError(f"A rule of kind '{kind}' needs an arrow: {KINDS[kind].example}.")
        target, rest = _operand(rest[arrow.end() :], False)
    if rest.strip():
        raise RuleError(f"{visible(rest.strip(), 40)!r} stands behind the end of the rule.")
    rule = Rule(kind, find, target)
    rule.rewrite()
    return rule


def _operand(text: str, before_arrow: bool) -> tuple[str, str]:
    """The first operand of `text`, quoted or bare, and what is behind it."""
    quoted = _QUOTED.match(text)
    if quoted:
        return _unquoted(quoted), text[quoted.end() :]
    if text[:1] in ("'", '"'):
        raise RuleError(f"The quote {text[0]} has no partner: close it behind the text, or leave both out.")
    arrow = _ARROW.search(text) if before_arrow else None
    return (text[: arrow.start()].strip(), text[arrow.start() :]) if arrow else (text.strip(), "")


def _unquoted(found: re.Match[str]) -> str:
    if found[3] is None:
        return found[1] if found[1] is not None else found[2]
    try:
        return str(json.loads(found[3]))
    except ValueError:
        raise RuleError(f"{visible(found[3], 60)} is no JSON string.") from None


def rule_from_json(given: Mapping[str, Any] | str) -> Rule:
    """A rule from `Rule.as_json`, or from one line of text.

    Raises:
        RuleError: it is neither.
    """
    if isinstance(given, str):
        return parse_rule(given)
    if not isinstance(given, Mapping):
        raise RuleError("A rule in JSON is an object with 'kind' and 'find', or one line of text.")
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RuleError(f"{visible(str(kind), 40)!r} is no kind of rule: there are {', '.join(KINDS)}.")
    texts = [given.get("find", ""), given.get("to", ""), given.get("why", "")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(given.get("enabled", True), bool):
        raise RuleError(f"In a rule of kind '{kind}', 'find', 'to' and 'why' are texts and 'enabled' is true or false.")
    rule = Rule(kind, texts[0], texts[1], given.get("enabled", True), texts[2][:500])
    rule.rewrite()
    return rule
