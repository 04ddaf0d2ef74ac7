"""Facts are found by parts of their keys, whatever else the bucket holds."""

from __future__ import annotations

from exchangeai.bus import Bus
from exchangeai.facts import ResultFact


async def test_facts_are_found_by_a_part_of_their_key_in_pages(bus: Bus) -> None:
    facts = bus.facts(ResultFact)

    def result(recording: str, model: str) -> ResultFact:
        return ResultFact(
            recording_id=recording,
            model_name="m",
            model_version=1,
            model_digest=model,
            preprocessing_version="1",
            recorded_at=0.0,
        )

    made = [result(f"{i:03d}", "ab"[i % 2]) for i in range(600)]
    for x in made:
        await facts.put(f"{x.recording_id}.{x.model_digest}.1", x)
    assert [x.value for x in await facts.matching(["007.*.*"], most=10)] == [made[7]]
    assert await facts.matching(["nobody.*.*"], most=10) == []
    everything = await facts.matching(["*.*.*"], most=1000)
    assert [x.value for x in everything] == made
    assert len(await facts.matching(["001.*.*", "*.a.*"], most=1000)) == 301
    page = await facts.matching(["*.b.*"], after=everything[99].revision, most=20)
    assert [x.value.recording_id for x in page] == [f"{i:03d}" for i in range(101, 141, 2)]
    await facts.delete("007.b.1")
    await facts.put("009.b.1", made[9])
    left = await facts.matching(["*.b.*"], most=1000)
    assert len(left) == 299
    assert left[-1].value == made[9]  # in the order of the last change
