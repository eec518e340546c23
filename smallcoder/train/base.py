"""Stage `base_model`: a checkpoint from outside, as the model and the tokenizer that a recipe goes on from.

    [[stage]]
    name = "base"
    use = "base_model"
    path = "models/Qwen2.5-Coder-1.5B"       # a folder in Hugging Face layout, or hf:NAME[@REVISION] on a hub

    [[stage]]
    name = "pretrain"
    use = "train"
    from = { packed = "packed", tokenizer = "base", model = "base" }

Writes model/ and tokenizer/ with copies of the checkpoint's own files, and the record of how the model fills in the
middle, which the names of its special tokens tell. Weights must be safetensors: pickled ones can run code. Nothing is
converted; what the decoder cannot be is refused here, by name.
"""

import shutil
from pathlib import Path

from smallcoder.core.errors import InputError, ToolError
from smallcoder.core.stage import Facts, Inputs, Size, StageConfig

HUB = "hf:"
WANTED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model", "LICENSE*")


class Config(StageConfig):
    """`path`: the checkpoint's folder, or hf:NAME[@REVISION]."""

    path: str


def run(config: Config, inputs: Inputs, out: Path) -> Facts:
    """Fill out/model and out/tokenizer. Raises InputError for a checkpoint that is damaged or of another kind."""
    import torch

    from smallcoder.model.hf import TOKENIZER_FILES, check_model
    from smallcoder.model.transformer import Decoder
    from smallcoder.tokens.encode import load_encoder
    from smallcoder.tokens.fim import FILE, known_fim

    folder = _folder(config.path)
    shape = check_model(folder)
    encoder = load_encoder(folder)
    if encoder.vocab_size > shape.vocab_size:
        raise InputError(
            f"the tokenizer of {folder} has {encoder.vocab_size} tokens, its model {shape.vocab_size}",
            "copy both from the same checkpoint",
        )
    model, tokenizer = out / "model", out / "tokenizer"
    for target in (model, tokenizer):
        target.mkdir()
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(map(path.match, WANTED)):
            for target in (model, tokenizer) if path.name in TOKENIZER_FILES else (model,):
                shutil.copyfile(path, target / path.name)
    fim = known_fim(encoder)
    if fim and not (folder / FILE).exists():
        for target in (model, tokenizer):
            fim.save(target)
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in Decoder(shape).parameters())
    size = sum(path.stat().st_size for path in model.iterdir())
    return {
        "bytes": size,
        "headline": f"{shape.family}, {parameters / 1e6:,.1f}M parameters",
        "parameters": parameters,
        "family": shape.family,
        "context": shape.context,
        "vocab_size": shape.vocab_size,
        "fills_in_the_middle": (model / FILE).exists(),
    }


def expect(config: Config, inputs: dict[str, Size]) -> Size:
    return Size(note=config.path)


def outside(config: Config) -> dict[str, str]:
    """Sizes and times of a folder's files; what a name on a hub stands for is asked only when it runs."""
    folder = Path(config.path)
    if config.path.startswith(HUB) or not folder.is_dir():
        return {}
    states = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return {config.path: " ".join(f"{name}:{state.st_size}:{state.st_mtime_ns}" for name, state in states)}


def _folder(path: str) -> Path:
    if not path.startswith(HUB):
        return Path(path)
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ToolError("models of a hub need huggingface_hub", "pip install 'smallcoder[evaluate]'") from error
    name, _, revision = path.removeprefix(HUB).partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(WANTED)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        detail = str(error).splitlines()[0][:200]
        raise InputError(
            f"{path} cannot be fetched ({detail})", "check its name, the network and `hf auth login`"
        ) from None
