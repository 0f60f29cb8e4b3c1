"""A batch with a poisoned message: the others are done, it waits with its error, and comes back when that is mended.

The operator runs as a function: under AWS's runtime client, called by a mapping of the emulated queues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest
from click.testing import CliRunner
from support.emulators import CREDENTIALS
from support.mapping import EventSource
from support.runtime_api import RuntimeApi, function

from airless.cli import cli
from airless.engines.aws.engine import AwsEngine

ORDERS = """
from airless.core.errors import PermanentError
from airless.operators import EventOperator


class Orders(EventOperator):
    def execute(self, data, topic):
        self.put(f"paid/{data['n']}", str(self.price(data)).encode())
"""
BROKEN = """
    def price(self, data):
        if "price" not in data:
            raise PermanentError("it has no price")
        return data["price"]
"""
MENDED = """
    def price(self, data):
        return data.get("price", 10)
"""
POISON = 3


class Shop:
    """An engine of AWS's services, and the folder of an operator's code."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder

    @contextmanager
    def deployed(self, method: str) -> Iterator[RuntimeApi]:
        """The function as it is after a deployment of this code."""
        (self._folder / "shop.py").write_text(ORDERS + method)
        environment = {**CREDENTIALS, "AIRLESS_ENGINE": self.url, "OPERATOR_IMPORT": "shop:Orders"}
        with function(self._folder, environment) as api:
            yield api

    async def airless(self, *words: str, stdin: str | None = None) -> str:
        """What a command says."""

        def run() -> str:
            done = CliRunner().invoke(cli, [*words, "--engine", self.url], input=stdin)
            assert done.exit_code == 0, done.output
            return done.output

        return await asyncio.to_thread(run)

    async def work(self, api: RuntimeApi, least: int) -> list[int]:
        """Call the function with what waits, in batches; how many messages each held."""
        sizes: list[int] = []
        async with AwsEngine.open(self.url) as engine:
            source = EventSource(engine.clients, "orders")
            while await source.left():
                for records in await source.batches():
                    answer = await source.call(api, records, timeout_s=20)
                    assert (answer.error, answer.result) == (None, {"batchItemFailures": []})
                    sizes.append(len(records))
        assert sum(sizes) == least
        return sizes

    async def paid(self) -> dict[str, str]:
        async with AwsEngine.open(self.url) as engine:
            names = [name async for name in engine.objects.list("paid/")]
            return {
                name.removeprefix("paid/"): (await engine.objects.get(name) or b"").decode() for name in names
            }


@pytest.fixture
def shop(ministack_endpoint: str, tmp_path: Path) -> Shop:
    name = f"test-{abs(hash(tmp_path)):x}"
    query = {"bucket": name, "prefix": name, "endpoint": ministack_endpoint, "create": "yes"}
    return Shop(f"aws://us-east-1?{urlencode(query)}", tmp_path)


@pytest.mark.parametrize("keyed", [(), ("--key", "k")], ids=["any order", "in order"])
async def test_poison_ends_with_its_error_and_comes_back_when_the_operator_is_mended(
    shop: Shop, keyed: Sequence[str]
) -> None:
    lines = [{"n": n, "price": n} if n != POISON else {"n": n} for n in range(6)]
    stdin = "".join(orjson.dumps(line).decode() + "\n" for line in lines)
    await shop.airless("send", "orders", "--lines", *keyed, stdin=stdin)
    with shop.deployed(BROKEN) as api:
        sizes = await shop.work(api, 6)
        assert max(sizes) > 1, "no batch had another message beside the poison"
    others = {str(n): str(n) for n in range(6) if n != POISON}
    assert await shop.paid() == others

    dead = await shop.airless("redrive", "orders", "--list")
    assert len(dead.splitlines()) == 1
    assert dead.endswith(": it has no price\n")
    with shop.deployed(MENDED) as api:
        assert await shop.airless("redrive", "orders") == "1 message came back on orders\n"
        await shop.work(api, 1)
    assert await shop.paid() == others | {str(POISON): "10"}
    assert await shop.airless("redrive", "orders", "--list") == "nothing was given up on orders\n"
