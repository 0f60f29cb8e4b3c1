"""An invocation: messages in, work done concurrently, one commit out.

Nothing is acknowledged before its effects are durable: what a message's work publishes and writes is
collected, and goes into the same commit as its acknowledgement. A failure is judged by the retry policy; a
message that is given up is reported on the error topic, and one that fails *there* goes raw into the
terminal sink, which publishes nothing. A queue that keeps dead letters keeps both.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from airless.core.clock import Clock, SystemClock
from airless.core.codec import decode
from airless.core.config import Config
from airless.core.errors import (
    Conflict,
    LeaseLost,
    MessageError,
    OperatorError,
    PermanentError,
    RetryableError,
    UndecodableMessage,
)
from airless.core.failure import error_report, error_text, sink_name
from airless.core.message import Message
from airless.core.outcome import Again, Dead, Done, Effects, Ended, Lost, Outcome, Runner
from airless.core.ports import Commit, DeadLetters, Delivery, Engine, Settlement, StateWrite
from airless.core.retry import Retry, earlier_attempts

_log = logging.getLogger(__name__)

# Brokers that deliver ahead of time are asked again; clocks of two machines differ by less than this.
_EARLY_S = 1.0
_CONFLICT_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about failures. `max_hops` None lets a run's messages cause messages without end."""

    retry: Retry = field(default_factory=Retry)
    error_topic: str = "error"
    max_hops: int | None = 100
    dry_run: bool = False

    @classmethod
    def of(cls, config: Config, retry: Retry | None = None) -> Policy:
        return cls(
            retry=retry or Retry(),
            error_topic=config.topic(config.error_topic),
            max_hops=config.max_hops,
            dry_run=config.dry_run,
        )


