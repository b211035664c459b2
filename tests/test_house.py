"""The house itself: which room may import what, what no room may call, and what lies at the top."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import ckpt_explorer
from tests.checkpoints import ROOT, in_new_process

PACKAGE = ROOT / "ckpt_explorer"
PRODUCT = sorted([ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *PACKAGE.rglob("*.py")])
CORE = [file for file in PRODUCT if file.is_relative_to(PACKAGE) and not file.is_relative_to(PACKAGE / "ui")]

AT_THE_TOP = {"app.py", "pages", "ckpt_explorer", "tests", "requirements.txt", "README.md", "pyproject.toml"}

DANGEROUS = {
    "eval",
    "exec",
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "_pickle.loads",
    "marshal.loads",
    "dill.load",
    "joblib.load",
    "numpy.load",
    "np.load",
    "os.system",
    "yaml.load",
}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(node: ast.expr) -> str:
    """`torch.jit.load` of the expression that says so; "" for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (front := dotted(node.value)):
        return f"{front}.{node.attr}"
    return ""


@pytest.mark.parametrize("file", CORE, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_room_of_the_core_imports_the_user_interface(file: Path) -> None:
    tops = {name.split(".")[0] for name in imported(parsed(file))}
    assert not tops & {"streamlit", "plotly", "pandas", "altair"}
    assert not [name for name in imported(parsed(file)) if name.startswith("ckpt_explorer.ui")]


@pytest.mark.parametrize("file", PRODUCT, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_calls_what_would_run_a_file(file: Path) -> None:
    tree = parsed(file)
    called = {dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & DANGEROUS
    assert not set(imported(tree)) & (DANGEROUS | {"pickle", "_pickle", "dill", "joblib", "cloudpickle"})


MARKUP = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "setHTML",
    "createContextualFragment",
    "document.write",
    "eval(",
)


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.js")), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_script_of_a_page_makes_markup_of_a_text(file: Path) -> None:
    script = file.read_text(encoding="utf-8")
    assert not [name for name in MARKUP if name in script]


@pytest.mark.parametrize("file", PRODUCT, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_room_says_its_purpose_in_its_first_line(file: Path) -> None:
    said = ast.get_docstring(parsed(file))
    assert said and said.splitlines()[0].endswith((".", "?", ":", "!"))


def test_at_the_top_lies_only_what_a_newcomer_needs() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    tops = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in tops if not name.startswith(".")} <= AT_THE_TOP


def test_no_folder_and_no_file_is_named_for_nothing() -> None:
    empty = {"utils", "helpers", "helper", "common", "misc", "manager", "handler"}
    assert not [file for file in PRODUCT if empty & set(file.with_suffix("").parts[-2:])]


def test_every_name_of_the_python_interface_resolves() -> None:
    assert list(ckpt_explorer.__all__) == sorted(set(ckpt_explorer.__all__))
    for name in ckpt_explorer.__all__:
        assert getattr(ckpt_explorer, name) is not None
    with pytest.raises(AttributeError):
        ckpt_explorer.no_such_name  # noqa: B018


def test_reading_rules_and_suggesting_need_no_torch() -> None:
    rooms = ["", ".reading", ".suggestion", ".rules", ".cli", ".errors", ".checkpoint", ".alignment", ".text"]
    imports = "; ".join(f"import ckpt_explorer{room}" for room in rooms)
    ended = in_new_process(
        "-c", f"{imports}; import sys; print([n for n in ('torch', 'streamlit', 'numpy') if n in sys.modules])"
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
