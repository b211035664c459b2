"""An address is under an allowed one by scheme, host, port and whole segments; what can be read in two ways is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt_explorer.ui.allowed_address import lies_under

ALLOWED = "https://models.example/resnets/"


@pytest.mark.parametrize(
    "address",
    [
        "https://models.example/resnets/a.pth",
        "https://models.example/resnets/deep/er/a.pth",
        "https://models.example:443/resnets/a.pth",
        "HTTPS://Models.Example/resnets/a.pth",
        "https://models.example/resnets/a.pth?token=1#x",
        "https://models.example/resnets/with%20space.pth",
    ],
)
def test_what_lies_under_it_may_be_opened(address: str) -> None:
    assert lies_under(address, ALLOWED)


@pytest.mark.parametrize(
    "address",
    [
        "http://models.example/resnets/a.pth",
        "https://models.example:8443/resnets/a.pth",
        "https://models.example.evil.org/resnets/a.pth",
        "https://evil.org/resnets/a.pth",
        "https://models.example@evil.org/resnets/a.pth",
        "https://user:pw@models.example/resnets/a.pth",
        "https://evil.org\\@models.example/resnets/a.pth",
        "https://models.example/resnets-private/a.pth",
        "https://models.example/Resnets/a.pth",
        "https://models.example/a.pth",
        "https://models.example/resnets/../a.pth",
        "https://models.example/resnets/./../a.pth",
        "https://models.example/resnets/%2e%2e/a.pth",
        "https://models.example/resnets/%252e%252E/a.pth",
        "https://models.example/resnets/.%2e/a.pth",
        "https://models.example/resnets/..%2fa.pth",
        "https://models.example/resnets/x%2f..%2f..%2fa.pth",
        "https://models.example/resnets/..%5ca.pth",
        "https://models.example/resnets\\..\\a.pth",
        "https://models.example/resnets/\t../a.pth",
        "https://models.example/resnets/a b.pth",
        "https://models.example:x/resnets/a.pth",
        "https://[::1/resnets/a.pth",
        "//models.example/resnets/a.pth",
        "resnets/a.pth",
        "file:///resnets/a.pth",
        "",
    ],
)
def test_what_lies_elsewhere_or_could_may_not(address: str) -> None:
    assert not lies_under(address, ALLOWED)


def test_a_store_is_allowed_by_its_bucket_and_folder() -> None:
    assert lies_under("s3://bucket/resnets/a.pth", "s3://bucket/resnets")
    assert not lies_under("s3://bucket/resnets2/a.pth", "s3://bucket/resnets")
    assert not lies_under("s3://other/resnets/a.pth", "s3://bucket/resnets")


def test_one_file_can_be_allowed_alone() -> None:
    assert lies_under("https://models.example/one.pth", "https://models.example/one.pth")
    assert not lies_under("https://models.example/two.pth", "https://models.example/one.pth")


@given(st.text(alphabet="./\\%2eE5cCfFab@:?#\t ", max_size=30))
def test_no_spelling_behind_the_allowed_folder_leads_upwards(tail: str) -> None:
    from urllib.parse import unquote, urlsplit

    if lies_under(ALLOWED + tail, ALLOWED):
        path = urlsplit(ALLOWED + tail).path
        for _ in range(6):
            path = unquote(path)
        assert path.startswith("/resnets/") and ".." not in path.replace("\\", "/").split("/")
