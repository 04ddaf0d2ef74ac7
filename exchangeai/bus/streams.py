"""The streams: which events are work, which are notices, and where dead letters go."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from exchangeai.events.v1.dataset_built_pb2 import DatasetBuilt
from exchangeai.events.v1.dataset_requested_pb2 import DatasetRequested
from exchangeai.events.v1.model_published_pb2 import ModelPublished
from exchangeai.events.v1.recording_ingested_pb2 import RecordingIngested
from exchangeai.events.v1.recording_preprocessed_pb2 import RecordingPreprocessed
from exchangeai.events.v1.run_requested_pb2 import RunRequested
from exchangeai.events.v1.run_state_changed_pb2 import RunStateChanged

WORK = "WORK"
NOTICES = "NOTICES"
DEAD = "DEAD"
DEAD_PREFIX = "dead."

WORK_EVENTS = (RecordingIngested, DatasetRequested, RunRequested)
"""Each is consumed by one durable consumer and removed when acknowledged."""

NOTICE_EVENTS = (RecordingPreprocessed, DatasetBuilt, RunStateChanged, ModelPublished)
"""Kept for a week for whoever is interested; the facts behind them stay."""

DEDUP_WINDOW_S = 24 * 3600.0
_WEEK_S = 7 * 24 * 3600.0


def stream_configs(replicas: int, max_work_bytes: int) -> list[StreamConfig]:
    """The streams to make; a full work stream refuses new messages instead of dropping old ones."""
    return [
        StreamConfig(
            name=WORK,
            subjects=[e.DESCRIPTOR.full_name for e in WORK_EVENTS],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=max_work_bytes,
            duplicate_window=DEDUP_WINDOW_S,
            num_replicas=replicas,
        ),
        StreamConfig(
            name=NOTICES,
            subjects=[e.DESCRIPTOR.full_name for e in NOTICE_EVENTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=_WEEK_S,
            duplicate_window=DEDUP_WINDOW_S,
            num_replicas=replicas,
        ),
        StreamConfig(
            name=DEAD,
            subjects=[DEAD_PREFIX + ">"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs=1_000_000,
            duplicate_window=DEDUP_WINDOW_S,
            num_replicas=replicas,
        ),
    ]
