"""A dense decoder: norm, rotary positions, grouped-query attention, gated feed-forward, with the options of `config`.

By default it is a Qwen3 (arXiv 2505.09388); `families` says which other checkpoints it can be. The arithmetic is that
of `transformers`, whose logits it gives to 1e-4 in fp32. Shapes: B rows, T tokens, D width, H heads, G key/value
heads, E head size, S cache slots, V vocabulary.

Does not cover: dropout. `train.parallel` spreads it over processes: heads are counted from the tensors at hand.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, and_masks, create_block_mask, flex_attention
from torch.nn.functional import gelu, linear, normalize, scaled_dot_product_attention, silu
from torch.utils.checkpoint import checkpoint

from smallcoder.model.config import ModelConfig
from smallcoder.model.experts import ExpertLayer, Routing

Mask = Tensor | BlockMask | None
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
    """Root-mean-square norm, in fp32 whatever the input's type; with `plus_one` the weights count from 1."""

    def __init__(self, size: int, eps: float, plus_one: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size) if plus_one else torch.ones(size))
        self.eps = eps
        self.plus_one = plus_one

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        weight = 1.0 + self.weight if self.plus_one else self.weight
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps) * weight).to(x.dtype)


def make_norm(config: ModelConfig) -> nn.Module:
    """The norm of a stream of the config's width."""
    if config.norm == "layer":
        return nn.LayerNorm(config.width, config.norm_eps)
    return Norm(config.width, config.norm_eps, config.norm == "rms_plus_one")


def blocked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention of whole rows [B, H, T, E] under a causal mask, in blocks of queries that skip the keys to come.

    A fused kernel on a GPU does this by itself; on a CPU torch's own takes 1.35 times as long over a step with a mask.
    """
    block = -(-q.shape[2] // BLOCKS)
    parts = []
    for start in range(0, q.shape[2], block):
        end = start + block
        scores = (q[:, :, start:end] @ k[:, :, :end].mT).float() * scale
        weights = scores.masked_fill(~mask[:, :, start:end, :end], -1e9).softmax(-1)
        parts.append(weights.to(v.dtype) @ v[:, :, :end])
    return torch.cat(parts, dim=2)


class Attention(nn.Module):
    """Grouped-query attention; queries and keys of a head may be normalised."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        self.groups = config.heads // config.kv_heads
        self.scale = config.attention_scale or config.head_dim**-0.5
        size, shared = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.width, size, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.width, shared, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.width, shared, bias=config.qkv_bias)
        self.o_proj = nn.Linear(size, config.width, bias=config.out_bias)
        if config.qk_norm:
            self.q_norm = Norm(config.head_dim, config.norm_eps)
            self.k_norm = Norm(config.head_dim, config.norm_eps)
        self.normalised = config.qk_norm

    def forward(self, x: Tensor, turn: Rotation, mask: Mask, slots: Tensor, cache: Cache | None) -> Tensor:
        rows, length, _ = x.shape
        heads = (rows, length, -1, self.head_dim)
        q, k = self.q_proj(x).view(heads), self.k_proj(x).view(heads)
        if self.normalised:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = turn(q.transpose(1, 2)), turn(k.transpose(1, 2))
        v = self.v_proj(x).view(heads).transpose(1, 2)
        if cache is not None:
            k, v = cache.put(self.layer, slots, k, v)
        if isinstance(mask, BlockMask):
            y = flex_attention(q, k, v, block_mask=mask, scale=self.scale, enable_gqa=self.groups > 1)
            assert isinstance(y, Tensor)
            return self.o_proj(y.transpose(1, 2).reshape(rows, length, -1))
        k, v = (t.repeat_interleave(self.groups, dim=1) if self.groups > 1 else t for t in (k, v))
        if mask is not None and cache is None and q.device.type == "cpu":
            y = blocked_attention(q, k, v, mask, self.scale)
        else:
            y = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=self.scale)
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, -1))


class FeedForward(nn.Module):
    """down(act(gate(x)) * up(x)), or without a gate down(act(up(x)))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated = config.gated
        self.silu = config.activation == "silu"
        if config.gated:
            self.gate_proj = nn.Linear(config.width, config.ffn, bias=config.ffn_bias)
        self.up_proj = nn.Linear(config.width, config.ffn, bias=config.ffn_bias)
        self.down_proj = nn.Linear(config.ffn, config.width, bias=config.ffn_bias)

    def _act(self, x: Tensor) -> Tensor:
        return silu(x) if self.silu else gelu(x, approximate="tanh")

    def forward(self, x: Tensor) -> Tensor:
        up = self.up_proj(x)
        return self.down_proj(self._act(self.gate_proj(x)) * up if self.gated else self._act(up))


class Layer(nn.Module):
    """Attention, then feed-forward or experts; each reads a normalised copy of the stream and adds to it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.scale = config.residual_scale
        self.windowed = config.window > 0 and layer >= config.window_from
        self.input_layernorm = make_norm(config)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = make_norm(config)
        self.recompute = False
        self.routed = config.experts is not None and layer >= config.experts.dense_layers
        self.mlp = ExpertLayer(config.experts, config.width) if config.experts and self.routed else FeedForward(config)

    def forward(
        self, x: Tensor, turn: Rotation, mask: Mask, slots: Tensor, cache: Cache | None
    ) -> tuple[Tensor, Routing | None]:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self._branches, x, turn, mask, slots, cache, use_reentrant=False)
        return self._branches(x, turn, mask, slots, cache)

    def _branches(
        self, x: Tensor, turn: Rotation, mask: Mask, slots: Tensor, cache: Cache | None
    ) -> tuple[Tensor, Routing | None]:
        x = x + self._scaled(self.self_attn(self.input_layernorm(x), turn, mask, slots, cache))
        branch, routing = self.mlp(self.post_attention_layernorm(x)), None
        if self.routed:
            branch, routing = branch
        return x + self._scaled(branch), routing

    def _scaled(self, branch: Tensor) -> Tensor:
        return branch if self.scale == 1.0 else branch * self.scale


