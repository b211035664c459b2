"""Collections: files, folders and archives become named pictures, the good ones are answered and each bad one says why."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from ckpt_explorer.errors import ImageError, InferenceError
from ckpt_explorer.inference.collection import Collection, collect, collect_uploads
from ckpt_explorer.inference.images import as_input, open_image
from ckpt_explorer.inference.prediction import FailedImage, Prediction
from ckpt_explorer.inference.preprocessing import preprocessing
from tests.inference.answers import predict
from tests.inference.corpus import BAD_PICTURES, good_pictures, noise, overlapping, written, zipped
from tests.inference.networks import resnet20

PICTURE = written(noise(), "PNG")
STEPS = preprocessing("cifar10")


def laid(folder: Path, *names: str) -> Path:
    """Pictures under `folder` at these paths."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)
    return folder


def names(collection: Collection) -> list[str]:
    return [image.name for image in collection.images]


def complaint(collection: Collection, name: str) -> str:
    """What is said when the picture called `name` is opened."""
    image = next(image for image in collection.images if image.name == name)
    with pytest.raises(ImageError) as caught:
        open_image(image.source, image.name)
    return str(caught.value)


def test_every_picture_of_the_corpus_is_answered_and_every_bad_file_gets_one_line_of_its_own(tmp_path: Path) -> None:
    good = good_pictures()
    for name, data in {**good, **{name: data for name, (data, _) in BAD_PICTURES.items()}}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "fine.zip").write_bytes(zipped({f"a/{name}": data for name, data in good.items()}))
    climbing = zipped({"../../out.png": PICTURE, "/etc/out.png": PICTURE, "C:\\out.png": PICTURE, "in.png": PICTURE})
    (tmp_path / "climbing.zip").write_bytes(climbing)
    (tmp_path / "bomb.zip").write_bytes(overlapping(500))
    (tmp_path / "torn.zip").write_bytes(climbing[:-40])
    archives = [tmp_path / name for name in ("fine.zip", "climbing.zip", "bomb.zip", "torn.zip")]
    collection = collect([tmp_path, *archives])
    answers = predict(resnet20(), collection.images, STEPS, channels=3, batch_size=8)
    answered = [row.image for row in answers if isinstance(row, Prediction)]
    assert sorted(answered) == sorted([*good, *(f"fine.zip/a/{name}" for name in good), "climbing.zip/in.png"])
    failed = {row.image: row.says for row in answers if isinstance(row, FailedImage)}
    for name, (_, part) in BAD_PICTURES.items():
        assert part in failed.pop(name)
    assert sum("leads out of the archive" in failed.pop(name) for name in list(failed) if "climbing" in name) == 3
    assert "they overlap, as in a zip bomb" in failed.pop("bomb.zip/bomb.zip")
    assert "is no zip archive that can be read" in failed.pop("torn.zip/torn.zip")
    assert not failed
    assert not any("\n" in row.says for row in answers if isinstance(row, FailedImage))


def test_a_folder_is_searched_to_its_depth_and_pictures_are_named_by_their_path_in_it(tmp_path: Path) -> None:
    laid(tmp_path, "cat/10.png", "cat/2.png", "dog/old/1.png", "top.png", ".hidden/x.png", "cat/.DS_Store.png")
    collection = collect([tmp_path])
    assert names(collection) == ["top.png", "cat/2.png", "cat/10.png", "dog/old/1.png"]
    assert [image.folder for image in collection.images] == ["", "cat", "cat", "old"]


def test_one_file_is_called_by_its_name_and_files_of_several_folders_by_what_tells_them_apart(tmp_path: Path) -> None:
    laid(tmp_path, "val/cat/1.png", "val/dog/1.png")
    assert names(collect([tmp_path / "val/cat/1.png"])) == ["1.png"]
    both = [tmp_path / "val/cat/1.png", tmp_path / "val/dog/1.png"]
    assert names(collect(both)) == ["cat/1.png", "dog/1.png"]
    assert names(collect([tmp_path / "val/cat", tmp_path / "val/dog"])) == ["cat/1.png", "dog/1.png"]


def test_what_is_no_picture_is_left_out_of_a_folder_and_it_is_said(tmp_path: Path) -> None:
    laid(tmp_path, "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "more.zip").write_bytes(zipped({"b.png": PICTURE}))
    (tmp_path / "without-ending").write_bytes(PICTURE)
    collection = collect([tmp_path])
    assert names(collection) == ["a.png", "without-ending"]
    assert any("notes.txt" in note for note in collection.notes)
    assert any("more.zip" in note and "by themselves" in note for note in collection.notes)


def test_links_that_leave_the_folder_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    outside = laid(tmp_path / "outside", "secret.png")
    inside = laid(tmp_path / "inside", "real.png", "deep/x.png")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "deep" / "circle").symlink_to(inside)
    (inside / "broken.png").symlink_to(inside / "nothing.png")
    (inside / "same.png").symlink_to(inside / "real.png")
    collection = collect([inside])
    assert names(collection) == ["real.png", "same.png", "deep/x.png"]
    assert any("4: links that lead elsewhere" in note for note in collection.notes)


