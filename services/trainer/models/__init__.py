"""Architectures, one a file; the file's name is its key.

A file gives `SUMMARY: str`, one sentence with the paper, `RANK: int`, its place in lists (the first is the
one to begin with), and `build(classes: int) -> nn.Module`. The module's forward takes x_BLT, float32
[batch, 12, 5000], mV at 500 Hz in the standard lead order, and returns (logits_BC, embedding_BE,
features_BET): the embedding is what the last layer reads, the features are its steps over time. The last
layer is the attribute `head`, an `nn.Linear` on the embedding: it is replaced when a base model has other
classes, and its weights on the features are the saliency.
"""
