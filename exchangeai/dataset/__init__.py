"""Data sets at rest: shards of windows with labels, and the manifest; the preprocess → trainer contract."""

from exchangeai.dataset.croissant import croissant_key, encode_croissant
from exchangeai.dataset.fetch import FileSource, download
from exchangeai.dataset.manifest import (
    MANIFEST_FILE,
    MANIFEST_VERSION,
    PARTS,
    DatasetManifest,
    PartManifest,
    Shard,
    decode_manifest,
    encode_manifest,
    manifest_key,
    shard_key,
)
from exchangeai.dataset.order import SHARDS_AT_ONCE, epoch_groups, epoch_order
from exchangeai.dataset.part import Part, ShardFile, WindowArray, open_part
from exchangeai.dataset.reader import Batch, read_epoch
from exchangeai.dataset.shards import (
    MAX_SHARD_ROWS,
    ROWS_PER_BATCH,
    WINDOW_SHAPE,
    Row,
    ShardWriter,
    label_dtype,
    schema,
    write_shard,
)

__all__ = [
    "MANIFEST_FILE",
    "MANIFEST_VERSION",
    "MAX_SHARD_ROWS",
    "PARTS",
    "ROWS_PER_BATCH",
    "SHARDS_AT_ONCE",
    "WINDOW_SHAPE",
    "Batch",
    "DatasetManifest",
    "FileSource",
    "Part",
    "PartManifest",
    "Row",
    "Shard",
    "ShardFile",
    "ShardWriter",
    "WindowArray",
    "croissant_key",
    "decode_manifest",
    "download",
    "encode_croissant",
    "encode_manifest",
    "epoch_groups",
    "epoch_order",
    "label_dtype",
    "manifest_key",
    "open_part",
    "read_epoch",
    "schema",
    "shard_key",
    "write_shard",
]
