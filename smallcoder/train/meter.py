"""How fast a run goes: tokens a second, the share of the hardware's peak that they make (MFU), memory in use."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from smallcoder.model.config import ModelConfig


class Meter:
    """Counts tokens over time, from the second step on: the first holds the compilation.

    `length` is the mean length of the document around a token, which attention's cost depends on.
    """

    def __init__(self, config: ModelConfig, context: int, length: float, device: str, devices: int) -> None:
        self._config = config
        self._context = context
        self._length = length
        self._device = torch.cuda.get_device_name() if device == "cuda" else ""
        self._devices = devices
        self._tokens = 0
        self._since = 0.0

    def add(self, tokens: int) -> None:
        """Say that a step over so many tokens is done."""
        if self._since:
            self._tokens += tokens
        else:
            self._since = time.monotonic()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count."""
        started = time.monotonic()
        yield
        self._since += time.monotonic() - started

    @property
    def rate(self) -> float:
        """Tokens a second, over all devices."""
        return self._tokens / max(1e-9, time.monotonic() - self._since)

    @property
    def utilisation(self) -> float | None:
        """MFU, where the device is one whose peak is known (`hardware.toml`)."""
        from smallcoder.train.cost import mfu

        if not self._device:
            return None
        return mfu(self._config, self._context, self.rate / self._devices, self._device, self._length)

    @property
    def gib(self) -> float | None:
        """The most memory that tensors have taken on the GPU."""
        return torch.cuda.max_memory_allocated() / 2**30 if self._device else None

    def figures(self) -> dict[str, float]:
        named = {"tokens_per_second": self.rate, "mfu": self.utilisation, "gib": self.gib}
        return {name: value for name, value in named.items() if value is not None}

    def note(self) -> str:
        """The same for people."""
        parts = [f"{self.rate:,.0f} tokens/s"]
        if (share := self.utilisation) is not None:
            parts.append(f"{share:.0%} MFU")
        if (gib := self.gib) is not None:
            parts.append(f"{gib:.1f} GiB")
        return ", ".join(parts)
