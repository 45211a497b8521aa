"""The PyTorch backend: graphs as ``torch.nn.Module``, NCHW."""

from zoo.backend.description import Description, Mode
from zoo.backend.parameters import Parameters, convention

#: operation -> canonical name -> PyTorch's own name and axes: all are the canonical ones
PARAMETERS = Parameters("torch", {})

_SHARDED = (
    "each process has a part of its parameters; gather them in a model of its own: "
    "zoo.build(...).load_state_dict(get_model_state_dict(model, "
    "options=StateDictOptions(full_state_dict=True)))"
)
_CHECKPOINTING = "torch.distributed.algorithms._checkpoint.checkpoint_wrapper"
_COMPILED = "it is a compiled program; pass the model that it was made from"

_DTYPES = ("float32", "bfloat16")

DESCRIPTION = Description(
    name="torch",
    title="PyTorch",
    implementation="zoo.torch.backend:TorchBackend",
    framework="torch",
    packages=("torch",),
    aliases=("pytorch",),
    install="polyzoo[torch]",
    wrappers={
        "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
        "torch.nn.parallel.data_parallel.DataParallel": "module",
        "torch.nn.parallel.distributed.DistributedDataParallel": "module",
        "torch.optim.swa_utils.AveragedModel": "module",
        f"{_CHECKPOINTING}.CheckpointWrapper": "_checkpoint_wrapped_module",
        f"{_CHECKPOINTING}.OffloadWrapper": "_checkpoint_wrapped_module",
    },
    opaque={
        "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": _SHARDED,
        "torch.distributed.fsdp.FSDPModule": _SHARDED,
        "torch.jit._script.ScriptModule": _COMPILED,
        "torch.fx.graph_module.GraphModule": _COMPILED,
        "torch.export.exported_program.ExportedProgram": _COMPILED,
    },
    suffix=".pth",
    convention=convention(PARAMETERS, "CHW", ["*.num_batches_tracked"]),
    formats=("pth", "safetensors"),
    level="full",
    modes=tuple(
        Mode(name, ("forward", "gradients", "train"), _DTYPES, ("cpu", "cuda"))
        for name in ("eager", "torch.compile")
    ),
    defaults={
        "batch_norm_momentum": 0.1,  # torch.nn.BatchNorm2d: the weight of the new value
        "batch_norm_eps": 1e-5,  # torch.nn.BatchNorm2d
        "batch_norm_variance": "unbiased",  # documented there, for running_var alone
        "layer_norm_eps": 1e-5,  # torch.nn.LayerNorm
        "padding": "stated",  # torch.nn.Conv2d has no "same" with a stride
        "average_padding": "counted",  # torch.nn.AvgPool2d: count_include_pad=True
        "resize": "bilinear-antialias",  # torchvision.transforms.Resize: antialias=True
        "channel_order": "rgb",  # PIL
        # zoo trains with torch.optim itself, whose optimizers compute the written rules.
        "optimizer": dict.fromkeys(("sgd", "adam", "adamw", "rmsprop"), "written"),
        "optimizer_eps": dict.fromkeys(("adam", "adamw", "rmsprop"), 1e-8),  # torch.optim
        "optimizer_alpha": {"rmsprop": 0.99},  # torch.optim.RMSprop
        "weight_decay": {"adamw": 1e-2},  # torch.optim.AdamW
        "decay": "coupled",  # weight_decay of torch.optim.SGD, Adam and RMSprop
    },
    determinism={"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
)
