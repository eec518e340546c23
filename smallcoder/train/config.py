"""The settings of stage `train`, for one process or a thousand. What they do is in `loop`, `schedule`, `mixture`,
`optim` and `parallel`."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smallcoder.core.stage import StageConfig, run_only
from smallcoder.train.launch.slurm import Slurm
from smallcoder.train.schedule import Schedule

if TYPE_CHECKING:
    from smallcoder.model.config import ModelConfig

SHAPE = ("width", "layers", "heads", "kv_heads", "ffn", "experts")


class Experts(BaseModel):
    """A mixture of experts in every layer: of `count` of size `ffn` a token uses `active`, and `shared` ones always."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    active: int = Field(ge=1)
    ffn: int = Field(ge=1)
    shared: int = Field(default=0, ge=0)


class Parallel(BaseModel):
    """How many processes lie along each direction (`parallel.fleet`); those left over shard the model between them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicate: int = Field(default=1, ge=1)  # whole copies of the model, each sharded: hybrid sharding
    tensor: int = Field(default=1, ge=1)  # that split every matrix product
    expert: int = Field(default=1, ge=1)  # that hold different experts


class Config(StageConfig):
    """Defaults are those measured best for a few million parameters and a few million tokens on two CPU cores
    (docs/log.md). `batch` is in rows. The shape of the model may only be set where it starts from fresh weights.

    `threads` and `micro_batch` decide the order of sums and so belong to the result. The number of processes does too,
    but only in the last bits, and a run may go on with another: so it does not.
    """

    steps: int = Field(ge=1)
    batch: int = Field(default=4, ge=1)  # an update's, over all processes
    micro_batch: int | None = Field(default=None, ge=1)  # rows a process works on at once; None: its whole share
    batch_ramp: int = Field(default=0, ge=0)  # steps over which the batch grows from `micro_batch` to `batch`
    mixture: dict[str, Any] | None = None  # shares of several packed inputs, see `mixture`
    width: int = Field(default=192, ge=2)
    layers: int = Field(default=6, ge=1)
    heads: int = Field(default=3, ge=1)
    kv_heads: int = Field(default=1, ge=1)
    ffn: int = Field(default=512, ge=1)
    experts: Experts | None = None
    optimizer: Literal["muon", "adamw"] = "muon"  # of the layers' matrices; everything else is AdamW's
    muon_lr: float = Field(default=0.02, gt=0)
    embedding_lr: float = Field(default=0.2, gt=0)
    adam_lr: float = Field(default=0.01, gt=0)  # of the output matrix (and so of embeddings tied to it) and the norms
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Schedule = Schedule()
    grad_clip: float = Field(default=1.0, gt=0)
    z_loss: float = Field(default=0.0, ge=0)
    expert_balance: float = Field(default=0.01, ge=0)  # of the router's losses, where the model has experts: Switch's
    expert_z: float = Field(default=0.001, ge=0)  # and ST-MoE's weight
    eval_every: int = Field(default=250, ge=1)
    eval_rows: int = Field(default=128, ge=1)
    samples: int = Field(default=0, ge=0)  # continuations of held-out rows to write down whenever it measures
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=2, ge=1)
    seed: int = 0
    keep_optimizer: bool = False  # also write what a later stage needs to go on with these moments and rows
    processes: int = run_only(1, ge=1)  # on this machine, or on each node of Slurm; one a GPU
    parallel: Parallel = run_only(Parallel())
    slurm: Slurm | None = run_only(None)
    checkpoint_every: Annotated[int, Field(ge=1)] = run_only(200)
    recompute: bool = run_only(False)  # activation checkpointing: less memory, a third more time
    tensorboard: str | None = run_only(None)  # folder of its event files, outside the run folder
    wandb: str | None = run_only(None)  # name of a project

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.batch_ramp and not self.micro_batch:
            raise ValueError("batch_ramp grows from micro_batch: set that too")
        return self

    def fresh(self, vocab_size: int, context: int) -> "ModelConfig":
        """The shape of a model that begins from fresh weights, for rows of that vocabulary and context."""
        from smallcoder.model.config import Experts as ModelExperts
        from smallcoder.model.config import ModelConfig

        sizes = {name: getattr(self, name) for name in ("width", "layers", "heads", "kv_heads", "ffn")}
        options = {}
        if self.experts:
            experts = ModelExperts(**self.experts.model_dump())
            options = {"experts": experts, "family": "bailing_moe", "qk_norm": False}
        head_dim = self.width // self.heads
        return ModelConfig(vocab_size=vocab_size, context=context, head_dim=head_dim, tied=False, **sizes, **options)
