"""Models on disk: config.json, model.safetensors, generation_config.json and the tokenizer's files (a ModelDir).

Parameter names are those of `transformers`: the decoder's own, behind "model." except for `lm_head`. Weights may be
sharded (model.safetensors.index.json) on reading; they are written as one file.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from smallcoder.core.errors import InputError
from smallcoder.model.config import ModelConfig
from smallcoder.model.families import from_hf, inside, outside, to_hf
from smallcoder.model.transformer import Decoder

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
GENERATION = "generation_config.json"
END_OF_TEXT = "<|endoftext|>"
TURN_ENDS = ("<|im_end|>", "<|EOT|>", "<|eot_id|>", "<end_of_turn>")  # of the families' chats
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json", "fim.json"),
)


def save_model(decoder: Decoder, tokenizer: Path, out: Path) -> None:
    """Write a ModelDir into the folder `out`, with the tokenizer folder's files copied beside the weights.

    The bytes depend on the weights and the tokenizer alone. Raises InputError if the tokenizer lacks its end of text.
    """
    out.mkdir(parents=True, exist_ok=True)
    ids, end = _special_ids(tokenizer)
    if end not in ids:
        raise InputError(f"{tokenizer} has no token {end}", "train it with the tokenizer stage")
    ends = {"eos_token_id": ids[end], "pad_token_id": ids[end]}
    stops = [ids[name] for name in dict.fromkeys((end, *TURN_ENDS)) if name in ids]
    for path in sorted(tokenizer.iterdir()):
        if path.name in TOKENIZER_FILES:
            shutil.copyfile(path, out / path.name)
    _write(out / CONFIG, to_hf(decoder.config) | ends)
    _write(out / GENERATION, ends | {"eos_token_id": stops, "do_sample": False})
    weights = {name: weight.detach().cpu() for name, weight in decoder.named_parameters()}
    files = {name: weight.contiguous() for name, weight in sorted(outside(weights, decoder.config).items())}
    save_file(files, out / WEIGHTS, metadata={"format": "pt"})


def load_model(folder: Path, device: str = "cpu") -> Decoder:
    """Read a ModelDir into an fp32 decoder in evaluation mode.

    Raises InputError for a missing or damaged file, another family, and weights that do not fit config.json.
    """
    config = check_model(folder)
    with torch.device("meta"):
        decoder = Decoder(config)
    found = {name: weight for path in _weight_files(folder) for name, weight in _read(path).items()}
    weights = inside(found, dict(decoder.named_parameters()), config)
    decoder.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
    decoder.frequencies = config.rope.frequencies(config.head_dim)
    return decoder.to(device).eval()


def check_model(folder: Path) -> ModelConfig:
    """The sizes of the model in a folder, once the names and shapes of its weights fit them; reads no weight."""
    config = read_config(folder)
    with torch.device("meta"):
        decoder = Decoder(config)
    found = {name: shape for path in _weight_files(folder) for name, shape in _shapes(path).items()}
    if config.tied:
        found.pop("lm_head.weight", None)
    files = outside(dict(decoder.named_parameters()), config)
    wanted = {name: tuple(weight.shape) for name, weight in files.items()}
    odd = sorted(set(found) ^ set(wanted)) or [name for name in wanted if found[name] != wanted[name]]
    if odd:
        raise InputError(f"the weights of {folder} do not fit its {CONFIG} (first: {odd[0]})", "copy the model again")
    return config


def read_config(folder: Path) -> ModelConfig:
    """The sizes of the model in a folder. Raises InputError if there is none or it is of another kind."""
    try:
        fields = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} holds no {CONFIG}", "name the folder of a model in Hugging Face layout") from None
    except ValueError as error:
        raise InputError(f"{folder / CONFIG} is not JSON ({error})", "copy the model again") from None
    return from_hf(fields)


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return [folder / name for name in sorted(set(index["weight_map"].values()))]
    raise InputError(f"{folder} holds no {WEIGHTS}", "name a model in Hugging Face layout, with safetensors weights")


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error})", "copy the model again") from None


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error})", "copy the model again") from None


def end_ids(folder: Path) -> set[int]:
    """The tokens at which the model in a folder is to stop, by its generation_config.json; none without it."""
    try:
        found = json.loads((folder / GENERATION).read_text(encoding="utf-8")).get("eos_token_id") or []
    except (OSError, ValueError):
        return set()
    return set(found if isinstance(found, list) else [found])


def _special_ids(tokenizer: Path) -> tuple[dict[str, int], str]:
    """The ids of a tokenizer's special tokens, and which of them ends a text."""
    try:
        data = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
        settings = tokenizer / "tokenizer_config.json"
        end = json.loads(settings.read_text(encoding="utf-8"))["eos_token"] if settings.is_file() else END_OF_TEXT
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{tokenizer} holds no readable tokenizer ({error})", "make it again") from None
    ids = {token["content"]: token["id"] for token in data.get("added_tokens", [])}
    return ids, end["content"] if isinstance(end, dict) else end


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