def test_of_what_is_named_by_itself_a_missing_file_fails_in_its_turn_and_stops_no_other(tmp_path: Path) -> None:
    laid(tmp_path, "a.png")
    collection = collect([tmp_path / "a.png", tmp_path / "gone.png"])
    assert names(collection) == ["a.png", "gone.png"]
    assert "can't be opened" in complaint(collection, "gone.png")


def test_a_folder_without_a_picture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InferenceError, match=r"There is no picture in .*notes\.txt"):
        collect([tmp_path])


def test_a_member_of_an_archive_is_read_when_its_turn_comes_and_not_before() -> None:
    collection = collect_uploads(
        {"photos.zip": zipped({"cat/1.png": PICTURE, "cat\\2.png": PICTURE}, zipfile.ZIP_DEFLATED)}
    )
    assert names(collection) == ["cat/1.png", "cat/2.png"]
    assert [image.folder for image in collection.images] == ["cat", "cat"]
    source = collection.images[0].source
    assert not isinstance(source, bytes | Path)
    assert source.read() == PICTURE


def test_archives_within_archives_hidden_files_and_texts_are_left_out_and_it_is_said() -> None:
    inner = zipped({"b.png": PICTURE})
    given = {"a.png": PICTURE, "more.zip": inner, "__MACOSX/._a.png": b"x", "readme.md": b"x", "folder/": b""}
    collection = collect_uploads({"photos.zip": zipped(given)})
    assert names(collection) == ["a.png"]
    assert any(note.startswith("more.zip in photos.zip is an archive of its own") for note in collection.notes)
    assert any("readme.md" in note for note in collection.notes)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_second_member_of_one_name_is_refused_and_the_first_is_read(tmp_path: Path) -> None:
    file = tmp_path / "twice.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", PICTURE)
        archive.writestr("a.png", b"another")
    collection = collect([file])
    assert names(collection) == ["a.png", "a.png (2)"]
    assert open_image(collection.images[0].source, "a.png").size == (40, 30)
    assert "is there twice" in complaint(collection, "a.png (2)")


def test_an_encrypted_member_says_so() -> None:
    data = bytearray(zipped({"a.png": PICTURE}))
    data[6] |= 1
    directory = data.rfind(b"PK\x01\x02")
    data[directory + 8] |= 1
    assert "is encrypted" in complaint(collect_uploads({"secret.zip": bytes(data)}), "a.png")


def test_a_member_that_claims_too_much_or_is_damaged_says_so() -> None:
    data = zipped({"zeros.png": b"\0" * 300_000_000}, zipfile.ZIP_DEFLATED)
    assert len(data) < 400_000
    started = time.monotonic()
    assert "claims 286.1 MiB" in complaint(collect_uploads({"bomb.zip": data}), "zeros.png")
    assert time.monotonic() - started < 1
    broken = bytearray(zipped({"a.png": PICTURE}))
    broken[200] ^= 255
    assert "is damaged in the archive" in complaint(collect_uploads({"broken.zip": bytes(broken)}), "a.png")


def test_of_a_member_that_does_not_begin_like_a_picture_only_the_beginning_is_unpacked() -> None:
    data = zipped({"zeros.png": b"\0" * 100_000_000}, zipfile.ZIP_DEFLATED)
    collection = collect_uploads({"bomb.zip": data})
    source = collection.images[0].source
    assert not isinstance(source, bytes | Path)
    assert len(source.read()) == 512
    assert "no picture of a known format" in complaint(collection, "zeros.png")


def test_uploads_keep_their_order_and_a_wrong_archive_stops_no_other() -> None:
    collection = collect_uploads({"a.png": PICTURE, "torn.zip": zipped({"b.png": PICTURE})[:-30], "c.png": PICTURE})
    assert names(collection) == ["a.png", "torn.zip", "c.png"]
    assert "cut short" in complaint(collection, "torn.zip")


def test_a_picture_from_an_archive_is_the_same_as_from_a_file(tmp_path: Path) -> None:
    laid(tmp_path, "a.png")
    of_file = collect([tmp_path / "a.png"]).images[0]
    of_archive = collect_uploads({"z.zip": zipped({"a.png": PICTURE}, zipfile.ZIP_DEFLATED)}).images[0]
    inputs = [as_input(open_image(image.source, image.name), STEPS, 3) for image in (of_file, of_archive)]
    assert bool((inputs[0] == inputs[1]).all())
