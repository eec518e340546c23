"""Packed rows on disk: what the training loop reads, as memory-mapped arrays.

A row is `context + 1` tokens: the model reads the first `context` of them and predicts the last `context`. A row holds
whole pieces (segments) side by side; attention and positions restart at each.

    tokens.npy    uint16 or uint32 [rows, context + 1]  padding is the padding id given to the writer
    segments.npy  uint16           [rows, context + 1]  number of the segment within its row; padding is 65535
    targets.npy   uint8            [rows, context + 1]  1 where the token at this position is to be predicted; never at
                                                        the first token of a segment, nor at padding
    bytes.npy     uint32           [rows]               UTF-8 bytes of the row's targets, special tokens counting 0
    packed.json   rows, context, vocab_size, tokens, segments, targets, target_bytes, padding_share, facts

Bits per byte of a model is its summed loss over the targets / ln 2 / target_bytes. Neither side ever holds more
than the rows at hand. It does not shuffle: the packer writes rows in random order, the loop may permute them again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from smallcoder.core.errors import InputError

PADDING_SEGMENT = 65535
FORMAT = "packed.json"


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest type that holds every id."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


class PackedRows:
    """Read side: the four arrays, memory-mapped and read-only. `meta` is packed.json.

    Raises InputError where the folder is not a whole packed table.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.meta: dict[str, Any] = json.loads((folder / FORMAT).read_text(encoding="utf-8"))
            self.tokens, self.segments, self.targets, self.bytes = (
                np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "segments", "targets", "bytes")
            )
            self.context: int = self.meta["context"]
            self.vocab_size: int = self.meta["vocab_size"]
            shape = (self.meta["rows"], self.context + 1)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder} is not a table of packed rows ({error})", "make it again with `pack`") from None
        if not (self.tokens.shape == self.segments.shape == self.targets.shape == shape) or len(self.bytes) != shape[0]:
            raise InputError(f"{folder}: its arrays have other shapes than {FORMAT} says", "make it again with `pack`")

    def __len__(self) -> int:
        return self.tokens.shape[0]


class PackedWriter:
    """Write side. `token_sizes` [vocab_size] is the number of UTF-8 bytes of each token, 0 for special ones.

    Use as a context manager; `close` completes the folder, and without it there is no packed.json.
    """

    def __init__(self, folder: Path, context: int, token_sizes: np.ndarray, padding: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.context = context
        self._sizes = token_sizes
        self._padding = padding
        self._counts = {"rows": 0, "tokens": 0, "segments": 0, "targets": 0, "target_bytes": 0}
        width = (context + 1,)
        self._files = {
            "tokens": _GrowingArray(folder / "tokens.npy", token_dtype(len(token_sizes)), width),
            "segments": _GrowingArray(folder / "segments.npy", np.dtype(np.uint16), width),
            "targets": _GrowingArray(folder / "targets.npy", np.dtype(np.uint8), width),
            "bytes": _GrowingArray(folder / "bytes.npy", np.dtype(np.uint32), ()),
        }

    def write_row(self, segments: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Append one row of (token ids, 0/1 targets) pairs, at most `context + 1` tokens together."""
        width = self.context + 1
        tokens = np.full(width, self._padding, self._files["tokens"].dtype)
        numbers = np.full(width, PADDING_SEGMENT, np.uint16)
        targets = np.zeros(width, np.uint8)
        at = 0
        for number, (ids, wanted) in enumerate(segments):
            end = at + len(ids)
            assert len(ids) == len(wanted) > 0
            assert end <= width
            tokens[at:end], numbers[at:end], targets[at:end] = ids, number, wanted
            targets[at] = 0
            at = end
        size = int(self._sizes[tokens[targets == 1]].sum())
        for name, data in (("tokens", tokens), ("segments", numbers), ("targets", targets), ("bytes", size)):
            self._files[name].append(data)
        added = {
            "rows": 1,
            "tokens": at,
            "segments": len(segments),
            "targets": int(targets.sum()),
            "target_bytes": size,
        }
        for name, count in added.items():
            self._counts[name] += count

    def close(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Finish the arrays and write packed.json: the counts and `facts`. Returns what it wrote."""
        for file in self._files.values():
            file.close()
        places = self._counts["rows"] * (self.context + 1)
        padding = 1 - self._counts["tokens"] / places if places else 0.0
        meta = {
            "context": self.context,
            "vocab_size": len(self._sizes),
            **self._counts,
            "padding_share": padding,
            **facts,
        }
        (self.folder / FORMAT).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return meta

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for file in self._files.values():
            file.close()


class _GrowingArray:
    """A .npy file that grows along its first axis. numpy pads its headers so that the count can be put in later."""

    def __init__(self, path: Path, dtype: np.dtype[Any], item: tuple[int, ...]) -> None:
        self.dtype = dtype
        self._item = item
        self._count = 0
        self._file: IO[bytes] = path.open("wb")
        self._data_start = self._write_header()

    def _write_header(self) -> int:
        self._file.seek(0)
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self._count, *self._item)}
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()

    def append(self, data: np.ndarray | int) -> None:
        self._file.write(np.asarray(data, self.dtype).tobytes())
        self._count += 1

    def close(self) -> None:
        if not self._file.closed:
            assert self._write_header() == self._data_start
            self._file.close()
