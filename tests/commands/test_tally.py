"""How far a batch is, and how fast."""

from gateway.commands.tally import Tally


def test_the_rate_is_that_of_this_run() -> None:
    """What earlier runs answered took none of its time; failures take theirs."""
    tally = Tally(total=100, before=40, began_at=10.0)
    assert (tally.done, tally.rate(10.0), tally.remaining_s(12.0)) == (40, 0.0, None)
    for _ in range(9):
        tally.count({"prompt_tokens": 1000, "completion_tokens": 10}, None)
    tally.failed += 1
    assert (tally.done, tally.rate(15.0), tally.remaining_s(15.0)) == (50, 2.0, 25.0)
    assert tally.spent() == "9,000 + 90 tokens"


def test_a_cost_is_told_where_there_is_one() -> None:
    """Unknown is not nothing; and nothing is not worth telling."""
    tally = Tally(total=3, before=0, began_at=0.0)
    tally.count({}, 0.0)
    assert tally.spent() == "0 + 0 tokens"
    tally.count({}, 0.5)
    tally.count({}, 0.25)
    assert (tally.cost_usd, tally.spent()) == (0.75, "0 + 0 tokens, $0.7500")