class Head(nn.Module):
    """Hidden states and `output_weight` to logits: a module without weights, at which tensor parallelism takes hold."""

    def forward(self, hidden: Tensor, weight: Tensor) -> Tensor:
        return linear(hidden, weight)


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
        self.norm = make_norm(config)
        if not config.tied:
            self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        self.head = Head()
        self.frequencies: Tensor
        self.register_buffer("frequencies", config.rope.frequencies(config.head_dim), persistent=False)  # [E / 2]

    def recompute(self, on: bool) -> None:
        """Activation checkpointing: a layer keeps only its input, and computes the rest again on the way back."""
        for layer in self.layers:
            assert isinstance(layer, Layer)
            layer.recompute = on

    @property
    def output_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, [V, D]."""
        weight = self.embed_tokens.weight if self.config.tied else self.lm_head.weight
        return normalize(weight, dim=0, eps=1e-7) if self.config.norm_head else weight

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        mask: Mask = None,
        cache: Cache | None = None,
        routing: list[Routing] | None = None,
    ) -> Tensor:
        """Normalised last hidden states [B, T, D]; multiplied by `output_weight` they are logits.

        `positions` [B, T] count from 0 within each document (default: 0..T-1). `mask` is boolean, broadcast to
        [B, H, T, keys], True where a query may look, and never at later tokens, or the same as blocks; without one,
        attention is causal.
        A list given as `routing` receives what each layer of experts did.
        """
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        angles = positions[:, None, :, None].float() * self.frequencies  # [B, 1, T, E / 2]
        angles = torch.cat((angles, angles), dim=-1)
        turn = Rotation(angles.cos(), angles.sin())
        if (magnitude := self.config.rope.magnitude) != 1.0:
            turn = Rotation(turn.cos * magnitude, turn.sin * magnitude)
        x = self.embed_tokens(tokens)
        if self.config.embedding_scale != 1.0:
            x = x * self.config.embedding_scale
        windowed = self._windowed(mask, tokens, positions, cache)
        for layer in self.layers:
            x, spread = layer(x, turn, windowed if layer.windowed else mask, positions, cache)
            if routing is not None and spread is not None:
                routing.append(spread)
        x = self.norm(x)
        return x if self.config.logit_divisor == 1.0 else x / self.config.logit_divisor

    def _windowed(self, mask: Mask, tokens: Tensor, slots: Tensor, cache: Cache | None) -> Mask:
        """The mask of layers with a window: what `mask` allows and lies at most `window` - 1 tokens back."""
        window, length = self.config.window, tokens.shape[1]
        if not window or (cache is None and length <= window):
            return mask
        if isinstance(mask, BlockMask):
            return _blocks(
                and_masks(mask.mask_mod, lambda b, h, q, k: k > q - window), len(tokens), length, tokens.device
            )
        asking = torch.arange(length, device=tokens.device)[None] if cache is None else slots
        keys = torch.arange(length if cache is None or mask is None else mask.shape[-1], device=tokens.device)
        near = (keys > asking[:, :, None] - window)[:, None]  # [B, 1, T, keys]
        return near & ((keys <= asking[:, :, None])[:, None] if mask is None else mask)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        mask: Mask = None,
        routing: list[Routing] | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of whole rows; arguments as in `hidden`."""
        return self.head(self.hidden(tokens, positions, mask, routing=routing), self.output_weight)

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


def document_blocks(segments: Tensor) -> BlockMask:
    """The same for FlexAttention (arXiv 2412.05496), which skips blocks that no query sees: what a GPU trains with.

    Make it outside of what is compiled. On a CPU FlexAttention has no backward pass.
    """

    def see(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (segments[b, q] == segments[b, k]) & (q >= k)

    rows, length = segments.shape
    return _blocks(see, rows, length, segments.device)


def _blocks(see: Callable[..., Tensor], rows: int, length: int, device: torch.device) -> BlockMask:
    return create_block_mask(see, rows, None, length, length, device=device, _compile=device.type == "cuda")


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
            nn.init.constant_(weight, float(name.endswith("weight") and decoder.config.norm != "rms_plus_one"))
        elif name.endswith(("o_proj.weight", "down_proj.weight", "experts.down_proj")):
            nn.init.zeros_(weight)
        else:
            if name.startswith("embed_tokens"):
                deviation = 0.02 if decoder.config.tied else 1.0
            else:
                deviation = 0.02 if name.startswith("lm_head") else weight.shape[-1] ** -0.5
            with torch.no_grad():
                weight.copy_(torch.empty(weight.shape).normal_(0.0, deviation, generator=generator))
