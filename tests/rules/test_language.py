"""One rule at a time: what each kind does to a key, and what it leaves alone."""

from __future__ import annotations

import time

import pytest
import regex

from ckpt_explorer.errors import RuleError
from ckpt_explorer.rules import KINDS, RuleSet, parse_rule
from ckpt_explorer.rules.pattern import compiled


def renamed(text: str, key: str) -> str | None:
    """What one rule, as a person writes it, makes of one key; None where it leaves the key out."""
    return RuleSet((parse_rule(text),)).apply([key]).keys[0].renamed


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("strip prefix module.", "module.conv1.weight", "conv1.weight"),
        ("strip prefix 'module.'", "model.conv1.weight", "model.conv1.weight"),
        ("strip prefix module.", "conv1.module.weight", "conv1.module.weight"),
        ("strip prefix module.", "module.module.conv1.weight", "module.conv1.weight"),
        ("strip prefix model.", "model.conv1.weight", "conv1.weight"),
        ("strip prefix model.", "model.", "model."),
        ("strip prefix mod", "module.fc", "ule.fc"),
        ("add prefix backbone.", "conv1.weight", "backbone.conv1.weight"),
        ("remove segment _orig_mod", "a._orig_mod.b", "a.b"),
        ("remove segment _orig_mod", "_orig_mod.a._orig_mod.b", "a.b"),
        ("remove segment ._orig_mod.", "a._orig_mod.b", "a.b"),
        ("remove segment mod", "a._mod.mod_.b", "a._mod.mod_.b"),
        ("remove segment weight", "a.weight", "a.weight"),
        ("rename fc. -> head.", "fc.weight", "head.weight"),
        ("rename fc. -> head.", "cfc.weight", "cfc.weight"),
        ("rename fc. -> head.", "fc", "fc"),
        ("rename fc -> head", "fc2.weight", "fc2.weight"),
        ("rename fc -> head", "fc.weight", "head.weight"),
        ("rename shortcut. -> downsample.", "l1.shortcut.0.shortcut.1", "l1.downsample.0.downsample.1"),
        ("rename ^fc. -> head.", "a.fc.weight", "a.fc.weight"),
        ("rename ^fc. -> head.", "fc.weight", "head.weight"),
        ("rename gamma$ -> weight", "bn1.gamma", "bn1.weight"),
        ("rename gamma$ -> weight", "bn1.gamma.x", "bn1.gamma.x"),
        ("rename a.*.b -> c", "a.anything.b", "c"),
        ("rename a.*.b -> c", "a.x.y.b", "a.x.y.b"),
        ("rename res{n}.{i}. -> layer{n-1}.{i}.", "res2.0.conv1", "layer1.0.conv1"),
        ("rename res{n}. -> layer{n-3}.", "res2.conv1", "res2.conv1"),
        ("rename g{n}. -> g{n*2}.", "g3.x", "g6.x"),
        ("rename g{n}. -> g{n//2}.", "g5.x", "g2.x"),
        ("rename g{n}. -> g{n+4}.", "g5.x", "g9.x"),
        ("rename g{n}. -> g{n-1//2+10}.", "g5.x", "g12.x"),
        ("rename g{n}. -> h{n}.", "g007.x", "h007.x"),
        ("rename g{n}.{n}. -> g{n}.", "g3.3.x", "g3.x"),
        ("rename g{n}.{n}. -> g{n}.", "g3.4.x", "g3.4.x"),
        ("rename g{n}. -> h{n}.", "gx.y", "gx.y"),
        ("rename layer1.0. -> stage.", "layer1x0.conv", "layer1x0.conv"),
        ("rename b{n:3-6}. -> layer2.{n-3}.", "b5.conv1", "layer2.2.conv1"),
        ("rename b{n:3-6}. -> layer2.{n-3}.", "b7.conv1", "b7.conv1"),
        ("rename b{n:3-6}. -> layer2.{n-3}.", "b50.conv1", "b50.conv1"),
        ("rename {gamma|kernel}$ -> weight", "bn1.gamma", "bn1.weight"),
        ("rename {gamma|beta}$ -> {weight|bias}", "bn1.beta", "bn1.bias"),
        ("rename {gamma|beta}$ -> {weight|bias}", "beta.x", "beta.x"),
        ("rename {conv1|conv2}. -> {conv2|conv1}.", "l.conv1.w", "l.conv2.w"),
        ("rename {conv1|conv2}. -> {conv2|conv1}.", "l.conv2.w", "l.conv1.w"),
        ("rename {conv1|conv1.norm}. -> {conv1|bn1}.", "l.conv1.norm.w", "l.bn1.w"),
        ("rename s{n}.{res|bn}{i}. -> l{n}.{i}.{conv|bn}.", "s2.bn4.w", "l2.4.bn.w"),
        ("rename B_{n}. -> l{n//(3,4,6,3)+1}.{n%(3,4,6,3)}.", "B_2.w", "l1.2.w"),
        ("rename B_{n}. -> l{n//(3,4,6,3)+1}.{n%(3,4,6,3)}.", "B_7.w", "l3.0.w"),
        ("rename B_{n}. -> l{n//(3,4,6,3)+1}.{n%(3,4,6,3)}.", "B_16.w", "B_16.w"),
        ("rename c{n}. -> b{n-1//(4,3x2)}.{n-1%(4,3x2)}.", "c10.w", "b2.2.w"),
        ("rename c{n}. -> b{n-1//(4,3x2)}.{n-1%(4,3x2)}.", "c0.w", "c0.w"),
        ("rename res{n}{i:a-c}_ -> layer{n-1}.{i}.", "res2b_x", "layer1.1.x"),
        ("rename res{n}{i:a-c}_ -> layer{n-1}.{i}.", "res2d_x", "res2d_x"),
        ("rename res{n}{i:a-c}_ -> layer{n-1}.{i}.", "res2bc_x", "res2bc_x"),
        ("rename layer{n}. -> stage{n-1:a}.", "layer3.x", "stagec.x"),
        ("rename c{n}. -> b{n//3}.conv{n%3+1}.", "c7.x", "b2.conv2.x"),
        ("rename _bn_ -> .norm.", "conv_bn_s", "conv.norm.s"),
        ("rename conv1/ -> stem.", "net/conv1/w", "net/stem.w"),
        ("combine 'weight_orig * weight_mask' -> weight", "conv1.weight_mask", "conv1.weight"),
        ("combine 'weight_orig * weight_mask' -> weight", "conv1.weight", "conv1.weight"),
        ("transform 'fc.weight' -> transpose", "fc.weight", "fc.weight"),
        ("fill running_mean$ -> 0", "bn1.weight", "bn1.weight"),
        (r"regex ^stem\.(\d) -> conv\1", "stem.1.weight", "conv1.weight"),
        (r"regex (?P<a>x+) -> [\g<a>]", "oxxo", "o[xx]o"),
        ("drop fc.", "fc.weight", None),
        ("drop fc.", "cfc.weight", "cfc.weight"),
        ("drop ^optimizer.", "model.optimizer.x", "model.optimizer.x"),
        ("drop total_ops$", "conv1.total_ops", None),
        ("drop layer{n}.", "layer4.0.conv1.weight", None),
        ("take from state_dict_ema", "conv1.weight", "conv1.weight"),
        ("fc. -> head.", "fc.weight", "head.weight"),
        ("fc. → head.", "fc.weight", "head.weight"),
        ("rename backbone. -> ''", "backbone.fc", "fc"),
    ],
)
def test_a_rule_does_what_it_says_and_no_more(rule: str, before: str, after: str | None) -> None:
    assert renamed(rule, before) == after


