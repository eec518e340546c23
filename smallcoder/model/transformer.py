"""A dense decoder: RMSNorm, rotary positions, grouped-query attention with per-head q/k norm, SwiGLU.

The arithmetic and the parameter names are those of Qwen3 (arXiv 2505.09388) in `transformers`; logits agree to 1e-4
in fp32. Shapes: B rows, T tokens, D width, H heads, G key/value heads, E head size, S cache slots, V vocabulary.

Does not cover: dropout, mixture of experts, tensor parallelism.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention, silu

from smallcoder.model.config import ModelConfig

BLOCKS = 2  # of queries; fewer skip less, more compile longer


class Rotation(NamedTuple):
    """Cosines and sines of the tokens' positions, each [B, 1, T, E]."""

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Turn x [B, heads, T, E]; the first half of a head pairs with the second (the "neox" order)."""
        left, right = x.chunk(2, dim=-1)
        return (x * self.cos + torch.cat((-right, left), dim=-1) * self.sin).to(x.dtype)


class Cache:
    """Keys and values of the tokens seen so far, for rows of different lengths. Slot = position.

    Row b has `lengths[b]` tokens, in slots 0..lengths[b]-1. What lies beyond is left over from right padding; no
    query can see it, since a token only attends to slots up to its own position and writes its own slot first.
    """

    def __init__(self, config: ModelConfig, rows: int, capacity: int, like: Tensor) -> None:
        shape = (config.layers, rows, config.kv_heads, capacity, config.head_dim)
        self.keys = like.new_zeros(shape)  # [layers, B, G, S, E]
        self.values = like.new_zeros(shape)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=like.device)

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, in this order; an index may repeat, which copies the row."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self.lengths = self.lengths[rows]

    def put(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store [B, G, T, E] at `slots` [B, T] of a layer; all its slots in use so far, [B, G, S, E] each."""
        index = slots[:, None, :, None].expand_as(keys)
        self.keys[layer].scatter_(2, index, keys)
        self.values[layer].scatter_(2, index, values)
        used = int(slots.max()) + 1
        return self.keys[layer, :, :, :used], self.values[layer, :, :, :used]


