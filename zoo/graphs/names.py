"""The names that a layer may have: those that no framework's modules use as attributes."""

from __future__ import annotations

import keyword

MAX_NAME = 200

#: Attributes of torch.nn.Module, paddle.nn.Layer, flax.nnx.Module and zoo's own modules. A test
#: compares them with the frameworks.
TAKEN = frozenset(
    """
    T_destination add_module add_parameter add_sublayer apply astype backward bfloat16 buffers
    call_super_init children clear_gradients compile cpu create_parameter create_tensor
    create_variable cuda double dump_patches eval extra_repr float float16 forward full
    full_name get_buffer get_extra_state get_parameter get_sublayer get_submodule half input ipu
    iter_children iter_modules kind load_dict load_state_dict modules mtia named_buffers
    named_children named_modules named_parameters named_sublayers parameters perturb
    register_backward_hook register_buffer register_forward_hook register_forward_post_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_hook register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_attributes set_dict set_extra_state
    set_state_dict set_sublayer set_submodule sharded_state_dict share_memory sow state_dict
    sublayers to to_empty to_static_state_dict train training type xpu zero_grad zoo_graph
    """.split()
)


def problem_with(name: str) -> str | None:
    """Return why a layer cannot have a name, or None if it can.

    Example:
        >>> problem_with("conv1"), problem_with("train")
        (None, "'train' is already an attribute of the frameworks' modules; choose another name")
    """
    if len(name) > MAX_NAME:
        return f"a name of more than {MAX_NAME} characters; choose a shorter one"
    if name in TAKEN:
        return f"{name!r} is already an attribute of the frameworks' modules; choose another name"
    if keyword.iskeyword(name) or not name.isidentifier() or name.startswith("_"):
        return f"{name!r} cannot be an attribute name in Python; choose another"
    return None
