"""Which addresses may be connected to: the global ones, and those of hosts that a seed names.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), RFC 4291 §2.4
(multicast, global unicast is 2000::/3), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 §4 (Teredo).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from airless.core.errors import ConfigError
from airless.crawl.errors import AddressRefused

IPAddress = IPv4Address | IPv6Address
Lookup = Callable[[str], Awaitable[Sequence[str]]]

_LOOKUPS_AT_ONCE = 16

_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private use
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and limited broadcast
    )
)
_GLOBAL_IN_SPECIAL_V4 = frozenset({IPv4Address("192.0.0.9"), IPv4Address("192.0.0.10")})

_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_GLOBAL_IN_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001:1::1/128",  # port control anycast
        "2001:1::2/128",  # TURN anycast
        "2001:1::3/128",  # DNS-SD registration anycast
        "2001:3::/32",  # AMT
        "2001:4:112::/48",  # AS112
        "2001:20::/28",  # ORCHIDv2
        "2001:30::/28",  # drone remote identification
    )
)
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")

# Services that hand credentials to whoever asks from inside a cloud. Some have public or shared addresses.
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address leads to."""
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64 or address in _COMPATIBLE:
        return (low,)
    if address in _SIX_TO_FOUR:
        return (IPv4Address((int(address) >> 80) & 0xFFFFFFFF),)
    if address in _TEREDO:
        server = IPv4Address((int(address) >> 64) & 0xFFFFFFFF)
        return server, IPv4Address(int(low) ^ 0xFFFFFFFF)
    return ()


def is_global(address: IPAddress) -> bool:
    """Whether anybody on the Internet could reach the address: unicast, and in no special-purpose range.

    IPv4-mapped and IPv4-compatible forms never are; NAT64, 6to4 and Teredo are as far as what they embed is.
    """
    if isinstance(address, IPv4Address):
        return address in _GLOBAL_IN_SPECIAL_V4 or not any(address in network for network in _SPECIAL_V4)
    if address in _NAT64 or address in _SIX_TO_FOUR or address in _TEREDO:
        return all(is_global(inner) for inner in _embedded(address))
    if address not in _GLOBAL_UNICAST_V6:
        return False
    if any(address in network for network in _GLOBAL_IN_SPECIAL_V6):
        return True
    return not any(address in network for network in _SPECIAL_V6)


def is_metadata(address: IPAddress) -> bool:
    """Whether the address, or one embedded in it, is that of a cloud's metadata service."""
    if address in _METADATA:
        return True
    return isinstance(address, IPv6Address) and any(inner in _METADATA for inner in _embedded(address))


def literal(host: str) -> IPAddress | None:
    """The address that a URL's host is, or None where it is a name."""
    # Asked for each request, and most hosts are names: an exception costs more than a look at the end.
    if not host[-1:].isdigit() and ":" not in host:
        return None
    try:
        return _parsed(host)
    except ValueError:
        return None


def _parsed(address: str) -> IPAddress:
    parsed = ip_address(address.strip("[]"))
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return IPv6Address(int(parsed))
    return parsed


def _normal(host: str) -> str:
    address = literal(host)
    return str(address) if address is not None else host.rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Says whether a connection for `host` may go to `address`.

    `allow_private` lets everything pass. `allowed_hosts` (names or address literals that seeds name) may have
    addresses that are not global; a metadata service is let through only if the host is that address,
    literally.
    """

    allow_private: bool = False
    allowed_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed_hosts", frozenset(_normal(host) for host in self.allowed_hosts))

    def check(self, host: str, address: str) -> None:
        """Raises AddressRefused where `address`, in its text form, is not to be connected to for `host`."""
        if self.allow_private:
            return
        try:
            parsed = _parsed(address)
        except ValueError as error:
            raise AddressRefused(f"{host}: {address!r} is no IP address") from error
        name = _normal(host)
        if is_metadata(parsed):
            if name in self.allowed_hosts and name == str(parsed):
                return
            raise AddressRefused(f"{host}: {address} is a cloud's metadata service")
        if name not in self.allowed_hosts and not is_global(parsed):
            raise AddressRefused(
                f"{host}: {address} is not global; name the host in a seed, or allow private addresses"
            )

    def allowing(self, host: str) -> AddressGuard:
        """This guard with one more allowed host."""
        return replace(self, allowed_hosts=self.allowed_hosts | {host})


def system_lookup(pinned: Mapping[str, str]) -> Lookup:
    """How names become addresses: the `pinned` ones as given, others by the system's resolver.

    The lookup raises OSError where a name has no address. Raises ConfigError where a pinned value is no
    address.
    """
    for host, address in pinned.items():
        if literal(address) is None:
            raise ConfigError(f"resolve: {host!r} must be mapped to an IP address, not to {address!r}")
    known = {_normal(host): str(literal(address)) for host, address in pinned.items()}

    # The loop's own threads are few, and what writes the output would have to wait behind slow names.
    threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="airless-dns")

    async def lookup(host: str) -> Sequence[str]:
        address = known.get(_normal(host))
        if address is not None:
            return (address,)
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            )
        except UnicodeError as error:
            # Labels that are empty or over 63 octets fail in the codec, before any resolver sees them.
            raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name") from error
        return tuple(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))

    return lookup


async def private_seed_hosts(hosts: Iterable[str], lookup: Lookup) -> frozenset[str]:
    """Those of the seeds' hosts that have no global address at all: who named them meant a private host.

    Looked up once, when a crawl starts, so a public name that is pointed elsewhere later gains nothing. Names
    that can't be looked up are left out.
    """
    slots = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def private(host: str) -> bool:
        address = literal(host)
        if address is not None:
            return not is_global(address) or is_metadata(address)
        async with slots:
            try:
                addresses = await lookup(host)
            except OSError:
                return False
        return bool(addresses) and not any(is_global(_parsed(found)) for found in addresses)

    wanted = list(dict.fromkeys(_normal(host) for host in hosts))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(private(host)) for host in wanted]
    return frozenset(host for host, task in zip(wanted, tasks, strict=True) if task.result())
