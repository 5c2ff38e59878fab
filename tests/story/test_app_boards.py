"""Boards in a real browser: every template over projects with many, few and no events, two people at one board, and flags on charts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.story.readers import IN_A_BROWSER, Reader, begin, call, chromium, join, send
from tests.story.servers import Server

pytestmark = IN_A_BROWSER

# How many names each project's events have.
NAMES = {
    "many": ["visit", "search", "cart", "pay", "share", "$pageview", "an event of a very long name " * 10],
    "two": ["visit", "pay"],
    "one": ["visit"],
    "none": [],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("boards") / "data")
    for project in NAMES:
        server.project(project)
    now = datetime.now(UTC)
    with server:
        for project, names in NAMES.items():
            events = [
                {"event": name, "user_id": f"person-{person}", "time": (now - timedelta(days=day, minutes=person)).isoformat()}
                for place, name in enumerate(names)
                for day in range(0, 14, 1 + place)
                for person in range(8 - place)
            ]
            if events:
                send(server, server.keys[project]["write"], events)
                server.settled(project)
        yield server


@pytest.fixture(scope="module")
def owner(browser: Browser, server: Server) -> Reader:
    reader = Reader(browser, server)
    begin(reader)
    return reader


@pytest.mark.parametrize("project", NAMES)
def test_every_template_makes_a_board_whose_tiles_all_have_answers(owner: Reader, project: str) -> None:
    page = owner.go(f"/p/{project}/boards")
    page.get_by_role("button", name="New board").first.click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Overview")).to_be_enabled()
    offered = [text.split("\n") for text in page.get_by_role("dialog").get_by_role("button").all_inner_texts()]
    templates = [lines[0] for lines in offered if len(lines) > 1 and lines[0] != "Nothing"]
    assert {"Overview", "Growth", "Quality of data"} <= set(templates)
    owner.said.clear()
    for template in templates:
        page = owner.go(f"/p/{project}/boards")
        page.get_by_role("button", name="New board").first.click()
        page.get_by_role("dialog").get_by_role("button", name=template).click()
        page.wait_for_url("**/boards/*")
        status, board = call(page, "GET", f"/api/v1/projects/{project}/definitions/board/{template}")
        assert status == 200, board
        asking = [tile for tile in board["body"]["tiles"] if "question" in tile]
        assert len(asking) >= 4
        # Each answer, be it of no rows, has its receipt.
        expect(page.get_by_title("What the numbers rest on")).to_have_count(len(asking))
        assert page.get_by_role("alert").all_inner_texts() == [], template
        assert owner.faults() == []
    assert owner.said == []


def edit(page: Page, title: str) -> None:
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Title").fill(title)


def test_of_two_who_work_on_a_board_neither_loses_anything(owner: Reader, browser: Browser, server: Server) -> None:
    board = {"tiles": [{"id": "a", "x": 0, "y": 0, "w": 6, "h": 2, "type": "text", "text": "Hello"}], "title": "Ours"}
    assert call(owner.page, "PUT", "/api/v1/projects/two/definitions/board/ours", board)[0] == 200
    ann = owner.go("/p/two/boards/ours")
    other = Reader(browser, server)
    bob = join(other, ann, "two", "analyst", "Bob Analyst")
    other.go("/p/two/boards/ours")
    edit(ann, "Of Ann")
    edit(bob, "Of Bob")
    ann.get_by_role("button", name="Save board").click()
    expect(ann.get_by_role("heading", name="Of Ann")).to_be_visible()

    bob.get_by_role("button", name="Save board").click()
    expect(bob.get_by_text("Somebody saved this board meanwhile")).to_be_visible()
    expect(bob.get_by_role("textbox", name="Title")).to_have_value("Of Bob")
    bob.get_by_role("button", name="Take theirs").click()
    expect(bob.get_by_role("heading", name="Of Ann")).to_be_visible()
    expect(bob.get_by_text("Somebody saved this board meanwhile")).to_have_count(0)

    edit(bob, "Of Bob again")
    ann.get_by_role("button", name="Edit", exact=True).click()
    ann.get_by_role("textbox", name="Title").fill("Of Ann again")
    ann.get_by_role("button", name="Save board").click()
    expect(ann.get_by_role("heading", name="Of Ann again")).to_be_visible()
    bob.get_by_role("button", name="Save board").click()
    bob.get_by_role("button", name="Save mine over theirs").click()
    expect(bob.get_by_role("heading", name="Of Bob again")).to_be_visible()
    expect(bob.get_by_text("Somebody saved this board meanwhile")).to_have_count(0)
    versions = call(ann, "GET", "/api/v1/projects/two/definitions/board/ours/versions")[1]
    assert [version["body"]["title"] for version in versions] == ["Of Bob again", "Of Ann again", "Of Ann", "Ours"]
    other.page.context.close()


def test_a_flag_is_made_on_a_chart_and_seen_where_it_belongs(owner: Reader, browser: Browser, server: Server) -> None:
    trend = {"kind": "trend", "series": ["visit"], "interval": "day", "last": "7 days"}
    board = {"tiles": [{"id": "a", "x": 0, "y": 0, "w": 12, "h": 6, "type": "question", "question": trend, "title": "Visits"}]}
    for name in ("flagged", "other"):
        assert call(owner.page, "PUT", f"/api/v1/projects/one/definitions/board/{name}", board)[0] == 200
    page = owner.go("/p/one/boards/flagged")
    chart = page.get_by_role("region", name="Visits", exact=True).get_by_role("group").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Mark it on the charts").click()
    page.get_by_label("What happened").fill("Release 2.4")
    page.get_by_label("On this board only").check()
    page.get_by_role("button", name="Mark it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    (made,) = call(page, "GET", "/api/v1/projects/one/definitions/annotation")[1]
    assert made["body"]["text"] == "Release 2.4"
    assert made["body"]["board"] == "flagged"
    assert made["name"] == f"{made['body']['at'][:16]} Release 2.4"
    everywhere = {"at": datetime.now(UTC).date().isoformat(), "text": "Outage"}
    assert call(page, "PUT", "/api/v1/projects/one/definitions/annotation/outage", everywhere)[0] == 200
    # Whoever looks by a link sees the flags of that board alone.
    link = call(page, "POST", "/api/v1/projects/one/boards/flagged/links", {})[1]
    shared = call(page, "GET", f"/api/v1/shared/{link['token']}")[1]
    assert shared["annotations"] == [{"at": made["body"]["at"], "text": "Release 2.4"}]
    link = call(page, "POST", "/api/v1/projects/one/boards/other/links", {})[1]
    assert call(page, "GET", f"/api/v1/shared/{link['token']}")[1]["annotations"] == []

    page = owner.go("/p/one/data/annotations")
    page.get_by_role("button", name="outage").click()
    expect(page.get_by_label("What happened")).to_have_value("Outage")
    page.get_by_text("YAML", exact=True).click()
    code = page.get_by_role("textbox", name="The annotation as YAML")
    code.fill("at: 2026-01-31T12:00\ntext: Outage of the shop\n")
    page.get_by_role("button", name="Save annotation").click()
    expect(page.get_by_text("Version 2, saved")).to_be_visible()
    assert call(page, "GET", "/api/v1/projects/one/definitions/annotation/outage")[1]["body"] == {
        "at": "2026-01-31T12:00",
        "text": "Outage of the shop",
    }
    assert owner.faults() == []
