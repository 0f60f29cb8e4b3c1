import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import airless
from airless.cli import COMMANDS, cli
from airless.operators import EventOperator
from airless.operators.operator import default_topic

ROOT = Path(airless.__path__[0]).parent

GREET = """
import time
from airless.operators import EventOperator

class Greet(EventOperator):
    async def execute(self, data, topic):
        self.publish("greeted", {"hello": data["name"]})

class Wait(EventOperator):
    def execute(self, data, topic):
        print("started", flush=True)
        time.sleep(0.5)

class Needy(EventOperator):
    def __init__(self, needed):
        pass
    def execute(self, data, topic):
        pass
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("ENV", "OPERATOR_IMPORT", "AIRLESS_ENGINE", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "greet.py").write_text(GREET)
    yield tmp_path
    sys.modules.pop("greet", None)


def call(*arguments, stdin=None):
    return CliRunner().invoke(cli, [str(a) for a in arguments], input=stdin, prog_name="airless")


def process(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "airless", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def test_what_is_sent_is_run(project):
    sent = call("send", "greet", '{"name": "Ada"}', "--id", "a-1")
    assert (sent.exit_code, sent.output) == (0, "a-1\n")
    run = call("run", "greet.py:Greet", "--until-idle")
    assert run.exit_code == 0, run.output
    lines = run.output.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d done greet a-1 \d+ ms, 1 published", lines[0])
    assert lines[-1] == "1 done"
    assert (project / ".airless" / "airless.db").is_file()


def test_lines_are_sent_in_bulk(project):
    lines = "".join(f'{{"name": "n{n}"}}\n\n' for n in range(2_500))
    assert call("send", "greet", "--lines", stdin=lines).output == "sent 2,500 messages on greet\n"
    assert call("run", "greet:Greet", "--until-idle").output.endswith("\n2,500 done\n")


def test_an_object_is_read_from_standard_input(project):
    assert call("send", "greet", "-", stdin='{"name": "Ada"}').exit_code == 0
    assert call("send", "greet", stdin='{"name": "Eve"}').exit_code == 0
    assert call("run", "greet:Greet", "--until-idle").output.endswith("2 done\n")


def test_a_delayed_or_keyed_message_is_sent_so(project):
    assert call("send", "greet", '{"name": "a"}', "--key", "k").exit_code == 0
    assert call("send", "greet", '{"name": "b"}', "--delay", "0.3", "--key", "k").exit_code == 0
    assert call("run", "greet:Greet", "--until-idle").output.endswith("2 done\n")


def test_the_environment_names_topics_operator_and_engine(project, monkeypatch):
    monkeypatch.setenv("ENV", "dev")
    monkeypatch.setenv("OPERATOR_IMPORT", "from greet import Greet")
    monkeypatch.setenv("AIRLESS_ENGINE", f"sqlite:///{project}/other.db")
    assert call("send", "greet", "--lines", stdin='{"name": "a"}').output == "sent 1 messages on dev-greet\n"
    assert " done dev-greet " in call("run", "--until-idle").output
    assert (project / "other.db").is_file()


def test_a_message_that_is_given_up_shows_and_fails_the_run(project):
    call("send", "greet", '{"metadata": {"max_retries": 0}}')
    run = call("run", "greet:Greet", "--until-idle")
    assert run.exit_code == 1
    assert re.search(r"dead greet \w+ \d+ ms: KeyError: 'name'", run.output)


def test_a_message_that_is_tried_again_shows_when(project):
    call("send", "greet", '{"metadata": {"max_retries": 1, "max_interval": 0}}')
    run = call("run", "greet:Greet", "--until-idle")
    assert re.search(r"again greet \w+ \d+ ms, in 0\.0 s: KeyError: 'name'", run.output)


def test_an_empty_topic_is_no_fault(project):
    assert call("run", "greet:Greet", "--until-idle").output == "no messages\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (["send", "t", "{"], None, 1, "the message is not JSON"),
        (["send", "t", "[]"], None, 1, "must be a JSON object, not list"),
        (["send", "t", "--lines"], '{"a":1}\n{\n', 1, "line 2 is not JSON.*0 messages from before were sent"),
        (["send", "t", "--lines", "--id", "x"], "", 2, "--lines reads standard input"),
        (["send", "t", "{}", "--engine", "nosuch://"], None, 2, "nosuch"),
        (["send", "t", "{}", "--delay", "-1"], None, 2, "--delay"),
        (["run", "nope.py"], None, 2, "no file 'nope.py'"),
        (["run", "greet.py"], None, 2, r"greet\.py:Greet, greet\.py:Wait"),
        (["run", "greet:Grete"], None, 2, "did you mean greet:Greet"),
        (["run", "greet:Needy"], None, 2, "can't be made without arguments"),
        (["nosuch"], None, 2, "No such command"),
    ],
)
def test_a_users_fault_is_one_clear_line(project, arguments, stdin, code, said):
    result = call(*arguments, stdin=stdin)
    assert result.exit_code == code
    assert re.search(said, result.stderr.splitlines()[-1]), result.stderr
    assert "Traceback" not in result.stderr


def test_lines_before_a_bad_one_are_accounted_for(project):
    lines = '{"name": "a"}\n' * 1_500 + "oops\n"
    assert "1,000 messages from before were sent" in call("send", "greet", "--lines", stdin=lines).stderr
    assert call("run", "greet:Greet", "--until-idle").output.endswith("\n1,000 done\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_teaches_by_examples(flag):
    for command in ([], ["send"], ["run"], ["version"]):
        shown = call(*command, flag)
        assert shown.exit_code == 0
        assert "Example" in shown.output
        assert "airless" in shown.output


def test_help_imports_no_command():
    code = (
        "import sys; from airless.cli import cli; cli(['--help'], standalone_mode=False);"
        "assert not [m for m in sys.modules if m.startswith(('airless.cli.', 'airless.crawl', 'aiohttp'))]"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)


def test_every_command_is_listed():
    shown = call("--help").output
    assert all(re.search(rf"^  {name} ", shown, re.MULTILINE) for name in COMMANDS)


def test_the_version_is_shown_both_ways():
    assert call("--version").output.startswith("airless ")
    assert "Python" in call("version").output


def test_a_topic_is_named_for_the_class():
    names = {
        "Greet": "greet",
        "SendMailOperator": "send-mail",
        "Operator": "operator",
        "S3Import": "s3-import",
    }
    for name, topic in names.items():
        assert default_topic(type(name, (EventOperator,), {})) == topic


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains(project, number):
    call("send", "wait", "{}")
    with process("run", "greet:Wait", cwd=project) as running:
        assert running.stdout.readline() == "started\n"
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    assert " done wait " in out


def test_an_interrupted_run_says_that_it_was_not_idle(project):
    call("send", "wait", "{}")
    with process("run", "greet:Wait", "--until-idle", cwd=project) as running:
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 130


@pytest.mark.parametrize("stuck", ["async def", "def"])
def test_the_second_signal_ends_at_once_and_the_message_stays(project, stuck):
    wait = "await asyncio.Event().wait()" if stuck == "async def" else "threading.Event().wait()"
    (project / "stuck.py").write_text(
        "import asyncio, threading\nfrom airless.operators import EventOperator\n"
        f"class Stuck(EventOperator):\n    {stuck} execute(self, data, topic):\n"
        f"        print('started', flush=True)\n        {wait}\n"
    )
    call("send", "stuck", '{"name": "Ada"}')
    with process("run", "stuck.py", cwd=project) as running:
        assert running.stdout.readline() == "started\n"
        while running.poll() is None:
            running.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.2)
        _, err = running.communicate()
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert call("run", "greet:Greet", "--topic", "stuck", "--until-idle").output.endswith("1 done\n")
