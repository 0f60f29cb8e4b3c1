from collections.abc import Callable, Mapping
from types import MemberDescriptorType
from typing import Any, Self, SupportsIndex, TypeVar, final

from airless.crawl.errors import FetchError
from airless.crawl.request import Request

_Record = TypeVar("_Record")
_Site = TypeVar("_Site")

@final
class Page:
    """What one pass over a page found, as lexbor's tree would show it. Decoded when it is asked for."""

    @property
    def title(self) -> str | None:
        """The title, white space collapsed, or None."""
    @property
    def base(self) -> str | None:
        """The href of the first base that has one, or None."""
    @property
    def canonical(self) -> str | None:
        """The first of `canonicals`, or None."""
    @property
    def canonicals(self) -> list[str]:
        """The hrefs, none empty, of the head's links rel=canonical: the first that can be resolved counts."""
    @property
    def metas(self) -> list[tuple[str, str]]:
        """Name and content of each meta that has both."""
    @property
    def refresh(self) -> str | None:
        """The content of the first meta refresh, or None."""
    @property
    def links(self) -> int:
        """How many references the page holds, each counted."""
    def hrefs(self) -> list[str]:
        """The references as they are written, in the page's order."""
    def new_urls(
        self,
        base_url: str,
        spellings: Spellings,
        sites: Mapping[str, _Site | None],
        seen: Seen,
        /,
        sort_query: bool,
        twist: int,
        *,
        offered: int = 0,
        known: tuple[Seen, ...] | None = None,
    ) -> tuple[list[tuple[str, int, _Site]], list[str], bytes]:
        """What the page's references come to that was not offered to `spellings` before, and is not known.

        First the canonical URLs, each once, with their fingerprints as of a GET and what `sites` gives for
        what stands before their path; with `sort_query` two that differ in the order of their query's pairs
        count as one. Then the odd references, as they are written, that need the URL library. What is no
        http(s) URL is dropped. Where `sites` gives None the URL's fingerprint, with the bits of `twist` turned
        over, is added to `seen`, unless that holds it either way: the marks added come last, packed.
        Of those with a site none is given whose fingerprint is in `seen` or in one of the two at most in `known`,
        as it is or, where `offered` is not 0, with the bits of that turned over.
        `base_url` is canonical. Raises ValueError where it isn't http(s), and what `sites` raises.
        """

@final
class Spellings:
    """What was offered lately: at most twice `limit` hashes, rounded up to a power of two.

    They stand in buckets of eight. Of the last `limit` a few are forgotten, whose bucket took more than its share.
    A collision of two 64-bit hashes, which hides a URL, is met once in some 10**13 offers at a limit of a
    million. Raises ValueError for a limit below 1.
    """

    def __new__(cls, limit: SupportsIndex) -> Spellings: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Bytes of its tables."""

class Line:
    """One HTTP/1.1 connection of a client, as asyncio.BufferedProtocol has it (RFC 9112).

    Reads go to `buffer`; what is sent goes to the socket of that `descriptor`, unless it is negative, or to `write`.
    An answer whose body is counted by a Content-Length, to a request without a body, is taken
    here if nothing about it is odd. Of what is anything else `parse` is told, of bytes that nobody waits for `abort`:
    these are methods of the class that extends this one.
    """

    told: Callable[[Any, FetchError | None], None] | None
    """Who waits for the answer: called with the line and None when a plain one is complete.

    A list gets the line put into it instead, and is told that it is `due` if it was empty.
    """
    ready: bool
    """Whether a request can be sent: not while one is under way, nor after bytes that belong to no answer."""
    reused: bool
    """Whether a plain answer was taken; whoever parses says it too."""
    parsed: bool
    """False when a request is sent; the rest is whoever parses's."""
    request: Request
    """The one that is under way, or was the last."""
    @property
    def limit_bytes(self) -> int:
        """How many the answer's body may have, decoded."""
    @property
    def plain(self) -> bool:
        """Whether the answer to the last request is taken here."""
    def __init__(self, buffer: memoryview, descriptor: int, outbox: list[Any]) -> None: ...
    def ask(
        self,
        head: bytes,
        request: Request,
        limit_bytes: int,
        plain: bool,
        told: Callable[[Any, FetchError | None], None],
        /,
    ) -> None:
        """Put the line into the outbox, and tell that it is `due` if it was empty: then `send` is to be called.

        An answer longer than the limit, or to a request that isn't `plain`, is `parse`'s.
        """
    def send(self) -> None:
        """Send what was asked, unless nobody waits for the answer any more."""
    def take(self) -> tuple[int, bytes, bytes, bool] | None:
        """Status, fields and body of the plain answer that is complete, and whether the body has a content coding.

        The fields are as `airless.crawl.headers.Headers.from_wire` takes them. Once; then None.
        """
    def get_buffer(self, sizehint: int, /) -> memoryview: ...
    def buffer_updated(self, nbytes: int, /) -> None: ...
    def readable(self) -> None:
        """Read from the socket once, without waiting, in place of the transport. Not on Windows.

        `hung_up` is told of its end, with 0 or the errno.
        """
    def parse(self, nbytes: int, /) -> None: ...
    def hung_up(self, code: int, /) -> None: ...
    def write(self, data: bytes, /) -> None: ...
    def abort(self) -> None: ...

@final
class Seen:
    """A set of integers below 2**64, at most 15 bytes each once there are many.

    Raises OverflowError for other integers.
    """

    def __new__(cls) -> Seen: ...
    def __len__(self) -> int: ...
    def __contains__(self, fingerprint: int, /) -> bool: ...
    def add(self, fingerprint: int, /) -> bool:
        """True if it was not there before."""
    def update(self, packed: bytes | bytearray | memoryview, /) -> int:
        """Adds packed fingerprints, eight bytes each, little-endian; how many were new.

        Raises ValueError where the length is no multiple of eight.
        """
    def pack(self) -> bytes:
        """All of them, eight bytes each, little-endian, in no order."""
    @property
    def nbytes(self) -> int:
        """Bytes of its tables."""

class Fields:
    """Header fields in wire form: `airless.crawl.fields.Fields`, whose `_find` a subclass has."""

    _known: list[tuple[str, str]] | None
    _wire: bytes | None

    @classmethod
    def from_wire(cls, fields: bytes, /) -> Self: ...
    def get(self, name: str, /, default: object = None) -> object: ...

def scan(
    body: bytes, /, frames: bool = False, images: bool = False, next: bool = True, refresh: bool = True
) -> Page | None:
    """What a page in UTF-8 without a byte order mark holds; None where only the DOM can tell.

    What is no UTF-8 reads as U+FFFD, as in the page's text.
    The options are those of `airless.crawl.settings.Links`. Source: HTML standard §13.2.5.
    """

def fingerprint(key: str | bytes, /) -> int:
    """BLAKE2b-64 (RFC 7693) of a key, read as big-endian: `airless.crawl.urls.fingerprint` of a GET."""

def maker(
    type: type[_Record], slots: tuple[MemberDescriptorType, ...], values: tuple[object, ...], /
) -> Callable[..., _Record]:
    """A function that makes records of a class from the values of its first slots, without `__init__`.

    The last slots get `values`, where an empty list stands for a new one. Raises TypeError for what are no slots.
    """

def request_head(url: str, cut: int, rest: bytes, /) -> bytes | None:
    """The head of a GET (RFC 9112 §3) for what follows the first `cut` characters of a URL; `rest` follows the target.

    None where that isn't printable ASCII, or has a fragment: then it can't be sent as it is.
    """

api: int
"""Goes up with each change to what is offered here: another one's build is not used."""
