"""One HTTP/2 connection: many requests at once, each with an exchange that its answer is fed to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import InvalidBodyLengthError
from h2.exceptions import ProtocolError as H2Error
from h2.settings import SettingCodes, Settings

from airless.crawl.errors import ConnectError, FetchError, ProtocolError
from airless.crawl.http.http2.exchange import Again, Exchange
from airless.crawl.http.http2.frames import GOAWAY, Frame, Frames, GoAway

KEPT_S = 30.0

_WINDOW_BYTES = 1024 * 1024
_HEAD_BYTES = 64 * 1024
# What may come without a head or a byte of body: pings, settings, padding, endless heads.
_FRAMING_BYTES = 256 * 1024
_LAST_STREAM = 2**30


class Connection(asyncio.Protocol):
    """The client's end of RFC 9113 on one transport, from `secured` on; `tcp` is what lies below TLS.

    `ready` says whether another request can be sent at all, `has_room` whether the server takes one now.
    `lost` is called once, when the connection is gone. Hangs up by itself after half a minute without a
    request.
    """

    def __init__(self, address: str, sock: socket.socket, lost: Callable[[Connection], None]) -> None:
        self.address = address
        self.sock = sock
        self.tcp: asyncio.Transport | None = None
        self.gone = False
        self.ready = True
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._answered = False
        self._over = False
        self._framing_bytes = 0
        self._frames = Frames()
        self._used_s = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._room: asyncio.Future[None] | None = None
        # What a field has to be is looked at there, so that one odd answer doesn't end all the others.
        config = H2Configuration(validate_inbound_headers=False, normalize_inbound_headers=False)
        self._h2 = H2Connection(config)
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: _HEAD_BYTES,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW_BYTES)

    @property
    def idle(self) -> bool:
        return not self._exchanges

    @property
    def has_room(self) -> bool:
        """Whether the server takes one more request at once (RFC 9113 §5.1.2)."""
        return len(self._exchanges) < self._h2.remote_settings.max_concurrent_streams

    async def room(self) -> None:
        """Comes back when there may be room, or the connection can't be used any more."""
        if self._room is None:
            self._room = self._loop.create_future()
        await asyncio.shield(self._room)

    def secured(self, transport: asyncio.Transport) -> None:
        """TLS is up, and HTTP/2 was chosen."""
        self._transport = transport
        if self._over:
            transport.abort()
            return
        self._flush()
        self._watch = self._loop.call_later(KEPT_S, self._look)

    def ask(self, exchange: Exchange, fields: Iterable[tuple[bytes, bytes]]) -> int:
        """Send a request on a connection that is ready and has room; the number is for `leave`."""
        stream_id = self._h2.get_next_available_stream_id()
        self._exchanges[stream_id] = exchange
        if stream_id >= _LAST_STREAM:
            self._retire()
        try:
            self._h2.send_headers(stream_id, fields, end_stream=not exchange.sending)
            self._send(stream_id, exchange)
        except H2Error as error:
            self._break(error)
        self._flush()
        return stream_id

    def leave(self, stream_id: int) -> None:
        """Whoever asked is gone: the server need not go on, if it still does."""
        if stream_id in self._exchanges:
            self._close(stream_id, ErrorCodes.CANCEL)
            self._flush()

    def abort(self) -> None:
        """Hang up now."""
        self._over = True
        self._retire()
        if self._transport is not None:
            self._transport.abort()

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.tcp = cast(asyncio.Transport, transport)
        # What a server says before TLS is for TLS to judge.
        self.tcp.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._framing_bytes += len(data)
        try:
            for frame in self._frames.feed(data):
                if self._over:
                    break
                self._received(frame)
        except (H2Error, ValueError) as error:
            self._break(error)
        if self._framing_bytes > _FRAMING_BYTES:
            self._break(ValueError("too much without a head or a byte of body"))
        self._flush()
        if not self.ready and not self._exchanges:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._retire()
        if self._watch is not None:
            self._watch.cancel()
        for exchange in self._taken():
            if exchange.begun:
                error: FetchError = exchange.cut_short()
            else:
                error = ConnectError(f"{exchange.what}: the connection was closed before an answer")
            error.__cause__ = exc or EOFError("the server closed the connection")
            # A kept connection may have been closed before the request came to the server.
            again = Again.IDEMPOTENT if self._answered and not exchange.begun else Again.NO
            exchange.fail(error, again)
        self._lost(self)

    def _received(self, frame: Frame) -> None:
        if frame.kind == GOAWAY:
            self._goes_away(GoAway.read(frame))
            return
        try:
            events = self._h2.receive_data(frame.whole)
        except H2Error as error:
            # The library ends the connection over it, but it is one page's fault, if it has a stream.
            exchange = self._exchanges.pop(frame.stream_id, None)
            if exchange is None:
                raise
            if isinstance(error, InvalidBodyLengthError):
                exchange.miscounted(error.expected_length, error.actual_length)
            else:
                exchange.fail(_invalid(exchange, error))
            self._give_up()
            return
        for event in events:
            self._happened(event)

    def _happened(self, event: Event) -> None:
        if isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for stream_id, exchange in list(self._exchanges.items()):
                self._send(stream_id, exchange)
            self._make_room()
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.data:
                self._framing_bytes = 0
            self._tell(event.stream_id, lambda exchange: exchange.feed(event.data))
        elif isinstance(event, ResponseReceived):
            self._framing_bytes = 0
            self._tell(event.stream_id, lambda exchange: exchange.head(event.headers))
        elif isinstance(event, StreamEnded):
            self._answered = True
            self._tell(event.stream_id, Exchange.end)
            # A server may answer before it has read what is sent to it.
            self._close(event.stream_id, ErrorCodes.NO_ERROR)
        elif isinstance(event, StreamReset):
            self._was_reset(event)

    def _tell(self, stream_id: int, told: Callable[[Exchange], None]) -> None:
        exchange = self._exchanges.get(stream_id)
        if exchange is None:
            return
        try:
            told(exchange)
        except FetchError as error:
            exchange.fail(error)
            self._close(stream_id, ErrorCodes.CANCEL)

    def _was_reset(self, event: StreamReset) -> None:
        exchange = self._exchanges.pop(event.stream_id, None)
        if exchange is None:
            return
        name = _name(event.error_code)
        if exchange.begun:
            exchange.fail(exchange.cut_short())
        elif event.error_code == ErrorCodes.PROTOCOL_ERROR:
            exchange.fail(ProtocolError(f"{exchange.what}: the server refused the request with {name}"))
        else:
            error = ConnectError(f"{exchange.what}: the server gave the request up with {name}")
            exchange.fail(error, _AFTER_RESET.get(event.error_code, Again.NO))
        self._make_room()

    def _goes_away(self, notice: GoAway) -> None:
        self._retire()
        # Whoever is told to calm down doesn't come back at once.
        again = Again.NO if notice.code == ErrorCodes.ENHANCE_YOUR_CALM else Again.ANY
        for stream_id in [number for number in self._exchanges if number > notice.last_stream_id]:
            exchange = self._exchanges.pop(stream_id)
            said = f"the server went away with {_name(notice.code)}"
            exchange.fail(ConnectError(f"{exchange.what}: {said} before the request"), again)

    def _give_up(self) -> None:
        """The connection can't go on; those that still wait have no part in it."""
        for exchange in self._taken():
            if exchange.begun:
                exchange.fail(exchange.cut_short())
            else:
                reason = "the connection was given up over another answer"
                exchange.fail(ConnectError(f"{exchange.what}: {reason}"), Again.IDEMPOTENT)
        self._flush()
        self.abort()

    def _send(self, stream_id: int, exchange: Exchange) -> None:
        """As much of a request's body as the server takes now."""
        while exchange.sending:
            window = self._h2.local_flow_control_window(stream_id)
            piece = exchange.sending[: max(0, min(window, self._h2.max_outbound_frame_size))]
            if not piece:
                return
            exchange.sending = exchange.sending[len(piece) :]
            self._h2.send_data(stream_id, bytes(piece), end_stream=not exchange.sending)

    def _close(self, stream_id: int, code: ErrorCodes) -> None:
        """The exchange is over; the stream too, if it isn't yet."""
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is None:
            return
        if code != ErrorCodes.NO_ERROR or exchange.sending:
            self._h2.reset_stream(stream_id, code)
        self._used_s = self._loop.time()
        self._make_room()

    def _break(self, error: Exception) -> None:
        """The connection can't go on, and nobody knows whose fault it is."""
        for exchange in self._taken():
            again = Again.IDEMPOTENT if self._answered and not exchange.begun else Again.NO
            exchange.fail(_invalid(exchange, error), again)
        self._flush()
        self.abort()

    def _taken(self) -> list[Exchange]:
        exchanges = list(self._exchanges.values())
        self._exchanges.clear()
        return exchanges

    def _retire(self) -> None:
        self.ready = False
        self._make_room()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set_result(None)

    def _flush(self) -> None:
        if self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def _look(self) -> None:
        kept_s = self._loop.time() - self._used_s
        if self.idle and kept_s >= KEPT_S:
            self.abort()
            return
        rest_s = KEPT_S if not self.idle else KEPT_S - kept_s
        self._watch = self._loop.call_later(rest_s, self._look)


# RFC 9113 §7: the server says that it didn't look at the request, or that it wants another protocol.
_AFTER_RESET: dict[ErrorCodes | int, Again] = {
    ErrorCodes.REFUSED_STREAM: Again.ANY,
    ErrorCodes.HTTP_1_1_REQUIRED: Again.HTTP_1_1,
}


def _invalid(exchange: Exchange, error: Exception) -> ProtocolError:
    reason = " ".join(str(error).split())[:200]
    invalid = ProtocolError(f"{exchange.what}: what is spoken is no valid HTTP/2: {reason}")
    invalid.__cause__ = error
    return invalid


def _name(code: ErrorCodes | int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"the code {code}"
