"""Two more kinds of target: your own class, and the key tree of another checkpoint.

A class of your own is code, and it runs. So it is only ever named by whoever starts the app or the command, never by
a file and never from the browser.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ckpt_explorer.architectures.architecture import Architecture, ModelTensor, tree_of
from ckpt_explorer.architectures.meta import on_meta
from ckpt_explorer.checkpoint import StateDict
from ckpt_explorer.errors import ArchitectureError
from ckpt_explorer.text import visible

if TYPE_CHECKING:
    from torch import nn

_serial = itertools.count(1)


def own_class(reference: str, *, num_classes: int | None = None, in_channels: int | None = None) -> Architecture:
    """The network that `my_net.py:CustomResNet` or `package.module:callable` builds.

    The callable is called without arguments, or with `num_classes` and `in_channels` where they are given and it has
    them. Its key tree comes from the meta device; a class that can't be built there is built on the CPU once.

    Raises:
        ArchitectureError: no such file, module or name, or the call fails or returns no module; the text says which.
    """
    call = _callable(reference)
    given = {
        name: value for name, value in (("num_classes", num_classes), ("in_channels", in_channels)) if value is not None
    }
    arguments = _accepted(reference, call, given)

    def build() -> nn.Module:
        return _built(reference, call, arguments)

    module = _on_meta(build)
    tree = tree_of(module)
    if not tree:
        raise ArchitectureError(f"{visible(reference)} has no parameters and no buffers: there is nothing to load.")
    classes, channels, size = _measures(module)
    return Architecture(visible(reference), "class", tree, build, classes, channels, size, dict(arguments))


def reference_tree(state_dict: StateDict, name: str) -> Architecture:
    """The key tree of another checkpoint's state dict, to align and convert against. It has no network to build."""
    tree = {
        key: ModelTensor(info.shape, info.dtype, "running_" not in key and "num_batches" not in key)
        for key, info in state_dict.items()
    }
    return Architecture(f"reference {visible(name)}", "reference", tree, None, None, None)


def _callable(reference: str) -> Callable[..., Any]:
    place, colon, name = reference.rpartition(":")
    shown = visible(reference)
    if not colon or not place or not name:
        raise ArchitectureError(f"{shown!r} names no class: write my_net.py:CustomResNet or package.module:callable.")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_package(place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        there = [
            key for key, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        raise ArchitectureError(
            f"{visible(place)} has no {visible(name)!r}{': it has ' + ', '.join(there) if there else ''}."
        )
    if not callable(found):
        raise ArchitectureError(f"{shown} is no class and no function: it can't be called.")
    return found  # type: ignore[no-any-return]


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ArchitectureError(
            f"There is no file {visible(str(path))}: give the path of the Python file with your class."
        )
    name = f"own_network_{next(_serial)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up by name
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(f"{visible(str(path))} can't be imported", error) from error
    finally:
        sys.path.remove(folder)
    return module


def _from_package(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise _failed(f"Module {visible(place)!r} can't be imported", error) from error


def _failed(what: str, error: BaseException) -> ArchitectureError:
    said = visible(str(error).strip().split("\n", 1)[0], 200)
    where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return ArchitectureError(f"{what} ({type(error).__name__}{where}: {said}).")


def _accepted(reference: str, call: Callable[..., Any], given: dict[str, int]) -> dict[str, int]:
    """Those of `given` that the callable takes."""
    try:
        parameters = inspect.signature(call).parameters
    except (ValueError, TypeError):
        return {}
    anything = any(row.kind is inspect.Parameter.VAR_KEYWORD for row in parameters.values())
    if refused := [name for name in given if name not in parameters and not anything]:
        raise ArchitectureError(
            f"{visible(reference)} takes no {' and no '.join(refused)}: leave it out, or add it to the class."
        )
    return given


def _built(reference: str, call: Callable[..., Any], arguments: dict[str, int]) -> nn.Module:
    from torch import nn

    try:
        module = call(**arguments)
    except (Exception, SystemExit) as error:
        raise _failed(f"{visible(reference)} can't be built", error) from error
    if not isinstance(module, nn.Module):
        raise ArchitectureError(f"{visible(reference)} returns a {type(module).__name__} and no torch.nn.Module.")
    return module


def _on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    try:
        with on_meta():
            return build()
    except ArchitectureError:
        return build()


def _measures(module: nn.Module) -> tuple[int | None, int | None, int]:
    """Classes, input channels and usual input size: from the last linear layer and the first conv."""
    from torch import nn

    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    linears = [part for part in module.modules() if isinstance(part, nn.Linear)]
    classes = linears[-1].out_features if linears else None
    channels = convs[0].in_channels if convs else None
    said = getattr(module, "input_size", None)
    side = said[-1] if isinstance(said, tuple | list) and said else said
    if isinstance(side, int) and 1 <= side <= 4096:
        return classes, channels, side
    pools = any(isinstance(part, nn.MaxPool2d) for part in module.modules())
    first_stride = convs[0].stride[0] if convs else 1
    return classes, channels, 224 if first_stride > 1 or pools else 32
