"""What a model in training writes: greedy continuations of held-out rows, to be read by a person."""

import numpy as np
import torch
from torch import Tensor

from smallcoder.model.transformer import Decoder
from smallcoder.tokens.packed import PackedRows

PROMPT, ANSWER = 48, 64  # tokens


def continuations(decoder: Decoder, packed: PackedRows, count: int) -> list[tuple[list[int], list[int]]]:
    """(prompt, what the model adds) of the first documents of the first `count` rows, as tokens.

    A prompt is the first half of its document, at most `PROMPT` tokens. Costs a pass over the weights a token.
    """
    prompts = []
    for row in range(min(count, len(packed))):
        document = packed.tokens[row][packed.segments[row] == packed.segments[row, 0]].astype(np.int64)
        prompts.append(document[: max(1, min(PROMPT, len(document) // 2, packed.context - ANSWER))])
    answers = _greedy(decoder, prompts)
    return [(prompt.tolist(), answer.tolist()) for prompt, answer in zip(prompts, answers, strict=True)]


def _greedy(decoder: Decoder, prompts: list[np.ndarray]) -> Tensor:
    device = decoder.embed_tokens.weight.device
    counts = torch.tensor([len(prompt) for prompt in prompts], device=device)
    tokens = torch.zeros(len(prompts), int(counts.max()), dtype=torch.long)
    for index, prompt in enumerate(prompts):
        tokens[index, : len(prompt)] = torch.from_numpy(prompt)
    answers, ones = [], torch.ones_like(counts)
    with torch.inference_mode():
        cache = decoder.new_cache(len(prompts), int(counts.max()) + ANSWER)
        logits = decoder.extend(tokens.to(device), counts, cache)
        for _ in range(ANSWER):
            answers.append(logits.argmax(-1))
            logits = decoder.extend(answers[-1][:, None], ones, cache)
    return torch.stack(answers, dim=1).cpu()
