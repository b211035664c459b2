"""Files of torch.save inside of another file: an object of a distributed checkpoint, a pickled weight of an exported one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ckpt_explorer.checkpoint import Storage
from ckpt_explorer.reading.formats.torch_zip import MAX_UNPACKED_PICKLE, pickle_record, says_big_endian, storages_in
from ckpt_explorer.reading.pickles.claims import unknown_storage
from ckpt_explorer.reading.pickles.described import Call, Global
from ckpt_explorer.reading.pickles.pickled import walk
from ckpt_explorer.reading.pickles.torch_objects import StorageClaim, storage_claim
from ckpt_explorer.reading.refusals import damaged
from ckpt_explorer.reading.sources.source import Source
from ckpt_explorer.reading.sources.zip_directory import ZipDirectory

ZIP = b"PK\x03\x04"
"""What the first record of a zip archive begins with, and so each file of torch.save's."""


class InnerFiles:
    """The files that were described so far: the names in them, and the storages that they refer to."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.globals: dict[str, Global] = {}
        self._archives: list[tuple[ZipDirectory, str, bool]] = []

    def described(self, file: Source) -> Any:
        """The object in `file`, a zip archive of torch.save's, or else a pickle.

        Raises:
            CorruptCheckpoint: it can't be described.
        """
        if bytes(file.view(0, 4)) != ZIP:
            walked = walk(file, file.view())
        else:
            directory = ZipDirectory(file)
            record = pickle_record(directory)
            if record is None:
                raise damaged(file, "an object in it is no file of torch.save's")
            top = record.name.removesuffix("data.pkl")
            load = partial(_numbered, len(self._archives))
            self._archives.append((directory, f"{top}data/", says_big_endian(directory, top)))
            walked = walk(file, bytes(directory.read(record, MAX_UNPACKED_PICKLE)), persistent_load=load)
        self.globals.update(walked.globals)
        return walked.root

    def storages(self, claims: Sequence[StorageClaim]) -> list[Storage]:
        """Where the storages that described objects refer to lie."""
        found: list[Storage] = []
        for claim in claims:
            number, _, key = claim.key.partition("/")
            if not (number.isascii() and number.isdigit() and int(number) < len(self._archives)):
                raise unknown_storage(self.source, claim.key)
            found += storages_in(*self._archives[int(number)], [claim._replace(key=key)])
        return found


def _numbered(number: int, identity: Any) -> StorageClaim | Call:
    """The claim of a storage, under a name that says in which of the files it lies."""
    claim = storage_claim(identity)
    return claim._replace(key=f"{number}/{claim.key}") if isinstance(claim, StorageClaim) else claim
