"""How large a decoder is and what a token costs it: parameters and floating-point operations, from its shape alone.

Parameters are those of `transformer.Decoder`, to the last bias. Operations are *model* FLOPs, those that the arithmetic
asks for, whatever a kernel really does: a product with a matrix of N entries costs a token 2 N forward and 4 N backward
(Kaplan et al., arXiv 2001.08361, section 2.1), attention's two products cost 4 E H a key forward and 8 E H backward (E
the head size, H heads: PaLM, arXiv 2204.02311, appendix B, where 12 L H Q T counts T keys a token). Here a token is
charged only for the keys it may see, half of PaLM's under a causal mask; so a figure is lower, at long contexts, than
one that charges for the masked half too (nanoGPT, Megatron-LM). The model-FLOPs utilisation (MFU) of PaLM is these
FLOPs a second over the hardware's peak: work done twice for activation checkpointing does not count.

Does not count: norms, activations, rotary positions, softmax, the optimizer, the lookup in the embedding table; below
1% together, at widths that matter.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallcoder.model.config import ModelConfig


@dataclass(frozen=True)
class Parameters:
    """Numbers of weights by what they do. `head` is 0 where the embedding table serves as the output matrix too."""

    embedding: int
    head: int
    attention: int  # matrices of all layers
    feed_forward: int  # matrices of dense layers and of experts that every token sees
    router: int
    routed: int  # matrices of all routed experts
    routed_active: int  # of those that one token uses
    vectors: int  # norms and biases
    tied: bool

    @property
    def total(self) -> int:
        return self.active + self.routed - self.routed_active

    @property
    def active(self) -> int:
        """What one token uses, both tables of the vocabulary included, as papers count it."""
        layers = self.attention + self.feed_forward + self.router + self.routed_active
        return self.embedding + self.head + layers + self.vectors

    @property
    def multiplied(self) -> int:
        """Entries of the matrices that one token is multiplied with: those of the active ones that cost FLOPs."""
        return self.active - self.vectors - (0 if self.tied else self.embedding)


def parameters(config: "ModelConfig") -> Parameters:
    """Count the weights of a decoder of this shape."""
    width, experts = config.width, config.experts
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    dense = min(config.layers, experts.dense_layers) if experts else config.layers
    routed_layers = config.layers - dense
    norm = 2 * width if config.norm == "layer" else width
    vectors = norm * (2 * config.layers + 1)
    vectors += config.layers * (2 * config.head_dim * config.qk_norm + width * config.out_bias)
    vectors += config.layers * (queries + 2 * keys) * config.qkv_bias
    vectors += dense * ((1 + config.gated) * config.ffn + width) * config.ffn_bias
    one_expert = 3 * width * experts.ffn if experts else 0
    table = config.vocab_size * width
    return Parameters(
        embedding=table,
        head=0 if config.tied else table,
        attention=config.layers * 2 * width * (queries + keys),
        feed_forward=dense * (2 + config.gated) * width * config.ffn
        + (routed_layers * experts.shared * one_expert if experts else 0),
        router=routed_layers * width * experts.count if experts else 0,
        routed=routed_layers * experts.count * one_expert if experts else 0,
        routed_active=routed_layers * experts.active * one_expert if experts else 0,
        vectors=vectors,
        tied=config.tied,
    )


def flops_per_token(config: "ModelConfig", context: int, document_length: float | None = None) -> float:
    """FLOPs of training on one token, forward and backward, in rows of `context` tokens.

    `document_length`: in packed rows, where no document sees another, the length of the document around a token,
    averaged over tokens (sum of squared lengths / sum of lengths); None: a row is one document.
    """
    length = min(context, document_length or context)
    windowed = config.layers - min(config.layers, config.window_from) if config.window else 0
    keys = (config.layers - windowed) * _keys(length, 0) + windowed * _keys(length, config.window)
    return 6.0 * parameters(config).multiplied + 12.0 * config.heads * config.head_dim * keys


def _keys(length: float, window: int) -> float:
    """Keys that a token of a document sees on average, itself among them: min(position, window), from 1 on."""
    if not window or window >= length:
        return (length + 1) / 2
    return window - window * (window - 1) / 2 / length
