"""How processes meet: work on durable queues, notices, and facts in watched key-value buckets."""

from exchangeai.bus.facts import Fact, FactIndex, Facts, open_index
from exchangeai.bus.follow import Batch, Position, RawChange
from exchangeai.bus.nats import Bus, DeadLetter, open_bus
from exchangeai.bus.queue import Delivery, Later

__all__ = [
    "Batch",
    "Bus",
    "DeadLetter",
    "Delivery",
    "Fact",
    "FactIndex",
    "Facts",
    "Later",
    "Position",
    "RawChange",
    "open_bus",
    "open_index",
]
