"""Bytes that a device holds while a transformer is trained, and the fewest devices that are enough.

Weights and gradients in 16 bits with Adam's three 32-bit copies (weights, two moments): 16 bytes a parameter,
divided by ZeRO's stages (Rajbhandari et al., arXiv:1910.02054, section 3.1; stage 3 is FSDP). Activations after
Korthikanti et al., "Reducing activation recomputation in large transformer models" (arXiv:2205.05198),
equations 1 to 6: 16-bit activations, dropout masks counted, a feed-forward of two matrices four times as wide
as the model. For a gated feed-forward, or without dropout, they are near and not exact. It does not know
fragmentation, communication buffers, or a framework's own memory: leave room for them with `usable_share`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = [
    "Batch",
    "Recompute",
    "Sharding",
    "TrainingMemory",
    "activation_bytes",
    "fewest_devices",
    "training_memory",
]

Recompute = Literal["none", "selective", "full"]
"""``selective`` recomputes attention's scores only (as flash kernels do by nature); ``full`` keeps each layer's
input alone."""

_WEIGHT_BYTES = 2.0
_GRADIENT_BYTES = 2.0
_ADAM_BYTES = 12.0
_MOST_TENSOR = 8
"""Devices that share a layer: those inside one server, since tensor parallelism talks in every layer."""
_MOST_DEVICES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sharding:
    """How training is spread over devices.

    Attributes
    ----------
    data, tensor, pipeline
        Devices along each direction; their product is the number of devices. Tensor parallelism is taken with
        sequence parallelism, as in Korthikanti et al.
    zero_stage
        What the data-parallel devices share out: 0 nothing, 1 optimiser, 2 and gradients, 3 and weights.
    """

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    zero_stage: int = 3

    def __post_init__(self) -> None:
        for name in ("data", "tensor", "pipeline"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", given=repr(getattr(self, name)))
        if self.zero_stage not in (0, 1, 2, 3):
            raise ConfigError("zero_stage must be 0, 1, 2 or 3", given=repr(self.zero_stage))

    @property
    def devices(self) -> int:
        """All of them."""
        return self.data * self.tensor * self.pipeline


@dataclass(frozen=True, slots=True)
class Batch:
    """What one device works on at a time.

    Attributes
    ----------
    sequence_length
        Tokens of one sequence.
    micro_batch
        Sequences at a time, per data-parallel device.
    recompute
        See :data:`Recompute`.
    """

    sequence_length: int = 4096
    micro_batch: int = 1
    recompute: Recompute = "selective"

    def __post_init__(self) -> None:
        if self.sequence_length < 1 or self.micro_batch < 1:
            raise ConfigError(
                "sequence_length and micro_batch must be 1 or more",
                given=f"{self.sequence_length}, {self.micro_batch}",
            )
        if self.recompute not in get_args(Recompute):
            raise ConfigError(
                f"recompute must be {', '.join(get_args(Recompute))}", given=repr(self.recompute)
            )


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes on the fullest device: weights, gradients, optimiser, gathered layer, activations."""

    weight_bytes: float
    gradient_bytes: float
    optimiser_bytes: float
    gathered_bytes: float
    activation_bytes: float

    @property
    def total_bytes(self) -> float:
        """Sum of the parts."""
        return (
            self.weight_bytes
            + self.gradient_bytes
            + self.optimiser_bytes
            + self.gathered_bytes
            + self.activation_bytes
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def activation_bytes(shape: ModelShape, batch: Batch, *, tensor: int = 1) -> float:
    """Activations of all layers for one micro-batch on one of `tensor` devices that share each layer.

    With s tokens, b sequences, h the width and a heads, per layer: ``s b h / t * (34 + 5 a s / h)`` if nothing
    is recomputed (equation 4; equation 1 for t = 1), ``34 s b h / t`` if attention is (equation 6), and
    ``2 s b h / t`` if everything is. A single pipeline stage also holds the head's input and 32-bit logits,
    ``4 s b h / t * (1 + v / h)`` (section 4.3). With full recomputation one layer is alive beside the inputs.
    """
    if tensor < 1:
        raise ConfigError("tensor must be 1 or more", given=repr(tensor))
    unit = batch.sequence_length * batch.micro_batch * shape.d_model / tensor
    whole = unit * (34 + 5 * shape.n_heads * batch.sequence_length / shape.d_model)
    if batch.recompute == "none":
        return shape.n_layers * whole
    if batch.recompute == "selective":
        return shape.n_layers * 34 * unit
    return shape.n_layers * 2 * unit + 34 * unit


def _head_bytes(shape: ModelShape, batch: Batch, tensor: int) -> float:
    unit = batch.sequence_length * batch.micro_batch * shape.d_model / tensor
    return 4 * unit * (1 + shape.n_vocab / shape.d_model)


def training_memory(shape: ModelShape, sharding: Sharding, batch: Batch) -> TrainingMemory:
    """Memory of the fullest device.

    With p pipeline stages the first one works on p micro-batches at a time (the schedule of one forward, one
    backward), so it holds as many activations as a single device with all layers would. ZeRO's stage 3 gathers
    two layers at a time: the one at work and the next.

    Raises
    ------
    ConfigError
        If the layers do not divide into the pipeline's stages, or a layer cannot be split over `tensor`.
    """
    if sharding.pipeline > shape.n_layers:
        raise ConfigError(
            f"pipeline must be at most the number of layers ({shape.n_layers})", given=str(sharding.pipeline)
        )
    if shape.n_heads % sharding.tensor:
        raise ConfigError(
            f"tensor must divide the number of heads ({shape.n_heads})", given=str(sharding.tensor)
        )
    counts = count_parameters(shape)
    layers = -(-shape.n_layers // sharding.pipeline)
    body = counts.non_embedding * layers / shape.n_layers
    # The first stage of several holds one table; a single stage holds the head too.
    table = counts.embedding if sharding.pipeline == 1 else shape.n_vocab * shape.d_model
    held = (body + table) / sharding.tensor
    over = [sharding.data if sharding.zero_stage >= stage else 1 for stage in (3, 2, 1)]
    gathered = 0.0
    if sharding.zero_stage == 3 and sharding.data > 1:
        gathered = 2 * counts.non_embedding / shape.n_layers / sharding.tensor * _WEIGHT_BYTES
    activations = activation_bytes(shape, batch, tensor=sharding.tensor) * layers * sharding.pipeline
    activations /= shape.n_layers
    if sharding.pipeline == 1:
        activations += _head_bytes(shape, batch, sharding.tensor)
    return TrainingMemory(
        held * _WEIGHT_BYTES / over[0],
        held * _GRADIENT_BYTES / over[1],
        held * _ADAM_BYTES / over[2],
        gathered,
        activations,
    )


def _layouts(shape: ModelShape, devices: int, zero_stage: int) -> Iterator[Sharding]:
    """Ways to use `devices`, the least tensor and pipeline parallelism first."""
    for model in (1 << power for power in range(devices.bit_length())):
        if devices % model:
            continue
        tensor = model
        while tensor >= 1:
            pipeline = model // tensor
            is_possible = tensor <= _MOST_TENSOR and shape.n_heads % tensor == 0
            if is_possible and pipeline <= shape.n_layers:
                yield Sharding(devices // model, tensor, pipeline, zero_stage)
            tensor //= 2


def fewest_devices(
    shape: ModelShape,
    device_bytes: float,
    batch: Batch,
    *,
    zero_stage: int = 3,
    usable_share: float = 0.9,
) -> tuple[Sharding, TrainingMemory] | None:
    """The smallest power of two of devices on which training fits, and how it is spread.

    Among layouts of the same number of devices the one with the least tensor and pipeline parallelism is
    taken.

    Parameters
    ----------
    device_bytes
        Memory of one device.
    usable_share
        Share of it that training may fill; the rest is left for buffers and fragmentation.

    Returns
    -------
    tuple or None
        ``None`` if it does not fit on a million devices: one layer's activations are too large.
    """
    if not device_bytes > 0 or not 0 < usable_share <= 1:
        raise ConfigError(
            "device_bytes must be above 0, usable_share above 0 and at most 1",
            given=f"{device_bytes!r}, {usable_share!r}",
        )
    devices = 1
    while devices <= _MOST_DEVICES:
        for layout in _layouts(shape, devices, zero_stage):
            memory = training_memory(shape, layout, batch)
            if memory.total_bytes <= usable_share * device_bytes:
                return layout, memory
        devices *= 2
    return None
