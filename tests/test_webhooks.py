"""Signatures, the schedule, and the table of what an answer means."""

import time
from base64 import b64encode
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from standardwebhooks import Webhook, WebhookVerificationError

from gateway import webhooks
from gateway.errors import Conflict
from gateway.webhooks import Answer, Delivery, DeliveryState, Silence

NOW = 1_800_000_000.0
DAY = 86_400.0
OLD = "whsec_" + b64encode(b"o" * 24).decode()
NEW = "whsec_" + b64encode(b"n" * 32).decode()
BODY = '{"answer":"zażółć 😀"}'.encode()

RUNNING = Answer(status=409, content_type="application/json", body=b'"1" is running already.')
FINISHED = Answer(status=409, content_type="application/json", body=b'"1" has finished already.')
UNKNOWN = Answer(status=404, content_type="application/json", body=b'{"message":"no"}')
STARTING = Answer(status=404, content_type="text/html", body=b"<pre>Cannot POST /x</pre>")


class Midway(Random):
    """Chance without chance: jitter leaves every step as it is."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def owed(**changes: Any) -> Delivery:
    delivery = Delivery(
        id="msg_1",
        job_id="job_1",
        tenant="shop",
        url="https://n8n.example.com/webhook-waiting/1?signature=ab",
        created_at=NOW,
        deadline=NOW + DAY,
        state=DeliveryState.PENDING,
        body=BODY,
        next_at=NOW,
    )
    return replace(delivery, **changes)


def tried(**changes: Any) -> Delivery:
    return owed(**{"attempts": 1, "first_tried_at": NOW, **changes})


def classified(delivery: Delivery, answer: Answer | Silence, now: float = NOW) -> Delivery:
    return webhooks.classify(delivery, answer, now, Midway(), started_at=now)


# Signatures


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_both_secrets_of_a_rotation_verify_with_the_official_verifier(secret: str) -> None:
    """While a secret is replaced, receivers with the old one and with the new one accept."""
    keys = webhooks.parse_secrets([NEW, OLD])
    headers = webhooks.sign("msg_1", BODY, keys, time.time())
    assert Webhook(secret).verify(BODY, headers) == {"answer": "zażółć 😀"}


def test_the_official_verifier_refuses_another_body() -> None:
    """A signature binds the body."""
    headers = webhooks.sign("msg_1", BODY, webhooks.parse_secrets([NEW]), time.time())
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(b"{}", headers)


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the Standard Webhooks specification gives its signature."""
    keys = webhooks.parse_secrets(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    headers = webhooks.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', keys, 1614265330.9
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_a_callback_is_unsigned() -> None:
    """The id and the time are sent even where there is nothing to sign with."""
    headers = webhooks.sign("msg_1", BODY, (), NOW)
    assert headers == {"webhook-id": "msg_1", "webhook-timestamp": "1800000000"}


def test_a_callback_of_ours_verifies_for_five_minutes() -> None:
    """A signature is good until its time is too far away, before or after."""
    keys = webhooks.parse_secrets([NEW])
    headers = webhooks.sign("msg_1", BODY, keys, NOW)
    accepted = [webhooks.verify(headers, BODY, keys, NOW + s) for s in (-301, -300, 0, 300, 301)]
    assert accepted == [False, True, True, True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": "\udcff"},
        {"webhook-timestamp": "1800000001"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "²"},
        {"webhook-timestamp": "1" * 5_000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,\udcff ż v1"},
    ],
)
def test_a_changed_header_does_not_verify(changes: dict[str, str]) -> None:
    """Whatever the headers hold, the answer is no and not an exception."""
    keys = webhooks.parse_secrets([NEW])
    headers = webhooks.sign("msg_1", BODY, keys, NOW) | changes
    assert not webhooks.verify(headers, BODY, keys, NOW)


def test_another_key_does_not_verify() -> None:
    """A signature by a key that was rotated out is refused."""
    headers = webhooks.sign("msg_1", BODY, webhooks.parse_secrets([OLD]), NOW)
    assert not webhooks.verify(headers, BODY, webhooks.parse_secrets([NEW]), NOW)


def test_a_secret_may_lack_its_padding() -> None:
    """Both ways to write base64 mean the same key."""
    padded = "whsec_" + b64encode(b"k" * 32).decode()
    assert webhooks.parse_secrets([padded.rstrip("=")]) == webhooks.parse_secrets([padded])


@pytest.mark.parametrize(
    "text",
    [
        NEW.removeprefix("whsec_"),
        "whsec_" + b64encode(b"short").decode(),
        "whsec_!!!!" + NEW,
        "whsec_",
        f"{NEW} {NEW} {NEW}",
        f"{NEW} nonsense",
    ],
)
def test_a_bad_secret_is_refused_without_being_repeated(text: str) -> None:
    """The sentence of the refusal may be logged: it holds nothing of the secret."""
    with pytest.raises(ValueError, match="secret") as refusal:
        webhooks.parse_secrets(text.split())
    assert all(word not in str(refusal.value) for word in text.split() if word != "whsec_")


# The schedule


def test_the_pauses_are_those_of_the_schedule() -> None:
    """An unreachable receiver is tried at every step, and for the last time near the deadline."""
    delivery, now, pauses = owed(), NOW, []
    while delivery.state is DeliveryState.PENDING:
        now = delivery.next_at
        delivery = classified(delivery, Silence.UNREACHABLE, now)
        if delivery.state is DeliveryState.PENDING:
            pauses.append(round(delivery.next_at - now, 3))
    seconds = [0.1, 0.2, 0.4, 0.8, 1.5, 3, 5, 10, 20, 30]
    minutes = [1, 2, 5, 10, 30, 60, 120, 300, 600]
    steps = seconds + [minute * 60 for minute in minutes]
    assert pauses == [*steps, round(DAY - 1 - sum(steps), 3)]
    assert delivery == owed(
        state=DeliveryState.DEAD,
        attempts=21,
        first_tried_at=NOW,
        next_at=NOW + DAY - 1,
        note=f"{Silence.UNREACHABLE} Given up.",
    )


ANSWERS = st.one_of(
    st.sampled_from(Silence),
    st.builds(
        Answer,
        status=st.integers(300, 599),
        content_type=st.sampled_from(["application/json", "text/html", ""]),
        retry_after=st.sampled_from([None, "0", "7", "90000", "soon"]),
        body=st.sampled_from([b"", b"is running already.", b"has finished already."]),
    ),
)


@given(st.lists(ANSWERS, min_size=1), st.lists(st.floats(0, 15)), st.randoms(), st.floats(2, 1e5))
def test_whatever_is_answered_a_delivery_ends_by_its_deadline(
    answers: list[Answer | Silence], durations: list[float], rng: Random, lifetime_s: float
) -> None:
    """Each attempt is counted, moves the next into the future, and the deadline ends them."""
    delivery, now, count = owed(deadline=NOW + lifetime_s), NOW, 0
    while delivery.state is DeliveryState.PENDING:
        assert now <= delivery.next_at <= delivery.deadline
        started_at = delivery.next_at
        now = started_at + (durations[count % len(durations)] if durations else 0.0)
        answer = answers[count % len(answers)]
        delivery = webhooks.classify(delivery, answer, now, rng, started_at=started_at)
        count += 1
        assert delivery.attempts == count
        assert delivery.first_tried_at == NOW
        assert count < 30_000
    assert delivery.state in (DeliveryState.DEAD, DeliveryState.UNCONFIRMED)


@given(st.integers(1, 40), st.floats(0, 86_400), st.randoms())
def test_a_step_is_off_by_a_fifth_at_most(attempts: int, elapsed_s: float, rng: Random) -> None:
    """Jitter spreads the attempts of many deliveries without changing the schedule."""
    delivery = owed(attempts=attempts, first_tried_at=NOW)
    exact = webhooks.step_s(delivery, NOW + elapsed_s, Midway())
    assert exact in webhooks.STEPS_S
    assert 0.8 * exact <= webhooks.step_s(delivery, NOW + elapsed_s, rng) <= 1.2 * exact


@given(st.randoms())
def test_jitter_never_makes_the_schedule_repeat_a_step(rng: Random) -> None:
    """Attempt n is followed by step n, however the jitter of the earlier ones fell."""
    delivery, now = owed(), NOW
    for step in webhooks.STEPS_S:
        delivery = webhooks.classify(delivery, Silence.UNREACHABLE, now, rng, started_at=now)
        assert 0.8 * step - 1e-6 <= delivery.next_at - now <= 1.2 * step + 1e-6
        now = delivery.next_at


def test_a_workflow_that_is_not_waiting_yet_is_asked_every_five_seconds_for_five_minutes() -> None:
    """A slow node before the Wait node costs five seconds at most, and then no ten hours."""
    delivery, now, pauses = owed(), NOW, []
    while now < NOW + 600:
        delivery = classified(delivery, RUNNING, now)
        pauses.append(round(delivery.next_at - now, 3))
        now = delivery.next_at
    assert pauses[:8] == [0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0, 5.0]
    assert pauses[8:-1] == [5.0] * 57
    assert pauses[-1] == 300.0
    assert not delivery.ambiguous


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    """Nothing is sent after it."""
    before = tried(ambiguous=True, note="x")
    got = classified(before, Answer(status=status))
    assert got == replace(
        before, state=DeliveryState.DELIVERED, attempts=2, last_status=status, note=""
    )


@pytest.mark.parametrize("body", [FINISHED.body, b'The execution "1" has finished with error.'])
def test_a_workflow_that_is_over_ends_the_delivery(body: bytes) -> None:
    """It is dead; or unconfirmed, where an earlier attempt may have been what resumed it."""
    answer = replace(FINISHED, body=body)
    states = [classified(tried(ambiguous=maybe), answer).state for maybe in (False, True)]
    assert states == [DeliveryState.DEAD, DeliveryState.UNCONFIRMED]


@pytest.mark.parametrize(
    ("answer", "ambiguous"),
    [
        (Silence.TIMED_OUT, True),
        (Silence.CUT, True),
        (Silence.UNREACHABLE, False),
        (Silence.NOT_PUBLIC, False),
        (Answer(status=500), True),
        (Answer(status=503), True),
        (Answer(status=429), False),
        (Answer(status=401), False),
        (RUNNING, False),
        (UNKNOWN, False),
        (STARTING, False),
    ],
)
def test_what_may_have_arrived_is_remembered(answer: Answer | Silence, ambiguous: bool) -> None:
    """Only an attempt whose fate is unknown makes a later "finished" ambiguous."""
    assert classified(owed(), answer).ambiguous is ambiguous
    assert classified(owed(ambiguous=True), answer).ambiguous


@pytest.mark.parametrize("answer", [UNKNOWN, Silence.NOT_PUBLIC])
def test_what_is_unknown_is_asked_for_during_a_minute(answer: Answer | Silence) -> None:
    """The last attempt comes 60 s after the first, and its failure is final, with a hint."""
    delivery, now = owed(), NOW
    while delivery.state is DeliveryState.PENDING:
        now = delivery.next_at
        delivery = classified(delivery, answer, now)
    assert (delivery.state, now, delivery.attempts) == (DeliveryState.DEAD, NOW + 60, 11)
    assert delivery.note.endswith("Given up.")


def test_an_unknown_execution_after_an_outage_is_asked_for_twice() -> None:
    """The first JSON 404 in hours may be a moment's state."""
    late = NOW + 7_200
    once = classified(tried(attempts=15, note=Silence.UNREACHABLE), UNKNOWN, late)
    assert (once.state, once.next_at) == (DeliveryState.PENDING, late + 5)
    assert classified(once, UNKNOWN, late + 5).state is DeliveryState.DEAD


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 405, 410, 413, 422])
def test_a_refusal_gets_one_more_try(status: int) -> None:
    """The second in a row is final, and the note says what to mend."""
    once = classified(owed(), Answer(status=status))
    assert (once.state, once.next_at) == (DeliveryState.PENDING, NOW + 0.1)
    twice = classified(once, Answer(status=status), once.next_at)
    assert (twice.state, twice.attempts) == (DeliveryState.DEAD, 2)
    assert twice.note.startswith(f"{status}: ")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_receiver_in_trouble_is_tried_again_when_it_asks_to(status: int) -> None:
    """Retry-After lengthens a pause, and never shortens one."""
    pauses = [
        classified(owed(), Answer(status=status, retry_after=header)).next_at - NOW
        for header in (None, "0", "30")
    ]
    assert [round(pause, 3) for pause in pauses] == [0.1, 0.1, 30.0]


