"""What a class declares is what its deployment gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploying import written

from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.crawl.spider import Spider
from airless.deploy.declared import BucketUse, Schedule, declared, load
from airless.operators import BatchOperator, ErrorOperator, EventOperator, HttpOperator


class SendMailOperator(EventOperator):
    topics = ("sent", "send-mail")
    buckets = ("landing", "landing/raw/:write")
    secrets = ("smtp/key",)
    schedules = {"0 6 * * *": {"to": "ada"}}  # noqa: RUF012 - as users write it

    def execute(self, data: dict[str, object], topic: str) -> None: ...


class Many(BatchOperator):
    batch_size = 500

    def execute_many(self, messages: object) -> None: ...


class Answer(HttpOperator):
    def execute(self, request: object) -> None: ...


class BookShop(Spider):
    secrets = ("shop/login",)


def test_an_operators_own_topic_comes_from_its_name_and_is_none_that_it_sends_to() -> None:
    found = declared(SendMailOperator, Config())
    assert (found.kind, found.name, found.topic) == ("event", "send-mail", "send-mail")
    assert found.publishes == ("error", "sent")
    assert found.buckets == (BucketUse("landing"), BucketUse("landing", "raw", write=True))
    assert found.secrets == ("smtp/key",)
    assert found.schedules == (Schedule("cron(0 6 * * ? *)", {"to": "ada"}),)


def test_topics_are_named_as_on_the_engine() -> None:
    found = declared(SendMailOperator, Config(env="prod"), publishes=["extra"])
    assert found.topic == "prod-send-mail"
    assert found.publishes == ("prod-error", "prod-extra", "prod-sent")


def test_the_error_operator_publishes_its_notices() -> None:
    config = Config(email_topic="email", slack_topic="slack")
    found = declared(ErrorOperator, config)
    assert found.topic == "error"
    assert found.publishes == ("email", "slack")


def test_a_batch_operator_gets_its_batches_and_an_http_operator_no_queue() -> None:
    assert declared(Many, Config()).batch_size == 500
    assert declared(Answer, Config()).topic is None


def test_a_spider_takes_the_frontier_and_nothing_else() -> None:
    found = declared(BookShop, Config())
    assert (found.kind, found.name, found.topic, found.publishes) == ("crawl", "book-shop", "frontier", ())
    assert found.secrets == ("shop/login",)
    for words in ({"topic": "books"}, {"publishes": ["books"]}):
        with pytest.raises(ConfigError, match="no topics but those of its crawls"):
            declared(BookShop, Config(), **words)


def test_a_schedule_of_a_spider_calls_for_its_crawls() -> None:
    found = declared(BookShop, Config(), schedules=['30 * * * * {"seeds": ["http://books.test/"]}'])
    target = f"{BookShop.__module__}:BookShop"
    call = {"spider": target, "seeds": ["http://books.test/"]}
    assert found.schedules == (Schedule("cron(30 * * * ? *)", call),)


@pytest.mark.parametrize(("data", "what"), [("", "names no start_urls"), ('{"limit": 5}', "has no 'limit'")])
def test_a_schedule_that_could_begin_no_crawl_is_refused(data: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        declared(BookShop, Config(), schedules=[f"30 * * * * {data}"])


def test_a_schedule_may_bring_data() -> None:
    schedule = Schedule.parse('0 6 * * * {"day": {"of": 1}}')
    assert schedule == Schedule("cron(0 6 * * ? *)", {"day": {"of": 1}})
    with pytest.raises(ConfigError, match="not JSON"):
        Schedule.parse("0 6 * * * {day: 1}")


@pytest.mark.parametrize("text", ["", "Landing", "landing:read", "landing/*", "a", "landing/${x}"])
def test_a_bucket_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no bucket"):
        BucketUse.parse(text)


@pytest.mark.parametrize("attribute", ["topics", "buckets", "secrets"])
def test_a_lone_string_in_place_of_a_list_is_refused(attribute: str) -> None:
    kind = type("Lone", (SendMailOperator,), {attribute: "mail"})
    with pytest.raises(ConfigError, match=f"Lone.{attribute} must be a list of names"):
        declared(kind, Config())


def test_a_secret_that_reaches_for_more_is_refused() -> None:
    kind = type("Greedy", (SendMailOperator,), {"secrets": ["*"]})
    with pytest.raises(ConfigError, match="neither a secret's name nor its ARN"):
        declared(kind, Config())


def test_a_target_may_be_an_operator_or_a_spider(tmp_path: Path) -> None:
    text = "from airless import Spider\nfrom airless.operators import EventOperator\n"
    spider, operator = (
        "class Shop(Spider): ...\n",
        "class Run(EventOperator):\n    def execute(self, data, topic): ...\n",
    )
    assert load(str(written(tmp_path, "only_spider.py", text + spider))).__name__ == "Shop"
    assert load(str(written(tmp_path, "only_operator.py", text + operator))).__name__ == "Run"
    both = written(tmp_path, "both_kinds.py", text + spider + operator)
    with pytest.raises(ConfigError, match="say which: both_kinds:Run, both_kinds:Shop"):
        load(str(both))
    assert load(f"{both}:Shop").__name__ == "Shop"
    with pytest.raises(ConfigError, match="neither an operator nor a spider"):
        load(str(written(tmp_path, "neither_kind.py", text)))
    with pytest.raises(ConfigError, match="there is no file"):
        load(str(tmp_path / "gone.py"))
