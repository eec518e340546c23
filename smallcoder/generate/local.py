"""Our own engine: batched decoding with a key-value cache on `model.transformer.Decoder`.

Prompts are sorted by length and decoded in batches; rows that end leave the batch. Every random choice uses one
uniform number of the row's own stream, keyed by (seed, prompt, sample), through the inverse of the distribution's
cumulative sum; so a completion does not depend on its neighbours, up to rounding in matrix products.

Cost: a step over B rows reads the weights once; memory is the weights and B x context cache slots. Does not refill
a batch with waiting prompts, and does not share the cache of common prefixes between prompts.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from smallcoder.core.progress import Progress
from smallcoder.generate.protocol import Completion, Sampling
from smallcoder.model.hf import end_ids, load_model
from smallcoder.tokens.encode import load_encoder
from smallcoder.tokens.vocabulary import VISIBLE

SHRINK = 0.75  # drop finished rows when no more than this share of the batch is still going


class Row:
    """One completion in the making."""

    def __init__(self, prompt: int, sample: int, limit: int) -> None:
        self.prompt = prompt
        self.sample = sample
        self.limit = limit  # tokens at most
        self.tokens: list[int] = []
        self.text = bytearray()
        self.finish: Literal["stop", "length"] | None = None if limit else "length"

    def completion(self) -> Completion:
        assert self.finish
        return Completion(self.text.decode("utf-8", errors="replace"), self.finish, tuple(self.tokens))


class LocalGenerator:
    """Generates with a ModelDir. `batch` is rows decoded together; device "auto" is a GPU where there is one."""

    name = "local"

    def __init__(self, folder: Path, batch: int = 64, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.encoder = load_encoder(folder)
        self.decoder = load_model(folder, device)
        self._batch = batch
        special = self.encoder.special
        self._ends = {self.encoder.end, *end_ids(folder)}
        self._bytes = list(self.encoder.token_bytes)
        for name in special.keys() - set(VISIBLE):
            self._bytes[special[name]] = b""

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        """See `protocol.Generator`."""
        encoded = [self.encoder.encode(prompt, special=True) for prompt in prompts]
        found: dict[tuple[int, int], Completion] = {}
        with Progress("generate", len(prompts) * sampling.samples, "completions") as progress:
            for rows in self._batches(encoded, sampling):
                self._run(rows, encoded, sampling)
                for row in rows:
                    found[row.prompt, row.sample] = row.completion()
                progress.advance(len(rows))
        return [[found[prompt, sample] for sample in range(sampling.samples)] for prompt in range(len(prompts))]

    def _batches(self, encoded: Sequence[Sequence[int]], sampling: Sampling) -> Iterator[list[Row]]:
        order = sorted(range(len(encoded)), key=lambda index: (-len(encoded[index]), index))
        rows = []
        for prompt in order:
            room = self.decoder.config.context - len(encoded[prompt]) if encoded[prompt] else 0
            limit = max(0, min(sampling.max_tokens, room))
            rows += [Row(prompt, sample, limit) for sample in range(sampling.samples)]
        for start in range(0, len(rows), self._batch):
            yield rows[start : start + self._batch]

    def _run(self, rows: Sequence[Row], encoded: Sequence[Sequence[int]], sampling: Sampling) -> None:
        """Bring all rows to their end."""
        stops = tuple(text.encode() for text in sampling.stop)
        live = [row for row in rows if row.finish is None]
        if not live:
            return
        device = self.decoder.embed_tokens.weight.device
        uniform = _uniform(live, sampling).to(device)  # [B, steps]
        prompts = list(dict.fromkeys(row.prompt for row in live))  # samples of a prompt share its first pass
        counts = torch.tensor([len(encoded[prompt]) for prompt in prompts], device=device)
        tokens = torch.zeros(len(prompts), int(counts.max()), dtype=torch.long)
        for index, prompt in enumerate(prompts):
            tokens[index, : len(encoded[prompt])] = torch.tensor(encoded[prompt])
        capacity = max(len(encoded[row.prompt]) + row.limit for row in live)
        cache = self.decoder.new_cache(len(prompts), capacity)
        logits = self.decoder.extend(tokens.to(device), counts, cache)
        if len(prompts) < len(live):
            spread = torch.tensor([prompts.index(row.prompt) for row in live], device=device)
            cache.select(spread)
            logits = logits[spread]
        ones = torch.ones(len(live), dtype=torch.long, device=device)
        for step in range(uniform.shape[1]):
            chosen = choose(logits[:, : self.encoder.vocab_size], uniform[:, step], sampling)
            for row, token in zip(live, chosen.tolist(), strict=True):
                if row.finish is None:
                    self._append(row, token, stops)
            going = [index for index, row in enumerate(live) if row.finish is None]
            if not going:
                return
            if len(going) <= SHRINK * len(live):
                keep = torch.tensor(going, device=device)
                cache.select(keep)
                live, chosen, uniform, ones = [live[i] for i in going], chosen[keep], uniform[keep], ones[keep]
            logits = self.decoder.extend(chosen[:, None], ones, cache)

    def _append(self, row: Row, token: int, stops: Sequence[bytes]) -> None:
        """Give a row its next token and see whether it ends there."""
        if token in self._ends:
            row.finish = "stop"
            return
        row.tokens.append(token)
        before = len(row.text)
        row.text += self._bytes[token]
        cuts = [row.text.find(stop, max(0, before - len(stop) + 1)) for stop in stops]
        if found := [cut for cut in cuts if cut >= 0]:
            del row.text[min(found) :]
            row.finish = "stop"
        elif len(row.tokens) == row.limit:
            row.finish = "length"

    def close(self) -> None:
        """Drop the weights."""
        del self.decoder


def choose(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Next tokens [B] from logits [B, V] and one number in [0, 1) a row.

    Temperature first, then top-p (nucleus sampling, arXiv 1904.09751): the likeliest tokens until their sum reaches
    `top_p`, renormalised. Ties go to the smaller id.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    shares, order = (logits.float() / sampling.temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    sums = shares.cumsum(dim=-1)
    kept = (sums - shares < sampling.top_p).sum(dim=-1, keepdim=True)  # at least 1
    target = uniform[:, None] * sums.gather(1, kept - 1)
    index = torch.minimum((sums <= target).sum(dim=-1, keepdim=True), kept - 1)
    return order.gather(1, index)[:, 0]


def _uniform(rows: Sequence[Row], sampling: Sampling) -> Tensor:
    """Numbers in [0, 1) for every row and step, each row from its own stream, [B, steps]."""
    steps = max(row.limit for row in rows)
    if sampling.temperature == 0:
        return torch.zeros(len(rows), steps)
    streams = (np.random.default_rng([sampling.seed, row.prompt, row.sample]) for row in rows)
    return torch.from_numpy(np.stack([stream.random(steps, dtype=np.float32) for stream in streams]))
