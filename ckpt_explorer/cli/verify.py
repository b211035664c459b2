"""verify: is it loaded right? All evidence, what each kind can't see, and what is doubted."""

from __future__ import annotations

from argparse import Namespace

from ckpt_explorer.cli.journey import proposed
from ckpt_explorer.cli.output import warn, write_heading, write_json, write_line, write_table
from ckpt_explorer.cli.predict import chosen_preprocessing
from ckpt_explorer.evidence.health import BLIND as HEALTH_BLIND
from ckpt_explorer.evidence.self_check import BLIND as SELF_CHECK_BLIND
from ckpt_explorer.evidence.two_seeds import BLIND as TWO_SEEDS_BLIND
from ckpt_explorer.evidence.verification import Verification, verify
from ckpt_explorer.evidence.wiring import BLIND as WIRING_BLIND
from ckpt_explorer.loading import load
from ckpt_explorer.text import plural

SHOWN_LAYERS = 12


def run(arguments: Namespace) -> int:
    """Carry out `verify`; returns the exit status: 0 when the verdict is complete and nothing is doubted."""
    proposal = proposed(arguments)
    loaded = load(proposal.alignment, device=arguments.device, dtype=arguments.dtype, strict=arguments.strict)
    found = verify(
        loaded,
        arguments.images,
        preprocessing=chosen_preprocessing(arguments, loaded),
        batch_size=max(arguments.batch_size, 1),
    )
    if arguments.json:
        write_json(found.as_json())
    else:
        write_verification(found)
    return 0 if found.is_proven else 1


def write_verification(found: Verification) -> None:
    """All evidence as text, in the order in which a doubter asks."""
    alignment = found.loaded.alignment
    write_line(f"{alignment.verdict.upper()}  {alignment.says}")
    values = found.values
    write_heading("Values: is what the file holds in the network?")
    write_line(
        f"  {values.equal + values.adapted:,} of {plural(values.tensors, 'tensor')} are equal ({values.adapted:,} after a stated arithmetic), {len(values.different):,} differ."
    )
    write_line("  It can't see whether a tensor is in its right place.")
    write_heading("Health: are the tensors sound in themselves?")
    write_table((row.key, row.finding, row.detail) for row in found.health)
    if not found.health:
        write_line("  Nothing odd.")
    write_line(f"  {HEALTH_BLIND}")
    write_heading("Two seeds: does anything take part that is not from the file?")
    write_line(f"  {found.seeds.says}")
    write_line(f"  {TWO_SEEDS_BLIND}")
    write_heading("Wiring: does each layer stand where it was trained? From the weights alone")
    write_line(f"  {found.wiring.says}")
    write_line(f"  {WIRING_BLIND}")
    write_heading("BatchNorm self-check: does each layer get what it was trained on?")
    _write_self_check(found)
    write_heading("Doubts")
    if not found.doubts:
        write_line("  None.")
    for doubt in found.doubts:
        write_line(f"! {doubt}")
    for sentence in (*found.unread, *found.notes):
        warn(sentence)


def _write_self_check(found: Verification) -> None:
    if found.used is None:
        write_line("  Not run: give pictures of the kind that it was trained on, a dozen or more.")
        return
    write_line(f"  Preprocessing {found.used}")
    if found.found is not None:
        write_line(f"  {found.found.says}")
        write_table(
            (
                (row.name, f"mean |z| {row.mean_z:.2f}", f"gap {row.log_variance_gap:.2f}")
                for row in found.found.ranking
            ),
            indent="    ",
        )
        if found.found.sizes is not None:
            write_line(f"  {found.found.sizes.says}")
    for row in found.options:
        write_line(f"  {row.says}")
    if found.batchnorm is None:
        write_line("  The network has no BatchNorm with running statistics: nothing can be checked.")
        return
    write_line(f"  {found.batchnorm.says}")
    if found.batchnorm.doubted:
        write_table(
            (
                (row.name, f"mean |z| {row.mean_z:.2f}", f"gap {row.log_variance_gap:.2f}", row.doubt)
                for row in found.batchnorm.doubted[:SHOWN_LAYERS]
            ),
            indent="    ",
        )
    write_line(f"  {SELF_CHECK_BLIND}")
