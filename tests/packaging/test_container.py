"""The image, the composition and the unit keep their promises; checked without an engine."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml

from mien.cli.app import app

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "mien.service"
ANALYZE = shutil.which("systemd-analyze")


@dataclass(frozen=True)
class Step:
    """An instruction of a Dockerfile."""

    stage: int
    word: str
    rest: str

    @property
    def listed(self) -> list[str]:
        """The arguments in exec form; raises if it is the shell form."""
        found = json.loads(self.rest[self.rest.index("[") :])
        assert all(isinstance(part, str) for part in found)
        return found

    @property
    def plain(self) -> list[str]:
        """The arguments but for flags."""
        return [part for part in shlex.split(self.rest) if not part.startswith("--")]


def read_dockerfile(text: str) -> list[Step]:
    """The instructions: comments dropped, continued lines joined, stages counted."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    steps: list[Step] = []
    for line in filter(str.strip, joined.splitlines()):
        word, rest = line.split(maxsplit=1)
        stage = (steps[-1].stage if steps else -1) + (word.upper() == "FROM")
        steps.append(Step(stage, word.upper(), rest.strip()))
    return steps


STEPS = read_dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))
LAST = [step for step in STEPS if step.stage == STEPS[-1].stage]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICE = COMPOSE["services"]["mien"]


def last(word: str) -> Step:
    (step,) = [step for step in LAST if step.word == word]
    return step


def test_the_parser_of_this_test_reads_what_dockerfiles_hold():
    text = '# a\nFROM x AS y\nRUN a \\\n # between\n && b\n\nfrom z\nCMD ["a", "b"]\n'
    steps = read_dockerfile(text)
    assert [(s.stage, s.word) for s in steps] == [(0, "FROM"), (0, "RUN"), (1, "FROM"), (1, "CMD")]
    assert steps[1].rest == "a  && b"
    assert steps[3].listed == ["a", "b"]


def test_images_are_named_with_a_version_that_is_not_latest():
    images = [step.plain[0] for step in STEPS if step.word == "FROM"]
    stages = {step.plain[2] for step in STEPS if step.word == "FROM" and len(step.plain) == 3}
    assert len(images) == 2
    for image in set(images) - stages:
        assert re.fullmatch(r"[a-z/.]+:\d+\.\d+[\w.-]*", image), image
    assert not SERVICE["image"].endswith(":latest")
    assert ":" in SERVICE["image"]


def test_nothing_is_added_from_addresses():
    assert [step for step in STEPS if step.word == "ADD"] == []
    assert [
        s.rest for s in STEPS if s.word == "RUN" and re.search("curl|wget|https?://", s.rest)
    ] == []


def test_every_source_that_is_copied_is_in_the_repository_and_not_ignored():
    stages = {step.plain[2] for step in STEPS if step.word == "FROM" and len(step.plain) == 3}
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied: set[str] = set()
    for step in STEPS:
        if step.word != "COPY":
            continue
        source = re.search(r"--from=(\S+)", step.rest)
        if source:
            assert source[1] in stages
            continue
        for name in step.plain[:-1]:
            assert (ROOT / name).exists(), name
            copied.add(name.removeprefix("./"))
    assert copied == kept


def test_the_image_holds_no_file_but_those_named():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    assert next(line for line in lines if not line.startswith("#")) == "*"


def test_the_service_runs_as_nobody_in_particular():
    words = [step.word for step in LAST]
    assert words.index("USER") < words.index("ENTRYPOINT")
    user, group = last("USER").rest.split(":")
    assert (user, group) == ("10001", "10001")
    assert not [step for step in LAST[words.index("USER") :] if step.word in {"RUN", "COPY"}]


def test_entry_point_command_and_health_check_are_in_exec_form():
    assert last("ENTRYPOINT").listed == ["mien", "serve"]
    assert last("CMD").listed == ["--host", "0.0.0.0", "--data", "/data"]
    check = last("HEALTHCHECK").listed
    assert check[:2] == ["python", "-c"]
    assert "http://127.0.0.1:8000/healthz" in check[2]
    compile(check[2], "HEALTHCHECK", "exec")
    assert SERVICE["healthcheck"]["test"] == ["CMD", *check]
    assert last("EXPOSE").rest == "8000"


def test_python_in_build_steps_compiles():
    programs = [
        p for s in STEPS if s.word == "RUN" for p in re.findall(r'python -c "([^"]+)"', s.rest)
    ]
    assert len(programs) == 1
    compile(programs[0], "RUN", "exec")


def test_weights_are_made_ready_where_they_are_looked_for():
    (cache,) = {
        value
        for step in STEPS
        if step.word == "ENV"
        for value in re.findall(r"MIEN_CACHE=(\S+)", step.rest)
    }
    copies = [step for step in LAST if step.word == "COPY"]
    assert [cache, cache] in [step.plain for step in copies]
    assert any(step.word == "RUN" and "mien doctor" in step.rest for step in STEPS)


def test_the_version_of_the_composed_image_is_that_of_the_package():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert SERVICE["image"] == f"mien:{version[1]}"


def test_the_composition_is_locked_down():
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert SERVICE["tmpfs"][0].startswith("/tmp:")
    assert {"mem_limit", "cpus", "pids_limit"} <= SERVICE.keys()
    assert not SERVICE.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices", "user"}
    assert [port.rpartition(":")[0] for port in SERVICE["ports"]] == ["127.0.0.1:8000"]
    assert SERVICE["volumes"] == ["data:/data"]


def test_the_composition_asks_for_keys():
    assert set(SERVICE["secrets"]) == set(COMPOSE["secrets"])
    command = SERVICE["command"]
    assert command[command.index("--keys") + 1] == "/run/secrets/mien_api_keys"
    assert SERVICE["environment"]["MIEN_GALLERY_KEY_FILE"] == "/run/secrets/mien_gallery_key"
    places = [Path(secret["file"]) for secret in COMPOSE["secrets"].values()]
    assert {place.parts[0] for place in places} == {"secrets"}


def unit_values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_unit_keeps_its_secrets_and_listens_here_only():
    (start,) = unit_values("ExecStart")
    words = shlex.split(start)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert unit_values("LoadCredential") == ["gallery.key:/etc/mien/gallery.key"]
    assert "MIEN_GALLERY_KEY_FILE=%d/gallery.key" in unit_values("Environment")
    state = f"/var/lib/{unit_values('StateDirectory')[0]}"
    assert words[words.index("--data") + 1] == state
    assert words[words.index("--keys") + 1].startswith(f"{state}/")


def test_every_flag_is_one_of_the_command():
    group = typer.main.get_command(app)
    assert "serve" in group.commands, "mien serve is not there yet"
    known = {flag for param in group.commands["serve"].params for flag in param.opts}
    (start,) = unit_values("ExecStart")
    words = [*last("CMD").listed, *SERVICE["command"], *shlex.split(start)]
    assert {word for word in words if word.startswith("--")} <= known


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, as systemd looks for it."""
    text = UNIT.read_text(encoding="utf-8").replace("/opt/mien/bin/mien", sys.executable)
    path = tmp_path / "mien.service"
    path.write_text(text, encoding="utf-8")
    return path


def analyse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ANALYZE, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(unit):
    done = analyse("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_finds_the_unit_well_protected(unit):
    threshold = analyse("security", "--offline=true", "--no-pager", "--threshold=15", str(unit))
    assert threshold.returncode == 0, threshold.stdout.splitlines()[-1:]
