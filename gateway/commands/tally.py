"""How far a batch is: what is done, how fast, and what it took."""

import msgspec


class Tally(msgspec.Struct, kw_only=True):
    """Counts of one run.

    Attributes:
        total: questions in the file.
        before: of them, answered by earlier runs.
        cost_usd: None where no model had a price.
        began_at: by the clock that `now` is read from.
    """

    total: int
    before: int
    began_at: float
    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None

    @property
    def done(self) -> int:
        return self.before + self.answered + self.failed

    def count(self, usage: dict[str, int], cost_usd: float | None) -> None:
        """One more answer, and what it took."""
        self.answered += 1
        self.prompt_tokens += usage.get("prompt_tokens", 0)
        self.completion_tokens += usage.get("completion_tokens", 0)
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd

    def rate(self, now: float) -> float:
        """Questions a second, in this run."""
        took_s = now - self.began_at
        return (self.answered + self.failed) / took_s if took_s > 0 else 0.0

    def remaining_s(self, now: float) -> float | None:
        """How long the rest will take at this rate; None while there is none."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate else None

    def spent(self) -> str:
        """What it took, for a person."""
        tokens = f"{self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
        return f"{tokens}, ${self.cost_usd:,.4f}" if self.cost_usd else tokens