class Invocation:
    """Runs an operator on deliveries of an engine. `observe` is told of each message whose end is durable."""

    def __init__(
        self,
        engine: Engine,
        runner: Runner,
        *,
        policy: Policy | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observe: Callable[[Ended], None] | None = None,
    ) -> None:
        self.engine = engine
        self.runner = runner
        self.policy = policy or Policy()
        self.clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._observe = observe
        self._keeps_dead = isinstance(engine.queue, DeadLetters)

    async def run(self, deliveries: Sequence[Delivery]) -> list[Ended]:
        """Run the operator once, on up to its `batch_size` messages; nothing is committed yet."""
        ends: dict[str, Ended] = {}
        ready: list[tuple[Delivery, Message]] = []
        for delivery in deliveries:
            refused = self._receive(delivery)
            if isinstance(refused, Message):
                ready.append((delivery, refused))
            else:
                ends[delivery.receipt] = refused
        if ready:
            started = self.clock.monotonic()
            outcomes = await self._outcomes([message for _, message in ready])
            elapsed_s = self.clock.monotonic() - started
            for (delivery, message), outcome in zip(ready, outcomes, strict=True):
                ends[delivery.receipt] = Ended(delivery, message, self._judge(message, outcome), elapsed_s)
        return [ends[delivery.receipt] for delivery in deliveries]

    def cut_off(self, delivery: Delivery) -> Ended:
        """The end of a message whose work was stopped half-way: a failure that is charged."""
        received = self._receive(delivery)
        if isinstance(received, Ended):
            return received
        error = OperatorError("cut off: the work was not done when the invocation's time was up")
        return Ended(delivery, received, self._judge(received, error))

    async def commit(self, ended: Sequence[Ended]) -> list[Ended]:
        """Make the ends durable, in one commit where nothing is wrong with any of them.

        A message whose lease, state or effects make the engine refuse the commit is committed apart, so that
        it does not hold up the others. Raises EngineError where the engine itself fails; nothing is
        acknowledged then.
        """
        if not ended:
            return []
        try:
            await self.engine.commit(self._commit_of(ended))
            settled = list(ended)
        except (LeaseLost, Conflict, MessageError):
            settled = [await self._commit_alone(end) for end in ended]
        for end in settled:
            self._tell(end)
        return settled

    async def _outcomes(self, messages: Sequence[Message]) -> Sequence[Outcome | BaseException]:
        try:
            outcomes = await self.runner.run(messages)
        except (Exception, SystemExit) as error:  # an operator that exits must not take the worker along
            return [error] * len(messages)
        if len(outcomes) != len(messages):
            wrong = PermanentError(f"{len(outcomes)} outcomes were returned for {len(messages)} messages")
            return [wrong] * len(messages)
        return outcomes

    def _receive(self, delivery: Delivery) -> Message | Ended:
        """The message of a delivery, or its end where it must not be run."""
        try:
            message = decode(delivery.topic, delivery.body, id=delivery.id, attempt=delivery.attempt)
        except UndecodableMessage as error:
            return Ended(delivery, None, self._dead(delivery.topic, error_text(error)))
        retry, hops = self.policy.retry, self.policy.max_hops
        if message.not_before_s > self.clock.now() + _EARLY_S:
            wait_s = message.not_before_s - self.clock.now()
            return Ended(delivery, message, Again(wait_s, charge=False, reason="not due yet"))
        if hops is not None and message.hops > hops:
            text = (
                f"the message is {message.hops} publishes away from its run's first, over the limit of {hops}"
            )
            return Ended(
                delivery, message, self._dead(message.topic, f"{text}: do operators publish in a circle?")
            )
        if message.attempt >= max(retry.max_deliveries, retry.max_attempts):
            text = f"handed out {message.attempt} times without coming to an end: it may kill its consumers"
            return Ended(delivery, message, self._dead(message.topic, text))
        return message

    def _judge(self, message: Message, outcome: Outcome | BaseException) -> Outcome:
        """What an outcome means: failures, and waits that are charged, are limited by the retry policy."""
        if isinstance(outcome, (Done, Lost)) or (isinstance(outcome, Again) and not outcome.charge):
            return outcome
        if isinstance(outcome, Dead):
            return self._dead(message.topic, outcome.error)
        metadata = message.data.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        retry = self.policy.retry.of(metadata)
        attempt = earlier_attempts(message.attempt, metadata)
        spent = attempt + 1 >= retry.max_attempts
        if isinstance(outcome, Again):
            if not spent:
                return outcome
            return self._dead(
                message.topic, f"given up after {attempt + 1} tries: {outcome.reason or 'put off'}"
            )
        if spent or isinstance(outcome, (PermanentError, MessageError)):
            return self._dead(message.topic, error_text(outcome))
        after_s = outcome.after_s if isinstance(outcome, RetryableError) else None
        wait_s = max(retry.wait_s(attempt, self._rng), after_s or 0.0)
        return Again(wait_s, reason=f"{type(outcome).__name__}: {outcome}")

    def _dead(self, topic: str, error: str) -> Dead:
        return Dead(error, publish=topic != self.policy.error_topic and not self.policy.dry_run)

    def _commit_of(self, ended: Sequence[Ended]) -> Commit:
        """One commit that holds the effects and the settlement of each end."""
        put: dict[str, bytes] = {}
        publish: list[Message] = []
        state: list[StateWrite] = []
        delete: list[str] = []
        settle: list[Settlement] = []
        for end in ended:
            effects = self._effects(end)
            put.update(effects.put)
            publish.extend(effects.publish)
            state.extend(effects.state)
            delete.extend(effects.delete)
            if isinstance(end.outcome, Again):
                again = end.outcome
                settle.append(Settlement.retry(end.delivery, again.delay_s, charge=again.charge))
            elif isinstance(end.outcome, Dead) and self._keeps_dead:
                settle.append(Settlement.given_up(end.delivery, end.outcome.error))
            else:
                settle.append(Settlement.done(end.delivery))
        return Commit(put=put, state=state, publish=publish, settle=settle, delete=delete)

    def _effects(self, end: Ended) -> Effects:
        if isinstance(end.outcome, Done):
            return self._logged(end, end.outcome.effects) if self.policy.dry_run else end.outcome.effects
        if not isinstance(end.outcome, Dead):
            return Effects()
        if not end.outcome.publish:
            if self._keeps_dead:
                return Effects()
            return Effects(put={sink_name(end.delivery.topic, end.delivery.id): end.delivery.body})
        raw = end.delivery.body if end.message is None else None
        message = end.message or Message(
            end.delivery.topic, {}, end.delivery.id, attempt=end.delivery.attempt
        )
        report = error_report(
            message, end.outcome.error, input_type=self.runner.input_type, now_s=self.clock.now(), raw=raw
        )
        return Effects(publish=(message.derive("error", self.policy.error_topic, report),))

    def _logged(self, end: Ended, effects: Effects) -> Effects:
        for message in effects.publish:
            _log.info("dry run: %s would publish on %s: %s", end.delivery.id, message.topic, message.data)
        for name in (*effects.put, *(write.key for write in effects.state), *effects.delete):
            _log.info("dry run: %s would write %s", end.delivery.id, name)
        return Effects()

    async def _commit_alone(self, end: Ended) -> Ended:
        """Commit one message; what the engine refuses falls back to a report, and that to the sink."""
        while True:
            try:
                await self.engine.commit(self._commit_of([end]))
            except LeaseLost:
                return replace(end, outcome=Lost())
            except Conflict as error:
                if not isinstance(end.outcome, Done):
                    raise
                wait_s = self._rng.uniform(0.0, _CONFLICT_WAIT_S)
                end = replace(end, outcome=Again(wait_s, charge=False, reason=str(error)))
            except MessageError as error:
                if isinstance(end.outcome, Again) or (
                    isinstance(end.outcome, Dead) and not end.outcome.publish
                ):
                    raise
                if isinstance(end.outcome, Dead):
                    end = replace(
                        end, outcome=Dead(f"{end.outcome.error}\n(not reported: {error})", publish=False)
                    )
                else:
                    end = replace(end, outcome=self._dead(end.delivery.topic, error_text(error)))
            else:
                return end

    def _tell(self, end: Ended) -> None:
        topic, id, outcome = end.delivery.topic, end.delivery.id, end.outcome
        bound = {"topic": topic, "message_id": id}
        if isinstance(outcome, Again) and outcome.charge:
            _log.warning(
                "%s on %s: again in %.1f s: %s", id, topic, outcome.delay_s, outcome.reason, extra=bound
            )
        elif isinstance(outcome, Dead):
            sink = "the dead letters" if self._keeps_dead else sink_name(topic, id)
            place = self.policy.error_topic if outcome.publish else sink
            _log.error("%s on %s: given up, kept on %s: %s", id, topic, place, outcome.error, extra=bound)
        elif isinstance(outcome, Lost):
            _log.warning("%s on %s: its lease was lost, another consumer has it", id, topic, extra=bound)
        if self._observe is not None:
            self._observe(end)