def test_every_kind_has_a_help_text_and_an_example_that_can_be_applied() -> None:
    for kind, row in KINDS.items():
        assert row.help
        rule = parse_rule(row.example)
        assert rule.kind == kind
        RuleSet((rule,)).apply(["conv1.weight"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with its kind"),
        ("frobnicate x", "begins with its kind"),
        ("strip prefix", "needs something behind it"),
        ("drop", "needs something behind it"),
        ("remove segment .", "needs something behind it"),
        ("rename fc.", "needs an arrow"),
        ("rename {n}. -> {m}.", "does not capture"),
        ("rename a{n -> b", "brace"),
        ("rename a{n}. -> b{n", "brace"),
        ("rename a{n-1}. -> b", "is no hole"),
        ("rename a{n}. -> b{n/2}", "can't be computed"),
        ("rename a{n}. -> b{n//0}", "divides by zero"),
        ("rename a. -> *.", "can't have a *"),
        ("rename a{n:6-3}. -> b{n}", "must go up"),
        ("rename a{n:0-99999}. -> b{n}", "must go up"),
        ("rename a{n:d-b}. -> b{n}", "must go up"),
        ("rename a{n}. -> b{n%0}", "divides by zero"),
        ("rename {a|}. -> b.", "is no choice"),
        ("rename {a|a}. -> b.", "is no choice"),
        ("rename {a|*}. -> b.", "is no choice"),
        ("rename {a|b}. -> {c|d|e}.", "3 texts to choose from, and the pattern has 2"),
        ("rename a. -> {c|d}.", "no such choice"),
        ("rename {a|b}. -> {c|*}.", "can't have a *"),
        ("rename a{n}. -> b{n+(1,2)}.", "can't be computed"),
        ("transform fc.weight -> turn it", "no arithmetic"),
        ("combine weight_orig -> weight", "combines nothing"),
        ("combine 'a * b' -> ''", "needs a name"),
        ("fill running_mean$ -> much", "no number"),
        ("rename . -> x.", "can't be empty"),
        ("rename ^$ -> x.", "can't be empty"),
        ("regex ( -> x", "no regular expression"),
        (r"regex a -> \1", "not valid"),
        (r"regex a -> \g<b>", "not valid"),
        ("rename 'a' -> 'b' c", "behind the end"),
        ('drop json"\\x"', "no JSON string"),
        ("drop " + "x" * 501, "at most"),
        ("rename a -> " + "x" * 501, "at most"),
    ],
)
def test_a_rule_that_is_wrong_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(RuleError, match=says.replace("*", r"\*")) as refused:
        parse_rule(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [r"regex (a|aa)+$ -> x"])
