"""A network with every operation."""

LAYERS = """
conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: same}
ln: {op: layer_norm, eps: 1e-6}
relu6: {op: relu6}
tanh: {op: tanh}
hard: {op: hard_swish}
silu: {op: silu}
gelu: {op: gelu}
squeeze: {layers: {pool: {op: global_avg_pool}, fc: {op: conv, out_channels: 8, kernel_size: 1}, gate: {op: hard_sigmoid}}}
gate: {from: squeeze, op: sigmoid}
excite: {op: multiply, from: [gelu, gate]}
layer_scale: {op: affine, shift: false, scale_init: 0.5}
depth: {op: stochastic_depth, rate: 0.3}
sum: {op: add, from: [depth, gelu]}
one: {op: slice, start: 2, stop: 6}
other: {op: select, from: sum, channels: [7, 0, 0, 3]}
concat: {op: concat, from: [one, other]}
shuffle: {op: channel_shuffle, groups: 2}
pad: {op: pad_channels, padding: [1, 3]}
edges: {op: pad, padding: [-1, 1, 0, 2]}
bn: {op: batch_norm}
lrn: {op: lrn, size: 3, alpha: 0.1}
affine: {op: affine}
max: {op: max_pool, kernel_size: 3, stride: 1}
avg: {op: avg_pool, kernel_size: 2, stride: 2, padding: 1, count_include_pad: false}
adaptive: {op: adaptive_avg_pool, output_size: 3}
factor: {op: scale, factor: 0.3}
flatten: {op: flatten}
relu: {op: relu}
softmax: {op: softmax}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
