"""Architectures, one a file; the file's name is its key.

A file gives `SUMMARY: str`, one sentence that names the paper, `RANK: int`, its place in lists (the first
is the one to begin with), and `build() -> Encoder` (see `services.trainer.layers`): a freshly initialised
encoder from 12 leads at its own rate to features over time. Crops, pooling, the last layer, calibration and
export are not its business. A file of several sizes gives `SIZES: tuple[str, ...]`, the first "" if the
plain key is one, and `build(size: str = ...)`; the others' keys are `file-size`. It may give
`LEARNING_RATE: float`, the peak rate that suits it where the usual one does not. A layer whose weights are
made from parameters when it runs may offer `materialise() -> nn.Module`, which the export puts in its
place.
"""
