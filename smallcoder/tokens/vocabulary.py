"""The special tokens, where they sit in the vocabulary, and how text is cut before byte-pair merging.

Ids run: 256 bytes, then merges in the order they were learned (so an id is a merge rank), then `SPECIAL_SLOTS` special
ids at the very end. Names are Qwen's where Qwen has one, so that llama.cpp and editors recognise them.

The pre-tokenizer is the one llama.cpp knows as "qwen2": contractions, words with one leading mark or space, single
digits, runs of other marks, line ends, spaces. Unlike Qwen's own tokenizer nothing is normalised, so every text comes
back byte for byte.
"""

END_OF_TEXT = "<|endoftext|>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX = "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"

CONTROL = (
    *(
        END_OF_TEXT,
        IM_START,
        IM_END,
        FIM_PREFIX,
        FIM_MIDDLE,
        FIM_SUFFIX,
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
    ),
    *("<|cell_code|>", "<|cell_markdown|>", "<|cell_output|>"),
)

# Part of what a model says to its reader: not "special" in Hugging Face's sense, so shown when special tokens are
# skipped, and recognised in any chat message by transformers and llama.cpp.
VISIBLE = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

LANGUAGES = (
    *(
        "python",
        "javascript",
        "typescript",
        "java",
        "c",
        "cpp",
        "csharp",
        "go",
        "rust",
        "php",
        "ruby",
        "swift",
        "kotlin",
    ),
    *(
        "scala",
        "shell",
        "powershell",
        "sql",
        "html",
        "css",
        "json",
        "yaml",
        "toml",
        "xml",
        "markdown",
        "lua",
        "perl",
        "r",
    ),
    *("julia", "haskell", "dart"),
)

SPECIAL_SLOTS = 64
_NAMED = (*CONTROL, *VISIBLE, *(f"<|lang:{name}|>" for name in LANGUAGES))
SPECIAL = (*_NAMED, *(f"<|reserved_{number}|>" for number in range(SPECIAL_SLOTS - len(_NAMED))))
assert len(SPECIAL) == SPECIAL_SLOTS == len(set(SPECIAL))

PRE_TOKENIZER = "qwen2"  # the value of GGUF's tokenizer.ggml.pre
SPLIT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary -> the byte (GPT-2's table).

    Printable Latin-1 stands for itself; the other 68 bytes take letters from U+0100 on.
    """
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + index): byte for index, byte in enumerate(hidden)}
