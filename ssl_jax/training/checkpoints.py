"""Checkpoints: whole on disk, with a checksum beside them, or not at all."""

from pathlib import Path

from flax import serialization

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, checksum_agrees, write_checksum
from ssl_jax.networks.serialisation import MAX_BYTES, unpack


def checkpoint_path(work: Path, name: str, epoch: int) -> Path:
    return Path(work) / name / f"epoch-{epoch:03d}.msgpack"


def save_checkpoint(path: Path, content: dict) -> None:
    """Write a checkpoint, then its checksum; raises InputError for more than would be read again."""
    packed = serialization.msgpack_serialize(content)
    if len(packed) > MAX_BYTES:
        over = f"{len(packed) >> 20} MiB, over the {MAX_BYTES >> 20} that are read again"
        raise InputError(
            f"{path}: {over}: raise MAX_BYTES in serialisation.py for so large a network"
        )
    with atomic_write(path) as stream:
        stream.write(packed)
    write_checksum(path)


def load_checkpoint(path: Path) -> dict | None:
    """A checkpoint's content, or None when it is not there or not as it was written."""
    if not checksum_agrees(path):
        return None
    content = unpack(path, "delete it and run again")
    if not isinstance(content.get("arrays"), dict):
        raise InputError(f"{path}: is no checkpoint: delete it and run again")
    return content
