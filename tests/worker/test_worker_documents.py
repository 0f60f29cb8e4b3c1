"""The files to deploy workers by: the guide shows them as they are, and what they run is there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from airless.cli import cli

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "workers.md").read_text(encoding="utf-8")
FILES = sorted((DOCS / "deploy").iterdir())
# A worker lets go of what is under way after this, and has to have the time for it.
GRACE_S = 25
PROBES = "livenessProbe", "readinessProbe"
VARIABLE = "AIRLESS_ENGINE"


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of a command line, as click understands them."""
    with click.Context(cli) as context:
        command = cli.get_command(context, words[0])
        assert command is not None
        return command.make_context(words[0], words[1:], parent=context).params


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_guide_shows_the_file_as_it_is(file: Path) -> None:
    assert f"\n{file.read_text(encoding='utf-8')}```" in GUIDE


def test_the_unit_starts_a_worker_and_gives_it_time_to_drain() -> None:
    unit = (DOCS / "deploy" / "airless-worker.service").read_text(encoding="utf-8")
    found = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    words = shlex.split(found["ExecStart"])
    assert words[0].endswith("/airless")
    assert parsed([*words[1:], "--engine", "redis://broker"])["max_memory"] == 400 << 20
    assert int(found["TimeoutStopSec"]) > GRACE_S
    assert found["KillMode"] == "mixed"


def test_the_services_of_compose_run_a_worker_and_give_it_time_to_drain() -> None:
    text = (DOCS / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    worker = services["worker"]
    engine = worker["environment"]["AIRLESS_ENGINE"]
    assert parsed([*shlex.split(worker["command"]), "--engine", engine])["http"] == ":8080"
    assert int(worker["stop_grace_period"].removesuffix("s")) > GRACE_S
    assert (DOCS / "deploy" / worker["build"]["context"] / worker["build"]["dockerfile"]).exists()
    (line,) = re.findall(r"^#   (docker compose .* crawl .*)$", text, re.MULTILINE)
    words = shlex.split(line.partition(" crawl ")[2].partition(" > ")[0])
    # What it writes has to come out: the image's user may write in no folder of the host's.
    assert parsed([*services["crawl"]["entrypoint"][1:], *words])["output"] == "-"
    assert services["crawl"]["entrypoint"][-1] == engine
    assert engine == f"redis://{next(iter(services))}"


def test_the_manifest_of_kubernetes_runs_a_worker_and_scales_it_by_a_figure_that_there_is() -> None:
    text = (DOCS / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")
    deployment, scaled = yaml.safe_load_all(text)
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert parsed([*container["args"], "--engine", "redis://broker"])["log_format"] == "json"
    assert pod["terminationGracePeriodSeconds"] > GRACE_S
    assert [container[probe]["httpGet"]["path"] for probe in PROBES] == ["/healthz", "/readyz"]
    (port,) = container["ports"]
    http = parsed([*container["args"], "--engine", "redis://broker"])["http"]
    assert http == f":{port['containerPort']}"
    assert {container[probe]["httpGet"]["port"] for probe in PROBES} == {port["name"]}
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    assert container["env"][0]["name"] == VARIABLE
    (trigger,) = scaled["spec"]["triggers"]
    assert "airless_queue_messages{" in trigger["metadata"]["query"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_the_image_has_extras_that_there_are() -> None:
    image = (DOCS / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    project = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"\[([\w,]+)\]'", image):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_the_image_starts_a_worker_and_asks_for_its_health_where_that_is_served() -> None:
    image = (DOCS / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    found = dict(re.findall(r"^(ENTRYPOINT|CMD|EXPOSE) (.*)$", image, re.MULTILINE))
    assert json.loads(found["ENTRYPOINT"]) == ["airless"]
    http = parsed([*json.loads(found["CMD"]), "--engine", "redis://broker"])["http"]
    assert http == f":{found['EXPOSE']}"
    (probe,) = re.findall(r"^    CMD (\[.*\])$", image, re.MULTILINE)
    assert f"'http://127.0.0.1{http}/healthz'" in json.loads(probe)[2]
    compile(json.loads(probe)[2], "HEALTHCHECK", "exec")


def test_variables_in_the_files_are_those_that_a_worker_reads() -> None:
    named = {name for file in FILES for name in re.findall(r"AIRLESS_[A-Z_]+", file.read_text("utf-8"))}
    with click.Context(cli) as context:
        command = cli.get_command(context, "worker")
    assert command is not None
    assert named == {p.envvar for p in command.params if isinstance(p.envvar, str)} == {VARIABLE}


def test_the_guide_lists_every_option() -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, "worker")
    assert command is not None
    options = {p.opts[0] if p.opts[0].startswith("--") else p.opts[-1] for p in command.params}
    listed = set(re.findall(r"^\| `(--[\w-]+)`", GUIDE, re.MULTILINE))
    assert listed == options - {"targets", "--engine", "--state-dir", "--crawls", "--help"}
