"""An operator as the invocation runs it: each message in a context of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.config import Config
from airless.core.errors import PermanentError
from airless.core.message import Message
from airless.core.outcome import Again, Dead, Done, Outcome
from airless.operators.chain import next_messages
from airless.operators.context import BATCH, CURRENT, Context
from airless.operators.event import BatchOperator, End
from airless.operators.operator import Operator


class OperatorRunner:
    """Runs one operator. A plain ``execute`` runs in one of up to `threads` threads, which closing ends."""

    def __init__(
        self,
        operator: Operator,
        *,
        config: Config | None = None,
        clock: Clock | None = None,
        threads: int = 32,
    ) -> None:
        self.operator = operator
        self.config = config or Config()
        self._clock = clock or SystemClock()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=type(operator).__name__)

    @property
    def input_type(self) -> str:
        return self.operator.input_type

    @property
    def batch_size(self) -> int:
        return self.operator.batch_size if isinstance(self.operator, BatchOperator) else 1

    async def run(self, messages: Sequence[Message]) -> Sequence[Outcome | BaseException]:
        if isinstance(self.operator, BatchOperator):
            return await self._run_many(self.operator, messages)
        context = self.context(messages[0])
        return [await self.run_one(context)]

    def context(self, message: Message) -> Context:
        return Context(message, self.config, self._clock, self._executor)

    async def run_one(self, context: Context) -> Done:
        """Run the operator on a message; its result is left in the context. Raises what it raises."""
        following = next_messages(context.message.data)
        token = CURRENT.set(context)
        try:
            context.result = await self.operator.handle(context.message)
            return self._done(context, following)
        except BaseException:
            context.abandon()
            raise
        finally:
            CURRENT.reset(token)

    async def _run_many(
        self, operator: BatchOperator, messages: Sequence[Message]
    ) -> list[Outcome | BaseException]:
        contexts = [self.context(message) for message in messages]
        token = BATCH.set({id(context.message): context for context in contexts})
        try:
            ends = await contexts[0].call(operator.execute_many, list(messages))
            ends = [None] * len(messages) if ends is None else list(ends)
            if len(ends) != len(messages):
                raise PermanentError(f"execute_many returned {len(ends)} ends for {len(messages)} messages")
            return [self._ended(context, end) for context, end in zip(contexts, ends, strict=True)]
        except BaseException:
            for context in contexts:
                context.abandon()
            raise
        finally:
            BATCH.reset(token)

    def _ended(self, context: Context, end: End) -> Outcome | BaseException:
        if end is None or isinstance(end, Done):
            try:
                done = self._done(context, next_messages(context.message.data))
            except PermanentError as error:
                return error
            return done
        context.abandon()
        if isinstance(end, (Again, Dead, BaseException)):
            return end
        return PermanentError(
            f"execute_many returned {type(end).__name__} for a message; it must be None, Done, Again, Dead "
            "or an exception"
        )

    @staticmethod
    def _done(context: Context, following: Sequence[tuple[str, dict[str, object]]]) -> Done:
        """Success: the ends of the chain are published with what the operator published."""
        for n, (topic, data) in enumerate(() if context.next_held else following):
            context.publish_message(
                context.message.derive(
                    f"next:{n}", context.topic(topic), data, not_before_s=context.due_s(context.next_delay_s)
                )
            )
        return Done(context.end())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go as they end; a plain ``execute`` that still runs can't be stopped."""
        self._executor.shutdown(wait=False, cancel_futures=True)
