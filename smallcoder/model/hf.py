"""Models on disk: config.json, model.safetensors, generation_config.json and the tokenizer's files (a ModelDir).

Parameter names are those of `transformers`: the decoder's own, behind "model." except for `lm_head`. Weights may be
sharded (model.safetensors.index.json) on reading; they are written as one file.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from smallcoder.core.errors import InputError
from smallcoder.model.config import ModelConfig
from smallcoder.model.families import from_hf, outside, to_hf
from smallcoder.model.transformer import Decoder

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
GENERATION = "generation_config.json"
END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"


def save_model(decoder: Decoder, tokenizer: Path, out: Path) -> None:
    """Write a ModelDir into the folder `out`, with the tokenizer folder's files copied beside the weights.

    The bytes depend on the weights and the tokenizer alone. Raises InputError if the tokenizer lacks <|endoftext|>.
    """
    out.mkdir(parents=True, exist_ok=True)
    ids = _special_ids(tokenizer)
    if END_OF_TEXT not in ids:
        raise InputError(f"{tokenizer} has no token {END_OF_TEXT}", "train it with the tokenizer stage")
    end = {"eos_token_id": ids[END_OF_TEXT], "pad_token_id": ids[END_OF_TEXT]}
    stops = [ids[name] for name in (END_OF_TEXT, END_OF_TURN) if name in ids]
    for path in sorted(tokenizer.iterdir()):
        if path.is_file() and not path.name.startswith("manifest"):
            shutil.copyfile(path, out / path.name)
    _write(out / CONFIG, to_hf(decoder.config) | end)
    _write(out / GENERATION, end | {"eos_token_id": stops, "do_sample": False})
    weights = {
        outside(name, decoder.config.family): weight.detach().cpu().contiguous()
        for name, weight in decoder.named_parameters()
    }
    save_file(dict(sorted(weights.items())), out / WEIGHTS, metadata={"format": "pt"})


def load_model(folder: Path, device: str = "cpu") -> Decoder:
    """Read a ModelDir into an fp32 decoder in evaluation mode.

    Raises InputError for a missing or damaged file, another architecture, and weights that do not fit config.json.
    """
    config = read_config(folder)
    with torch.device("meta"):
        decoder = Decoder(config)
    found = {name: weight for path in _weight_files(folder) for name, weight in _read(path).items()}
    if config.tied:
        found.pop("lm_head.weight", None)
    wanted = {outside(name, config.family): (name, weight.shape) for name, weight in decoder.named_parameters()}
    odd = sorted(set(found) ^ set(wanted)) or [name for name in wanted if found[name].shape != wanted[name][1]]
    if odd:
        raise InputError(f"the weights of {folder} do not fit its {CONFIG} (first: {odd[0]})", "copy the model again")
    state = {inside: found[name].float() for name, (inside, _) in wanted.items()}
    decoder.load_state_dict(state, assign=True)
    decoder.frequencies = config.rope.frequencies(config.head_dim)
    return decoder.to(device).eval()


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


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error})", "copy the model again") from None


def _special_ids(tokenizer: Path) -> dict[str, int]:
    try:
        data = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{tokenizer} holds no readable tokenizer.json ({error})", "make it again") from None
    return {token["content"]: token["id"] for token in data.get("added_tokens", [])}


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
