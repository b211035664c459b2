"""The classes of a TorchScript archive, from their text: which attributes are parameters, which buffers. Nothing is run.

Each class declares its attributes in front of its methods, one a line, two spaces in:

    class Net(Module):
      __parameters__ = ["weight", ]
      __buffers__ = ["mean", ]
      weight : Tensor
      mean : Tensor
      __annotations__["0"] = __torch__.torch.nn.modules.conv.Conv2d
      stride : Final[int] = 2

Source: `torch/csrc/jit/serialization/python_print.cpp` (`printNamedType`), `import_source.cpp` (`importClass`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.records import Records
from ckpt_explorer.text import bytes_as_text

MAX_CODE = 64 << 20
"""Bytes of text in all."""

_CLASS = re.compile(r"class ([^\s(:]+)(?:\((\w*)\))?:")
_LIST = re.compile(r"  __(parameters|buffers)__ = \[(.*)\]")
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CONSTANT = re.compile(r"  (\w+) : Final\[(.*)\] = (.+)")
_ATTRIBUTE = re.compile(r'  (?:(\w+) : |__annotations__\["((?:[^"\\]|\\.)*)"\] = )(.+)')


@dataclass
class Declared:
    """What the text of a class declares: the types of its attributes, in their order, and its constants as text."""

    is_module: bool
    parameters: set[str] = field(default_factory=set)
    buffers: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)

    def _note(self, line: str) -> None:
        if found := _LIST.fullmatch(line):
            names = self.parameters if found[1] == "parameters" else self.buffers
            names.update(_NAME.findall(found[2]))
        elif found := _CONSTANT.fullmatch(line):
            self.constants[found[1]] = found[3]
        elif found := _ATTRIBUTE.fullmatch(line):
            self.types[found[1] or found[2]] = found[3]


class DeclaredClasses:
    """The classes in the `code` folder of an archive by their dotted name; a file is read when one of its is asked for."""

    def __init__(self, records: Records, top: str) -> None:
        self._records = records
        self._folder = f"{top}code/"
        self._files: dict[str, dict[str, Declared]] = {}
        self._left = MAX_CODE

    def get(self, name: str) -> Declared | None:
        """The class `__torch__.package.Net`, which stands in `code/__torch__/package.py`; None where it stands nowhere.

        Raises:
            CorruptCheckpoint: the text is damaged, or longer than MAX_CODE.
        """
        module, _, last = name.rpartition(".")
        if module not in self._files:
            record = self._records.records.get(f"{self._folder}{module.replace('.', '/')}.py")
            if record is not None:
                self._left -= record.size
                if self._left < 0:
                    raise damaged(self._records.source, f"its code has more than {bytes_as_text(MAX_CODE)}")
            text = str(self._records.read(record, MAX_CODE), "utf-8", "replace") if record else ""
            self._files[module] = classes_in(text)
        return self._files[module].get(last)


def classes_in(text: str) -> dict[str, Declared]:
    """The classes that `text` declares, by name."""
    classes: dict[str, Declared] = {}
    current: Declared | None = None
    for line in text.splitlines():
        if line.startswith("class ") and (found := _CLASS.match(line)):
            current = classes[found[1]] = Declared(found[2] == "Module")
        elif line.startswith("  def ") or (line and not line.startswith(" ")):
            current = None  # declarations stand in front of the methods
        elif current is not None:
            current._note(line)
    return classes