def test_a_regular_expression_that_takes_for_ever_ends_with_a_sentence_within_a_second_or_so(text: str) -> None:
    keys = ["a" * 40 + f"z{index}" for index in range(50)]
    start = time.process_time()
    with pytest.raises(RuleError, match="too long") as refused:
        RuleSet((parse_rule("strip prefix x"), parse_rule(text))).apply(keys)
    assert time.process_time() - start < 3
    assert refused.value.position == 1


@pytest.mark.parametrize(
    "text", ["((a{999}){999}){999}", "a{1000000000}", "(?:a{ 40 }b?){40,}", "(?R)", "(a(?1)?b)", "(?P<x>a(?&x))"]
)
def test_a_regular_expression_that_would_take_all_memory_is_refused_before_it_is_compiled(text: str) -> None:
    start = time.process_time()
    with pytest.raises(RuleError, match=r"repeats|itself"):
        parse_rule(f"regex {text} -> x")
    assert time.process_time() - start < 0.1


def test_a_key_that_would_grow_without_end_is_refused() -> None:
    with pytest.raises(RuleError, match=r"4,096"):
        RuleSet(tuple(parse_rule("add prefix " + "x" * 499 + ".") for _ in range(10))).apply(["conv1.weight"])


def test_only_plain_digits_are_numbers() -> None:
    assert renamed("rename layer{n}. -> stage{n+1}.", "layer٣.x") == "layer٣.x"


def test_a_number_too_long_to_be_one_is_left_alone_and_not_cut() -> None:
    key = "layer" + "1" * 30 + ".x"
    assert renamed("rename layer{n}. -> stage{n+1}.", key) == key


@pytest.mark.parametrize("text", ["res{n}{i:a-z}_branch2{j:a-z}.", "{n}{i:a-d}{m}.", "_{n}{i:a-z}{part|parts}_"])
def test_a_pattern_with_letters_behind_numbers_goes_over_a_hostile_key_once(text: str) -> None:
    assert compiled(text).quick
    engine = compiled(text).compiled
    for key in ("res" + "1" * 4000, "1a1a1a." * 600, "_1" * 2000, "res2a_branch2b.weight", "7c2.x", "_3apart_"):
        start = time.process_time()
        found = engine.search(key)
        assert time.process_time() - start < 0.1
        again = regex.compile(engine.pattern).search(key)
        assert (found and found.span()) == (again and again.span())
