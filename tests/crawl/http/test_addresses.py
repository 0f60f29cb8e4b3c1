"""Which addresses may be connected to (IANA special-purpose registries), and by which host names."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from airless.core.errors import ConfigError
from airless.crawl.errors import AddressRefused
from airless.crawl.http import AddressGuard, private_seed_hosts, system_lookup
from airless.crawl.http.addresses import is_global, is_metadata

SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:0a00:0001::1",
    "2002:7f00:0001::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]

GLOBAL = [
    "1.1.1.1",
    "9.255.255.255",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "192.0.0.9",
    "192.0.0.10",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "198.20.0.1",
    "223.255.255.255",
    "64:ff9b::8.8.8.8",
    "2001:1::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:20::1",
    "2001:4860:4860::8888",
    "2002:0808:0808::1",
    "2620:4f:8000::1",
    "2a00:1450::1",
]

METADATA = ["169.254.169.254", "169.254.170.2", "168.63.129.16", "fd00:ec2::254"]


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_of_a_special_purpose_range_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match="not global"):
        AddressGuard().check("example.com", address)


@pytest.mark.parametrize("address", GLOBAL)
def test_a_global_address_passes(address: str) -> None:
    AddressGuard().check("example.com", address)
    assert is_global(ip_address(address))


def test_teredo_is_as_global_as_its_server_and_its_client() -> None:
    # RFC 4380 §4: the server stands in bits 32 to 63, the client's complement in the last 32.
    client = (~int(ip_address("8.8.4.4"))) & 0xFFFFFFFF
    private = (~int(ip_address("192.168.1.1"))) & 0xFFFFFFFF
    prefix = (0x20010000 << 96) | (int(ip_address("8.8.8.8")) << 64)
    assert is_global(ip_address(prefix | client))
    assert not is_global(ip_address(prefix | private))


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_is_refused_even_for_an_allowed_host(address: str) -> None:
    with pytest.raises(AddressRefused, match="metadata"):
        AddressGuard().check("example.com", address)
    with pytest.raises(AddressRefused, match="metadata"):
        AddressGuard(allowed_hosts=frozenset({"intranet.test"})).check("intranet.test", address)


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_service_that_a_seed_names_by_its_address_is_let_through(address: str) -> None:
    AddressGuard(allowed_hosts=frozenset({address})).check(address, address)
    AddressGuard(allow_private=True).check("example.com", address)


@pytest.mark.parametrize("address", ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"])
def test_a_metadata_service_is_seen_inside_an_ipv6_address(address: str) -> None:
    assert is_metadata(ip_address(address))
    with pytest.raises(AddressRefused, match="metadata"):
        AddressGuard(allowed_hosts=frozenset({"a.test"})).check("a.test", address)


def test_a_named_private_host_allows_that_host_alone() -> None:
    guard = AddressGuard(allowed_hosts=frozenset({"Intranet.TEST.", "[::1]"}))
    guard.check("intranet.test", "10.0.0.1")
    guard.check("INTRANET.test.", "::ffff:10.0.0.1")
    guard.check("[0:0:0:0:0:0:0:1]", "::1")
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        guard.check("other.test", "10.0.0.1")
    with pytest.raises(AddressRefused):
        guard.check("sub.intranet.test", "10.0.0.1")
    guard.allowing("other.test").check("other.test", "10.0.0.1")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(AddressRefused, match="no IP address"):
        AddressGuard().check("example.com", "")


async def test_seeds_that_are_private_through_and_through_are_found() -> None:
    known = {
        "intranet.test": ["10.0.0.1", "fd00::1"],
        "split.test": ["10.0.0.1", "1.1.1.1"],
        "public.test": ["1.1.1.1"],
        "empty.test": [],
    }

    async def lookup(host: str) -> Sequence[str]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return known[host]

    seeds = [*known, "missing.test", "127.0.0.1", "8.8.8.8", "[::1]", "Intranet.test"]
    assert await private_seed_hosts(seeds, lookup) == {"intranet.test", "127.0.0.1", "::1"}


async def test_a_pinned_name_is_not_looked_up() -> None:
    lookup = system_lookup({"Shop.TEST": "192.0.2.7"})
    assert await lookup("shop.test.") == ("192.0.2.7",)
    assert "127.0.0.1" in await lookup("localhost")


def test_a_name_pinned_to_another_name_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="IP address"):
        system_lookup({"shop.test": "other.test"})


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test"])
async def test_a_name_that_no_resolver_takes_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match=host):
        await system_lookup({})(host)
