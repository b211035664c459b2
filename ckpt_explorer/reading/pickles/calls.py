"""What each import that a file names would have done, in words. None of it was done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.grades import can_do_harm, global_kind
from ckpt_explorer.text import visible

_ACTS: tuple[tuple[str, str], ...] = (
    (
        r"(os|posix|nt)\.(system|popen|exec\w*|spawn\w*|posix_spawn\w*|startfile)|subprocess\.\w+|commands\.\w+|pty\.\w+|"
        r"popen2\.\w+|torch\.utils\.collect_env\.run\w*|asyncio\..*subprocess\w*",
        "would have run a command",
    ),
    (
        r"(builtins|__builtin__)\.(exec|eval|compile|execfile)|runpy\._?run_code|timeit\.\w+|code\.\w+|bdb\.\w+|cProfile\.\w+|"
        r"profile\.\w+|trace\.\w+|.*\.execWrapper|numpy\.f2py\.crackfortran\.\w+|numpy\.testing\..*runstring|pandas\.eval|"
        r"sympy\..*|doctest\.\w+|torch\.jit\..*",
        "would have run Python code",
    ),
    (
        r"(builtins|__builtin__)\.__import__|importlib\.\w+|runpy\.\w+|pydoc\.\w+|imp\.\w+|pkgutil\.\w+|zipimport\.\w+",
        "would have imported a module, and so run its code",
    ),
    (
        r"(builtins|__builtin__)\.(getattr|setattr|vars|globals|locals|apply|map|filter)|operator\.\w+|functools\.(reduce|partialmethod)|"
        r"types\.(FunctionType|CodeType)|inspect\.\w+",
        "would have reached for another function by its name, which hides what is called",
    ),
    (
        r"_?pickle\.\w+|cPickle\.\w+|dill\..*|cloudpickle\..*|joblib\..*|marshal\.\w+|shelve\.\w+|torch\.load|torch\.serialization\.load|"
        r"torch\.hub\..*|torch\.package\..*|numpy\.load|pandas\.read_pickle|torch\.storage\._load_from_bytes|jsonpickle\..*|"
        r"(ruamel\.)?yaml\..*",
        "would have loaded another pickle, with nobody looking at it",
    ),
    (r"copyreg\.add_extension|copy_reg\.add_extension", "would have given a number to a function, to call it later unnamed"),
    (r"webbrowser\.\w+|antigravity\..*", "would have opened a web browser"),
    (
        r"(urllib|urllib2|http|httplib|socket|ssl|smtplib|ftplib|telnetlib|poplib|imaplib|xmlrpc|requests|httpx|urllib3|aiohttp)\..*",
        "would have talked to the network",
    ),
    (
        r"(os|posix|nt)\.(remove|unlink|rmdir|removedirs|rename|replace|truncate|chmod|chown|link|symlink)|shutil\.\w+",
        "would have changed or deleted files",
    ),
    (
        r"(builtins|__builtin__|io|_io|codecs)\.(open\w*|file|FileIO)|os\.open|tempfile\.\w+|numpy\.(fromfile|memmap|save\w*)|"
        r"pathlib\..*write\w*|logging\.(FileHandler|config)\..*|fileinput\.\w+|linecache\.\w+",
        "would have opened a file",
    ),
    (r"(pip|setuptools|ensurepip|venv|distutils)(\..*)?", "would have installed software"),
    (r"ctypes\..*|_ctypes\..*|numpy\.ctypeslib\..*|mmap\.\w+", "would have called machine code"),
    (r"(threading|multiprocessing|_thread|concurrent|sched|signal|atexit)\..*", "would have started something beside, or for later"),
)  # fmt: skip
"""Names (a pattern for the whole of them) and what calling them does; the first that fits is said."""

_PATTERNS = [(re.compile(pattern), says) for pattern, says in _ACTS]
MAX_SHOWN = 160
MAX_TEXTS = 8


def what_calls_would_do(names: Mapping[str, Global]) -> dict[str, str]:
    """One sentence a global of grade `code`, with the words that it was given where it was called."""
    return {name: _would(name, found) for name, found in names.items() if global_kind(name) == "code"}


def _would(name: str, found: Global) -> str:
    says = next((says for pattern, says in _PATTERNS if pattern.fullmatch(name)), None)
    if says is None and not can_do_harm(name):
        if name.startswith("__torch__."):
            return "a class whose code lies in the archive as text; torch.jit.load would compile and run it"
        whose = "PyTorch's own" if name.startswith("torch.") else "that project's"
        return f"would have imported {visible(found.module)} and built its {visible(found.name)}: {whose} code would have run"
    if says is None:
        says = f"would have called {visible(found.name)} of Python's own {visible(found.module.split('.')[0])}, which no weights need"
    given = " ".join(_texts(found.given))
    return f"{says}: {visible(given, MAX_SHOWN)}" if given else says


def _texts(given: Any) -> Iterator[str]:
    """The texts among a call's arguments, a few of them, not deep."""
    waiting, left = [given], MAX_TEXTS
    seen = 0
    while waiting and left and seen < 100:
        node = waiting.pop()
        seen += 1
        if isinstance(node, str | bytes):
            left -= 1
            yield node[: 2 * MAX_SHOWN] if isinstance(node, str) else node[: 2 * MAX_SHOWN].decode("latin-1")
        elif isinstance(node, list | tuple):
            waiting.extend(reversed(node[:MAX_TEXTS]))
        elif isinstance(node, Call):
            waiting.append(node.args)
        elif isinstance(node, Global):
            left -= 1
            yield str(node)
