"""llama.cpp as a generator: a GGUF file served inside this process by xllamacpp.

The completions come from llama.cpp's own HTTP endpoint on a free local port, because that one reports token ids; the
in-process calls of xllamacpp do not. One request a completion, `slots` of them decoded together.

Cost: the file's weights, and a key-value cache of slots x context tokens. With one slot sampled completions repeat, on
one machine with one build of llama.cpp. With more, what is decoded together depends on the moment, and with it the last
bits of the logits: on a busy machine a completion differs now and then. They are never those of `generate.local`, which
has other random streams.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import xllamacpp
from gguf import GGUFReader

from smallcoder.core.errors import InputError
from smallcoder.core.progress import track
from smallcoder.generate.protocol import Completion, Sampling


class LlamaCppGenerator:
    """Generates with a GGUF file. Raises InputError if llama.cpp cannot load it."""

    name = "llama.cpp"

    def __init__(self, gguf: Path, slots: int = 8) -> None:
        self._server = start_server(gguf, slots)
        self._address = self._server.listening_address
        self._slots = slots

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
        """See `protocol.Generator`."""
        jobs = [(prompt, sample) for prompt in range(len(prompts)) for sample in range(sampling.samples)]

        def complete(job: tuple[int, int]) -> Completion:
            return self._complete(prompts[job[0]], sampling, job)

        with ThreadPoolExecutor(self._slots) as pool:
            found = list(track(pool.map(complete, jobs), "generate", len(jobs), "completions"))
        return [found[start : start + sampling.samples] for start in range(0, len(jobs), sampling.samples)]

    def _complete(self, text: str, sampling: Sampling, job: tuple[int, int]) -> Completion:
        stream = np.random.SeedSequence([sampling.seed, *job])
        request = {
            "prompt": text,
            "n_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "samplers": ["temperature", "top_p"],  # in this order, as in `generate.local`; no others
            "stop": list(sampling.stop),
            "seed": int(stream.generate_state(1)[0]) >> 1,  # all ones would mean a random seed
            "return_tokens": True,
            "cache_prompt": False,  # a completion depends on its prompt alone
        }
        try:
            answer = self._post("/completion", request)
        except HTTPError as error:
            if b"exceed_context_size" in error.read():
                return Completion("", "length", ())
            raise
        finish = "length" if answer["stop_type"] in ("limit", "none") else "stop"
        tokens = answer["tokens"][:-1] if answer["stop_type"] == "eos" else answer["tokens"]
        return Completion(answer["content"], finish, tuple(tokens))

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Token ids as llama.cpp sees them."""
        return self._post("/tokenize", {"content": text, "parse_special": special})["tokens"]

    def _post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(self._address + path, json.dumps(data).encode(), headers)) as response:
            return json.load(response)

    def close(self) -> None:
        """Stop the server and free its memory."""
        self._server = None


def start_server(gguf: Path, slots: int, host: str = "127.0.0.1", port: int = 0) -> Any:
    """llama.cpp's HTTP server over a GGUF file, in threads of this process; it ends when the object is dropped.

    Every slot has the model's whole context. Port 0 is any free one. Raises InputError if it cannot start.
    """
    params = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue]
    params.model.path = str(gguf)
    params.model_alias = {gguf.stem}
    params.n_parallel = slots
    params.n_ctx = slots * context_length(gguf)
    params.fit_params = False  # it would shrink the context silently
    params.warmup = False
    params.verbosity = -1
    params.hostnames = [host]
    params.port = port
    params.endpoint_slots = False  # it shows the prompts of others
    params.cors_origins = ""  # by default any web page may read the answers
    params.cors_origins_explicit = True
    params.cors_credentials = False
    try:
        server = xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue]
    except RuntimeError as error:
        raise InputError(
            f"llama.cpp cannot serve {gguf} ({error})", "make the file again with the gguf stage"
        ) from None
    # A server dropped before its loop runs hangs for ever (seen with xllamacpp 2026.10); one answer shows that it runs.
    server.handle_completions({"prompt": "a", "max_tokens": 1})
    return server


def context_length(gguf: Path) -> int:
    """Tokens of context that a GGUF file declares. Raises InputError if it is not such a file."""
    try:
        reader = GGUFReader(gguf)
        architecture = reader.fields["general.architecture"].contents()
        return int(reader.fields[f"{architecture}.context_length"].contents())
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{gguf} is not a readable GGUF file ({error})", "make it with the gguf stage") from None
