"""Blocks with a gap: what stands where a block should, under the names of its convs, but lacks one of them.

A file from which a tensor was lost is still the network that it was; it is not a smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ckpt_explorer.anatomy.blocks import Block, Convs, Slot
from ckpt_explorer.anatomy.layers import Layer
from ckpt_explorer.anatomy.tokens import Tokens, number


def blocks_with_gaps(left: Sequence[Layer], blocks: Sequence[Block]) -> tuple[list[Block], list[Layer]]:
    """Blocks that can be told from the whole ones beside them, and the convs that are in none."""
    nested = [block for block in blocks if block.nested]
    slots = {block.place(conv): slot for block in nested for slot, conv in block.inside.items()}
    kernels = {(slot, conv.kernel) for block in nested for slot, conv in block.convs.items()}
    shapes = {_shape(block.root) for block in nested}
    depths = sorted({len(shape) for shape in shapes}, reverse=True)
    known = {block.root for block in nested}
    groups: dict[Tokens, Convs] = {}
    rest: list[Layer] = []
    for conv in left:
        for depth in depths:
            root, slot = conv.path[:depth], slots.get("".join(conv.path[depth:]))
            if slot is None or (slot, conv.kernel) not in kernels:  # a stem in the names of a block is none
                continue
            if root not in known and _shape(root) in shapes:
                groups.setdefault(root, {})[slot] = conv
                break
        else:
            rest.append(conv)
    found = []
    for root, convs in groups.items():
        channels = _channels(convs, nested[0])
        if channels is None:
            rest += convs.values()
        else:
            found.append(Block(root, tuple(convs.values()), [convs], channels=channels))
    return found, rest


def _shape(root: Tokens) -> Tokens:
    return tuple("#" if number(token) is not None else token for token in root)


def _channels(convs: Convs, whole: Block) -> tuple[int, int] | None:
    """Channels that arrive at a block with a gap and that leave it, from the convs that are there."""
    last: Slot = "conv3" if whole.is_bottleneck else "conv2"
    expansion = whole.out / whole.convs["conv1"].out
    inner = next((convs[slot].out for slot in ("conv1", "conv2") if slot in convs and slot != last), None)
    out = next((convs[slot].out for slot in (last, "shortcut") if slot in convs), None)
    if out is None:
        out = round(inner * expansion) if inner else None
    inputs = next((convs[slot].inputs for slot in ("shortcut", "conv1") if slot in convs), out)
    return (inputs, out) if inputs and out else None