def test_a_server_that_is_starting_is_tried_until_the_deadline() -> None:
    """A 404 in HTML is no word of the application's."""
    got = classified(tried(), STARTING, NOW + 3_600)
    assert got.state is DeliveryState.PENDING


def test_a_retry_after_beyond_the_deadline_leaves_one_last_attempt() -> None:
    """No receiver can put a delivery off for ever."""
    got = classified(owed(), Answer(status=503, retry_after="999999999"))
    assert got.next_at == NOW + DAY - 1


def test_an_attempt_on_its_way_is_ambiguous() -> None:
    """It is counted before it is sent, so that a crash does not hide it."""
    first = webhooks.begin(owed(), NOW + 1)
    second = webhooks.begin(first, NOW + 2)
    assert first == owed(attempts=1, ambiguous=True, begun=True, first_tried_at=NOW + 1)
    assert second == replace(first, attempts=2)


def test_a_deadline_counts_from_the_first_attempt() -> None:
    """Not from the job's beginning, and not again from the next."""
    first = webhooks.begin(owed(lifetime_s=60.0, deadline=NOW + 60), NOW + 99)
    second = webhooks.begin(first, NOW + 120)
    assert [first.deadline, second.deadline] == [NOW + 159, NOW + 159]


def test_only_what_was_tried_expires() -> None:
    """And only at its deadline is it put off no further."""
    late = NOW + 2 * DAY
    deliveries = (owed(), tried(), tried(deadline=late + 1))
    assert [webhooks.expired(each, late) for each in deliveries] == [False, True, False]
    assert [webhooks.put_off(each, late).next_at for each in deliveries] == [late, NOW + DAY, late]


