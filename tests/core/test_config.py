import subprocess
import sys

import pytest

from airless.core.config import Config
from airless.core.errors import ConfigError


def test_an_empty_environment_gives_the_defaults():
    assert Config.from_env({}) == Config()
    assert Config.from_env({"ENV": " ", "QUEUE_TOPIC_ERROR": ""}) == Config()


def test_the_known_variables_are_read():
    config = Config.from_env(
        {
            "ENV": "prod",
            "LOG_LEVEL": "debug",
            "OPERATOR_IMPORT": "from pkg.mod import Class",
            "GCP_PROJECT": "p",
            "GCP_REGION": "r",
            "GCS_BUCKET_LANDING_ZONE": "landing",
            "QUEUE_TOPIC_ERROR": "faults",
            "QUEUE_TOPIC_EMAIL_SEND": "email-send",
            "QUEUE_TOPIC_SLACK_SEND": "slack-send",
            "ERROR_DATASET": "ops",
            "ERROR_TABLE": "errors",
            "EMAIL_SENDER_ERROR": "a@example.com",
            "EMAIL_RECIPIENTS_ERROR": '["b@example.com", "c@example.com"]',
            "SLACK_CHANNELS_ERROR": "one, two",
            "SECRET_SMTP": "smtp",
            "AIRLESS_MAX_HOPS": "7",
            "AIRLESS_DRY_RUN": "yes",
        }
    )
    assert config == Config(
        env="prod",
        log_level="DEBUG",
        operator_import="from pkg.mod import Class",
        gcp_project="p",
        gcp_region="r",
        landing_bucket="landing",
        error_topic="faults",
        email_topic="email-send",
        slack_topic="slack-send",
        error_dataset="ops",
        error_table="errors",
        email_sender="a@example.com",
        email_recipients=("b@example.com", "c@example.com"),
        slack_channels=("one", "two"),
        secret_smtp="smtp",
        max_hops=7,
        dry_run=True,
    )


def test_a_topic_has_the_environment_before_it_once_and_only_where_one_is_set():
    assert Config().topic("greet") == "greet"
    assert Config(env="prod").topic("greet") == "prod-greet"
    assert Config(env="prod").topic("prod-greet") == "prod-greet"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "loud"),
        ("AIRLESS_DRY_RUN", "maybe"),
        ("AIRLESS_MAX_HOPS", "0"),
        ("AIRLESS_MAX_HOPS", "many"),
        ("EMAIL_RECIPIENTS_ERROR", "[1]"),
        ("SLACK_CHANNELS_ERROR", "[oops"),
        ("ERROR_DATASET", "../up"),
        ("ERROR_TABLE", "/root"),
    ],
)
def test_a_wrong_value_names_its_variable(name, value):
    with pytest.raises(ConfigError, match=name):
        Config.from_env({name: value})


def test_nothing_is_read_on_import():
    code = "import os; os.environ['LOG_LEVEL'] = 'loud'; import airless.core.config, airless.operators"
    subprocess.run([sys.executable, "-c", code], check=True)
