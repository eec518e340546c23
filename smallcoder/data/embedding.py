"""Models that turn texts into vectors, from a Hugging Face directory: what a search by meaning starts from."""

from pathlib import Path
from typing import Any

from smallcoder.core.errors import InputError, ToolError


def load_embedder(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model, ready to run in fp32, on a GPU where there is one.

    Raises InputError for a folder that is no such model, and ToolError without transformers.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise ToolError(f"embeddings need {error.name}", "pip install 'smallcoder[semantic]'") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        detail = str(error).splitlines()[0][:120]
        raise InputError(
            f"{folder} is not a model that transformers reads ({detail})", "name a Hugging Face model directory"
        ) from error
    return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
