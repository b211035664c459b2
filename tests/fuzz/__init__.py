"""Fuzzing: honest files, damaged and forged at every level, opened in processes that are watched.

    python -m tests.fuzz --seconds 600 --seed 1 --keep /tmp/findings

Whatever the bytes, opening either works or ends in one sentence: no other exception, no hang, no memory to speak of, no
import, no dead process.
"""
