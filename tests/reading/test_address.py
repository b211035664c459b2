"""Addresses: which are opened, how they are shown, and that a file beside one stays beside it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckpt_explorer.errors import SourceError
from ckpt_explorer.reading.sources.address import PACKAGES, address_of, is_address
from ckpt_explorer.reading.sources.remote import remote_source


def test_an_address_is_told_from_a_path() -> None:
    for text in (
        "https://a.b/c.pth",
        "S3://bucket/c",
        " hf://org/model/c",
        "gs://b",
        "file:///etc/passwd",
        "zip://a::https://b",
    ):
        assert is_address(text), text
    for text in ("model.pth", "/a/b.pth", "C:\\a.pth", "C:/a.pth", "", "a:b", "//host/share", "./https:/a"):
        assert not is_address(text), text


@pytest.mark.parametrize(
    "scheme", ["file", "local", "memory", "reference", "zip", "tar", "dir", "data", "git", "github", "generic"]
)
def test_what_leads_to_this_machine_or_into_another_address_is_refused(scheme: str) -> None:
    with pytest.raises(
        SourceError, match=f"begins with {scheme}:// is not opened: give the file's own, which begins with https"
    ):
        remote_source(f"{scheme}:///etc/passwd")


@pytest.mark.parametrize(
    "chain",
    [
        "simplecache::https://a.b/c",
        "zip://a.pth::https://a.b/c.zip",
        "s3://bucket/a::file:///etc/passwd",
        "blockcache::s3://b/a",
    ],
)
def test_a_chain_is_refused(chain: str) -> None:
    with pytest.raises(SourceError, match="is not opened"):
        remote_source(chain)


@pytest.mark.parametrize(
    "text",
    ["https://", "https:///a.pth", "https://[::1/a", "https://a:port/b", "https://a:99999/b", "http://a/b\r\nHost: c", "https://a\\@b/c", "http://a/\u202eb", "http://a/" + "b" * 9000],
)  # fmt: skip
def test_what_is_no_valid_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SourceError, match=r"This https?:// address is not valid: check") as caught:
        remote_source(text)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("scheme", sorted(set(PACKAGES) - {"http", "https", "ftp"}))
def test_a_missing_package_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("no")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(
        SourceError, match=f"not installed here: pip install {PACKAGES[scheme]}, or give an https:// address"
    ):
        remote_source(f"{scheme}://bucket/model.pth")


@pytest.mark.parametrize(
    ("text", "shown", "name"),
    [
        ("https://user:pa55@host.org:8443/a/b%20c.pth?X-Amz-Signature=1&token=2#3", "https://host.org:8443/a/b%20c.pth", "b c.pth"),
        ("HTTPS://Host.org", "https://host.org", "host.org"),
        ("https://host.org/models/", "https://host.org/models/", "models"),
        ("http://[::1]:80/a.pth", "http://::1:80/a.pth", "a.pth"),
        ("s3://bucket/run 1/last.ckpt", "s3://bucket/run 1/last.ckpt", "last.ckpt"),
        ("hf://org/model@main/model.safetensors", "hf://org/model@main/model.safetensors", "model.safetensors"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secrets(text: str, shown: str, name: str) -> None:
    address = address_of(text)
    assert (address.shown, address.name) == (shown, name)
    assert "pa55" not in repr(address) and "token" not in repr(address)


def test_a_file_beside_an_address_keeps_its_login_and_query() -> None:
    index = address_of("https://user:pa55@host/run/model.safetensors.index.json?download=true#x")
    assert index.beside("model-1.safetensors").text == "https://user:pa55@host/run/model-1.safetensors?download=true"
    assert address_of("s3://bucket/run/a.index.json").beside("sub/b.bin").text == "s3://bucket/run/sub/b.bin"


@given(st.text(min_size=1, max_size=30))
@example("a?token=b")
@example("%2e%2e/%2e%2e/etc")
@example("a#b")
@example("//evil.org/a")
@example("@evil.org/")
def test_no_name_leads_away_from_the_folder(file: str) -> None:
    try:
        beside = address_of("https://host/a/b/index.json?q=1").beside(file)
    except (SourceError, UnicodeEncodeError):
        return
    assert beside.text.startswith("https://host/a/b/")
    assert beside.text.endswith("?q=1")
    assert beside.text.count("?") == 1 and "#" not in beside.text
