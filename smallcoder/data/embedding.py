"""Models that turn texts into unit vectors, from a Hugging Face directory: what a search by meaning starts from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallcoder.core.errors import InputError, ToolError

Array = np.ndarray[Any, Any]


def load_embedder(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model, ready to run in fp32, on a GPU where there is one. No code of the folder is run.

    Raises InputError for a folder that is no such model, and ToolError without transformers.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise ToolError(f"embeddings need {error.name}", "pip install 'smallcoder[semantic]'") from error
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModel.from_pretrained(folder, **local, use_safetensors=True, dtype=torch.float32)
    except Exception as error:  # transformers, safetensors and tokenizers agree on no type for a damaged folder
        detail = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(
            f"{folder} is not a model that transformers reads ({detail})", "name a Hugging Face model directory"
        ) from error
    limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None))
    tokenizer.model_max_length = min(limit for limit in limits if limit and limit > 0)
    return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def token_ids(tokenizer: Any, texts: Sequence[str | None], most: int) -> list[list[int]]:
    """The first tokens of each text, one at least, at most `most` and what the model takes."""
    # A token is rarely more than 16 characters, and tokenizers read all that they are given.
    cut = [(text or "")[: 16 * most] for text in texts]
    found = tokenizer(cut, truncation=True, max_length=min(most, tokenizer.model_max_length))["input_ids"]
    return [ids or [0] for ids in found]


def unit_vectors(model: Any, ids: Sequence[Sequence[int] | Array]) -> Array:
    """The normalised mean of a batch's last hidden states, float32 [texts, width]."""
    import torch

    lengths = torch.tensor([len(each) for each in ids])
    padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
    for line, each in zip(padded, ids, strict=True):
        line[: len(each)] = torch.as_tensor(each)
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).to(model.device)
    with torch.inference_mode():
        states = model(input_ids=padded.to(model.device), attention_mask=mask.long())[0]
        sums = (states.float() * mask[..., None]).sum(1)
        return torch.nn.functional.normalize(sums, dim=1).cpu().numpy()