@pytest.mark.parametrize(
    ("status", "unheard"), [(None, True), (500, False), (502, True), (409, False), (504, True)]
)
def test_silence_is_told_from_a_receiver_s_own_word(status: int | None, unheard: bool) -> None:
    """A proxy's word is none, and what was never tried met none."""
    assert tried(last_status=status).unheard is unheard
    assert not owed(last_status=status).unheard


def test_a_delivery_past_its_deadline_is_given_up() -> None:
    """The note keeps what the last attempt met."""
    got = webhooks.expire(owed(note="503: the receiver could not take it."))
    assert got == owed(
        state=DeliveryState.DEAD, note="503: the receiver could not take it. The deadline passed."
    )


# By hand


@pytest.mark.parametrize("state", [DeliveryState.DEAD, DeliveryState.UNCONFIRMED])
def test_what_was_given_up_can_be_sent_again_under_its_id(state: DeliveryState) -> None:
    """A replay starts the schedule afresh and forgets nothing that may have arrived."""
    given_up = tried(state=state, ambiguous=True, last_status=401, note="x")
    got = webhooks.replay(given_up, NOW + 9, 60)
    assert got == owed(
        attempts=1,
        ambiguous=True,
        next_at=NOW + 9,
        deadline=NOW + 69,
        lifetime_s=60,
        note="Sent again by hand.",
    )


@pytest.mark.parametrize(
    "state", [DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.WAITING]
)
def test_what_arrived_or_is_owed_cannot_be_sent_again(state: DeliveryState) -> None:
    """A second POST after a 2xx would resume another Wait node."""
    with pytest.raises(Conflict):
        webhooks.replay(owed(state=state), NOW, DAY)