class Norm(nn.Module):
    """Root-mean-square norm, in fp32 whatever the input's type."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


def blocked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of whole rows [B, H, T, E] under a causal mask, in blocks of queries that skip the keys to come.

    A fused kernel on a GPU does this by itself; on a CPU torch's own takes 1.35 times as long over a step with a mask.
    """
    block = -(-q.shape[2] // BLOCKS)
    parts = []
    for start in range(0, q.shape[2], block):
        end = start + block
        scores = (q[:, :, start:end] @ k[:, :, :end].mT).float() * q.shape[3] ** -0.5
        weights = scores.masked_fill(~mask[:, :, start:end, :end], -1e9).softmax(-1)
        parts.append(weights.to(v.dtype) @ v[:, :, :end])
    return torch.cat(parts, dim=2)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        self.groups = config.heads // config.kv_heads
        self.q_proj = nn.Linear(config.width, config.heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(config.width, config.kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.width, config.kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.heads * config.head_dim, config.width, bias=False)
        self.q_norm = Norm(config.head_dim, config.norm_eps)
        self.k_norm = Norm(config.head_dim, config.norm_eps)

    def forward(self, x: Tensor, turn: Rotation, mask: Tensor | None, slots: Tensor, cache: Cache | None) -> Tensor:
        rows, length, _ = x.shape
        heads = (rows, length, -1, self.head_dim)
        q = turn(self.q_norm(self.q_proj(x).view(heads)).transpose(1, 2))
        k = turn(self.k_norm(self.k_proj(x).view(heads)).transpose(1, 2))
        v = self.v_proj(x).view(heads).transpose(1, 2)
        if cache is not None:
            k, v = cache.put(self.layer, slots, k, v)
        k, v = (t.repeat_interleave(self.groups, dim=1) if self.groups > 1 else t for t in (k, v))
        if mask is not None and cache is None and q.device.type == "cpu":
            y = blocked_attention(q, k, v, mask)
        else:
            y = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, -1))


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.width, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then feed-forward; each reads a normalised copy of the stream and adds to it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(config.width, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = Norm(config.width, config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, turn: Rotation, mask: Tensor | None, slots: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, mask, slots, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Tokens to next-token logits.

    logits = decoder(tokens)                          # [B, T] -> [B, T, V]; plain causal rows
    logits = decoder(tokens, positions, mask)         # packed rows, see `document_mask`
    cache = decoder.new_cache(rows, capacity)
    logits = decoder.extend(tokens, counts, cache)    # [B, V]: after the last real token of every row
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(Layer(config, layer) for layer in range(config.layers))
        self.norm = Norm(config.width, config.norm_eps)
        if not config.tied:
            self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.frequencies: Tensor
        self.register_buffer("frequencies", self.rope_frequencies(config), persistent=False)  # [E / 2]

    @staticmethod
    def rope_frequencies(config: ModelConfig) -> Tensor:
        """Radians a position for each pair of a head, [E / 2] (RoPE, arXiv 2104.09864)."""
        return config.rope_theta ** -(torch.arange(0, config.head_dim, 2).float() / config.head_dim)

    @property
    def output_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, [V, D]."""
        return self.embed_tokens.weight if self.config.tied else self.lm_head.weight

    def hidden(
        self, tokens: Tensor, positions: Tensor | None = None, mask: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Normalised last hidden states [B, T, D]; multiply by `output_weight` for logits.

        `positions` [B, T] count from 0 within each document (default: 0..T-1). `mask` is boolean, broadcast to
        [B, H, T, keys], True where a query may look, and never at later tokens; without one, attention is causal.
        """
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        angles = positions[:, None, :, None].float() * self.frequencies  # [B, 1, T, E / 2]
        angles = torch.cat((angles, angles), dim=-1)
        turn = Rotation(angles.cos(), angles.sin())
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, turn, mask, positions, cache)
        return self.norm(x)

    def forward(self, tokens: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Logits [B, T, V] of whole rows; arguments as in `hidden`."""
        return linear(self.hidden(tokens, positions, mask), self.output_weight)

    def new_cache(self, rows: int, capacity: int) -> Cache:
        """An empty cache for `rows` rows of at most `capacity` tokens each, prompt and completion together."""
        return Cache(self.config, rows, capacity, self.embed_tokens.weight)

    @torch.inference_mode()
    def extend(self, tokens: Tensor, counts: Tensor, cache: Cache) -> Tensor:
        """Append tokens to every row of the cache; logits [B, V] of what follows each row's last real token.

        tokens [B, T], padded on the right; counts [B] says how many are real (1..T). Serves both the prompt (T as
        long as the longest) and single steps (T = 1). The padding may be any token.
        """
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        positions = cache.lengths[:, None] + steps  # [B, T]
        positions = positions.clamp(max=cache.keys.shape[3] - 1)  # padding of a nearly full row
        slots = torch.arange(int(positions.max()) + 1, device=tokens.device)
        mask = (slots <= positions[:, :, None])[:, None]  # [B, 1, T, S]
        hidden = self.hidden(tokens, positions, mask, cache)
        cache.lengths = cache.lengths + counts
        last = hidden[torch.arange(len(hidden), device=hidden.device), counts - 1]
        return linear(last, self.output_weight)


def document_mask(segments: Tensor) -> Tensor:
    """The mask of packed rows: causal, and never across documents. segments [B, T] -> [B, 1, T, T]."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return ((segments[:, :, None] == segments[:, None, :]) & causal)[:, None]


def document_positions(segments: Tensor) -> Tensor:
    """Positions that restart with every document. segments [B, T] -> [B, T]."""
    index = torch.arange(segments.shape[1], device=segments.device).expand(segments.shape)
    starts = torch.zeros_like(index)
    starts[:, 1:] = torch.where(segments[:, 1:] != segments[:, :-1], index[:, 1:], 0)
    return index - starts.cummax(dim=1).values


def initialize(decoder: Decoder, seed: int) -> None:
    """Fresh weights: normal with variance 1 / fan-in, the output projections of a layer at zero.

    Zero projections make every layer the identity at first, and embeddings of size 1 keep the tokens audible beside
    what the layers add later (as in modded-nanogpt and nanochat). That asks for an output matrix of its own, of size
    0.02: a tied one cost 0.2 bits per byte after 300 steps. The draw depends on the seed and the shapes alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in decoder.named_parameters():
        if weight.ndim < 2:
            nn.init.ones_(weight)
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            nn.init.zeros_(weight)
        else:
            if name.startswith("embed_tokens"):
                deviation = 0.02 if decoder.config.tied else 1.0
            else:
                deviation = 0.02 if name.startswith("lm_head") else weight.shape[1] ** -0.5
            with torch.no_grad():
                weight.copy_(torch.empty(weight.shape).normal_(0.0, deviation, generator=generator))
