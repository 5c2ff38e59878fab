"""The SDK for Kotlin and Java: its own tests by Maven, and an app with it against a real server that is killed in the middle."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree
from pathlib import Path

import pytest
from tests.story.servers import Server, until

PROJECT = Path(__file__).parent.parent.parent / "sdk" / "kotlin"
DEAD = "http://127.0.0.1:9"  # nobody listens there

pytestmark = pytest.mark.timeout(1200)  # the first time, Maven fetches the compiler
if shutil.which("mvn") is None or shutil.which("javac") is None:
    pytest.skip("Maven or a JDK is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def classpath() -> str:
    """Builds the SDK and runs its own tests; where its classes are."""
    done = subprocess.run(["mvn", "-q", "-B", "clean", "package"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    report = next((PROJECT / "target" / "surefire-reports").glob("TEST-*.xml"))
    properties = {item.get("name"): item.get("value", "") for item in xml.etree.ElementTree.parse(report).iter("property")}
    return properties.get("surefire.test.class.path") or properties["java.class.path"]


def app(classpath: str, url: str, key: str, folder: object, count: int, millis: int) -> subprocess.Popen[str]:
    command = ["java", "-Xmx128m", "-cp", classpath, "almanac.TalkerKt", url, key, str(folder), str(count), str(millis), "beat"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(server: Server) -> list[str]:
    return [row["id"] for row in server.sql("shop", "SELECT toString(id) AS id FROM events")]


def test_it_builds_for_android_and_its_own_tests_pass(classpath: str) -> None:
    reports = [xml.etree.ElementTree.parse(file).getroot() for file in (PROJECT / "target" / "surefire-reports").glob("TEST-*.xml")]
    assert sum(int(report.get("tests", 0)) for report in reports) >= 20
    assert sum(int(report.get(word, 0)) for report in reports for word in ("failures", "errors", "skipped")) == 0
    version = re.search(r"<version>(.*?)</version>", (PROJECT / "pom.xml").read_text())
    source = re.search(r'VERSION = "(.*?)"', (PROJECT / "src/main/kotlin/almanac/Almanac.kt").read_text())
    assert version is not None
    assert source is not None
    assert version[1] == source[1]


def test_servers_and_apps_are_killed_in_the_middle(classpath: str, tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    key = server.project("shop")["write"]
    given: list[str] = []
    with app(classpath, DEAD, key, tmp_path / "spool", 30, 1) as ended:  # nobody takes its events, and it is killed
        assert ended.stdout is not None
        given += [ended.stdout.readline().strip() for _ in range(30)]
        time.sleep(0.5)
        os.kill(ended.pid, signal.SIGKILL)
    with server:
        apps = [app(classpath, server.url, key, folder, 300, 10) for folder in (tmp_path / "spool", "-")]
        for victim in ("collector", "engine", "supervisor"):
            time.sleep(1)
            assert server.kill(victim)
        assert server.process is not None
        server.process.wait(10)
        time.sleep(1)
        server.start()
        for process in apps:
            lines = process.communicate(timeout=100)[0].splitlines()
            assert lines[-1].startswith("end true "), lines[-1]
            assert lines[-1].endswith(" 0 {}"), lines[-1]
            given += lines[:-1]
        server.wait()
        until(lambda: server.settled("shop")["stored"] >= len(given))
        found = stored(server)
        assert len(found) == len(set(found)), "doubled"
        assert set(found) == set(given), "lost"
        assert server.ledger("shop")["gap"] == 0
    assert not list(tmp_path.glob("spool/**/*.jsonl"))
