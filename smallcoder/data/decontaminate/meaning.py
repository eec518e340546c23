"""Documents that mean the same as a problem: the cosine of their embeddings, for synthetic data.

A paraphrase or a translation shares no words or code with its problem; a model may still put both in one place. The
vector of a text is the mean of the last hidden states of its first 512 tokens, of any model that transformers'
AutoModel reads. Each problem has two, of its prompt and of its reference; a document is compared with all of them.

Only as good as the model, and no proof: many problems ask for nearly the same. Documents that hold a problem among much
else are not found. Costs a pass of the model over the documents. On a GPU, where there is one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smallcoder.data.embedding import load_embedder, token_ids, unit_vectors

if TYPE_CHECKING:
    from smallcoder.data.decontaminate.passages import Array, Problem

MEANING = "meaning"
TOKENS, BATCH = 512, 32


class Meaning:
    """The embeddings of problems, and the search among them. `least` is the cosine from which a document is a hit."""

    def __init__(self, folder: Path, problems: Sequence["Problem"], least: float) -> None:
        """Raises ToolError without transformers, InputError where the folder is no model directory."""
        self.least = least
        self._tokenizer, self._model = load_embedder(folder)
        owners = [(at, text) for at, problem in enumerate(problems) for text in (problem.prompt, problem.reference)]
        owners = [(at, text) for at, text in owners if text.strip()]
        self._owners = [at for at, _ in owners]
        self._vectors = self._embed([text for _, text in owners]) if owners else np.zeros((0, 1), np.float32)

    def nearest(self, texts: Sequence[str | None]) -> list[tuple[int, int, float]]:
        """(row, problem, cosine) for each text that is close enough to a problem, with the nearest one."""
        if not self._owners or not texts:
            return []
        cosines = self._embed([text or "" for text in texts]) @ self._vectors.T
        best = cosines.argmax(axis=1)
        found = ((row, at, float(cosines[row, at])) for row, at in enumerate(best.tolist()))
        return [(row, self._owners[at], cosine) for row, at, cosine in found if cosine >= self.least]

    def _embed(self, texts: list[str]) -> "Array":
        """Unit vectors float32 [texts, width], made in batches of like length."""
        ids = token_ids(self._tokenizer, texts, TOKENS)
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        vectors: list[Any] = [None] * len(ids)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            for row, vector in zip(rows, unit_vectors(self._model, [ids[row] for row in rows]), strict=True):
                vectors[row] = vector
        return np.stack(vectors)
