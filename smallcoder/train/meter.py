"""How fast a run goes: tokens a second, the share of the hardware's peak that they make (MFU), memory in use."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from smallcoder.model.config import ModelConfig

RECENT = 50  # steps whose rate is shown


class Meter:
    """Counts tokens over time, from the second step on: the first holds the compilation.

    What it shows is of the last `RECENT` steps, so that a run that slows down is seen to; `rate` is of the whole run.

    `length` is the mean length of the document around a token, which attention's cost depends on.
    """

    def __init__(self, config: ModelConfig, context: int, length: float, device: str, devices: int) -> None:
        self._config = config
        self._context = context
        self._length = length
        self._device = torch.cuda.get_device_name() if device == "cuda" else ""
        self._devices = devices
        self._tokens = 0
        self._paused = 0.0
        self._steps: deque[tuple[float, int]] = deque(maxlen=RECENT + 1)  # when each ended, and the tokens until then
        self._first: float | None = None  # when the first step ended

    def add(self, tokens: int) -> None:
        """Say that a step over so many tokens is done."""
        now = time.monotonic() - self._paused
        if self._first is None:
            self._first = now
        else:
            self._tokens += tokens
        self._steps.append((now, self._tokens))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count."""
        started = time.monotonic()
        yield
        self._paused += time.monotonic() - started

    @property
    def rate(self) -> float:
        """Tokens a second of the whole run, over all devices."""
        if self._first is None:
            return 0.0
        return self._tokens / max(1e-9, self._steps[-1][0] - self._first)

    @property
    def recent(self) -> float:
        """The same of the last steps."""
        if not self._steps:
            return 0.0
        (start, before), (end, after) = self._steps[0], self._steps[-1]
        return (after - before) / max(1e-9, end - start)

    @property
    def utilisation(self) -> float | None:
        """MFU, where the device is one whose peak is known (`hardware.toml`)."""
        from smallcoder.train.cost import mfu

        if not self._device:
            return None
        return mfu(self._config, self._context, self.recent / self._devices, self._device, self._length)

    @property
    def gib(self) -> float | None:
        """The most memory that tensors have taken on the GPU."""
        return torch.cuda.max_memory_allocated() / 2**30 if self._device else None

    def figures(self) -> dict[str, float]:
        named = {"tokens_per_second": self.recent, "mfu": self.utilisation, "gib": self.gib}
        return {name: value for name, value in named.items() if value is not None}

    def note(self) -> str:
        """The same for people."""
        parts = [f"{self.recent:,.0f} tokens/s"]
        if (share := self.utilisation) is not None:
            parts.append(f"{share:.0%} MFU")
        if (gib := self.gib) is not None:
            parts.append(f"{gib:.1f} GiB")
        return ", ".join(parts)
