"""Boards over HTTP: saved with others' changes in mind, their tiles answered; and links by which people without a key see them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.errors import AlmanacError
from almanac.links import KIND, Links
from almanac.web import app_files

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

TREND = {"kind": "trend", "series": ["order"], "interval": "total", "date_from": "2026-01-01", "date_to": "2026-01-31"}
SECRET_SQL = {"kind": "sql", "sql": "SELECT count() AS n FROM profile_changes"}


def tile(id_: str, y: int, **more: Any) -> dict[str, Any]:
    return {"id": id_, "x": 0, "y": y, "w": 6, "h": 2, "type": "question", **more}


BOARD = {
    "title": "Shop",
    "filters": [{"property": "country", "op": "!=", "value": "test"}],
    "tiles": [
        tile("orders", 0, question=TREND, title="Orders", chart={"type": "bar"}),
        tile("saved", 2, question={"saved": "all orders"}),
        tile("sql", 4, question=SECRET_SQL),
        tile("plan", 6, type="filter", property="plan"),
        tile("live", 8, type="feed", event="order"),
        tile("words", 10, type="text", text="# Shop"),
    ],
}


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("shop of boards")
    days = ["2026-01-05", "2026-01-06", "2026-01-20"]
    wares = [("DE", "pro"), ("DE", "free"), ("FR", "pro"), ("test", "pro")]
    house.send(
        keys.project,
        *(
            {"event": "order", "distinct_id": f"{country}-{plan}", "id": f"b{day}{country}{plan}", "time": f"{day}T10:00:00Z"}
            | {"properties": {"country": country, "plan": plan, "email": "ann@example.org"}}
            for day in days
            for country, plan in wares
        ),
    )
    call(house, keys, "PUT", "definitions/question/all orders", TREND)
    saved = call(house, keys, "PUT", "definitions/board/shop", BOARD)
    assert saved.status_code == 200, saved.text
    return keys


def call(house: House, keys: Keys, method: str, path: str, body: Any = None, *, key: str = "", **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {key or keys.admin}"}
    return house.client.request(method, f"/api/v1/projects/{keys.project}/{path}", json=body, params=query, headers=headers)


def value(answer: Any) -> int:
    assert answer.status_code == 200, answer.text
    return sum(row["value"] for row in answer.json()["rows"])


def make(house: House, keys: Keys, **link: Any) -> dict[str, Any]:
    made = call(house, keys, "POST", "boards/shop/links", link)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def seen(house: House, token: str, tile_: str = "orders", body: Any = None, **query: Any) -> Any:
    return house.client.post(f"/api/v1/shared/{token}/tiles/{tile_}", json=body or {}, params=query)


def error(answer: Any) -> tuple[int, str, str]:
    told = answer.json()["error"]
    return answer.status_code, told["code"], told["message"]


# ---------------------------------------------------------------------- within


def test_two_who_change_a_board_do_not_undo_each_other(house: House, shop: Keys) -> None:
    first = call(house, shop, "PUT", "definitions/board/other", {"title": "A"}, expected=0).json()
    assert (first["version"], first["body"]) == (1, {"title": "A"})
    assert call(house, shop, "PUT", "definitions/board/other", {"title": "B"}, expected=1).json()["version"] == 2
    stale = call(house, shop, "PUT", "definitions/board/other", {"title": "C"}, expected=1)
    assert error(stale) == (409, "conflict", "The board 'other' is at version 2, not at version 1.")
    history = call(house, shop, "GET", "definitions/board/other/versions").json()
    assert [item["body"]["title"] for item in history] == ["B", "A"]
    assert "boards" in call(house, shop, "GET", "definitions", key=shop.read).json()
    assert call(house, shop, "DELETE", "definitions/board/other").status_code == 204


def test_a_tile_is_answered_with_the_range_and_filters_of_its_board(house: House, shop: Keys) -> None:
    def ask(tile_: str = "orders", **choice: Any) -> Any:
        return call(house, shop, "POST", f"boards/shop/tiles/{tile_}", choice, key=shop.read)

    assert value(ask()) == value(ask("saved")) == 9
    assert value(ask(range={"date_from": "2026-01-20", "date_to": "2026-01-20"})) == 3
    assert value(ask(filters=[{"property": "plan", "value": "pro"}])) == 6
    answer = ask("saved", range={"date_from": "2026-01-06", "date_to": "2026-01-06"}, compare=True).json()
    assert [(row["value"], row["previous"]) for row in answer["rows"]] == [(3, 3)]
    assert answer["receipt"]["definitions"] == [{"kind": "question", "name": "all orders", "version": 1}]
    assert answer["receipt"]["question"]["filters"] == [{"property": "country", "op": "!=", "value": "test"}]
    assert ask().json()["receipt"]["cache_age"] is not None
    assert call(house, shop, "POST", "boards/shop/tiles/orders", {}, key=shop.read, fresh=True).json()["receipt"]["cache_age"] is None


def test_what_is_wrong_with_a_tile_is_said(house: House, shop: Keys) -> None:
    def ask(path: str, choice: Any = None, key: str = shop.read) -> tuple[int, str, str]:
        return error(call(house, shop, "POST", f"boards/{path}", choice or {}, key=key))

    assert ask("none/tiles/orders") == (404, "not_found", "There is no board 'none'.")
    assert ask("shop/tiles/none") == (404, "not_found", "The board has no tile 'none'.")
    assert ask("shop/tiles/words") == (400, "invalid", "A tile of type text has no question.")
    assert ask("shop/tiles/orders", key=shop.write)[:2] == (403, "denied")
    for choice in ({"range": {}}, {"range": {"last": "soon"}}, {"filters": [{"property": "@nose"}]}, {"filters": 3}, {"more": 1}):
        assert ask("shop/tiles/orders", choice)[:2] == (400, "invalid")


# --------------------------------------------------------------------- outside


def test_a_link_shows_its_board_and_nothing_else(house: House, shop: Keys) -> None:
    link = make(house, shop, label="For the partners", embed=True)
    shown = house.client.get(f"/api/v1/shared/{link['token']}")
    assert shown.status_code == 200, shown.text
    board = shown.json()["board"]
    assert (shown.json()["project"], shown.json()["embed"]) == ({"name": "shop of boards", "zone": "UTC"}, True)
    assert (board["title"], board["columns"], board["refresh"]) == ("Shop", 12, 0)
    assert [(one["id"], one["type"], one["kind"]) for one in board["tiles"]] == [
        ("orders", "question", "trend"),
        ("saved", "question", "trend"),
        ("sql", "question", "sql"),
        ("plan", "filter", ""),
        ("words", "text", ""),
    ]
    assert "SELECT" not in shown.text
    assert "country" not in shown.text
    answer = seen(house, link["token"])
    assert value(answer) == 9
    assert set(answer.json()["receipt"]) == {
        *("window", "timezone", "week_start", "watermark", "rows_read", "seconds", "exact", "approximation"),
        *("cache_age", "notes", "asked_at", "almanac_version"),
    }
    assert "SELECT" not in answer.text
    assert value(seen(house, link["token"], "saved", {"range": {"date_from": "2026-01-20", "date_to": "2026-01-20"}})) == 3
    assert seen(house, link["token"], "sql").status_code == 200
    assert error(seen(house, link["token"], "live"))[0] == 400
    assert error(seen(house, link["token"], "none"))[0] == 404
    # The token opens nothing else.
    for path, body in (("ask", TREND), ("people", {"question": TREND, "row": {}}), ("boards/shop/tiles/orders", {})):
        assert call(house, shop, "POST", path, body, key=link["token"]).status_code == 401


def test_a_viewer_filters_by_what_the_board_offers_only(house: House, shop: Keys) -> None:
    token = make(house, shop)["token"]
    assert value(seen(house, token, body={"filters": [{"property": "plan", "value": "pro"}]})) == 6
    for guess in (
        {"property": "email", "op": "starts_with", "value": "a"},
        {"any": [{"property": "plan", "value": "pro"}]},
        {"segment": "x"},
    ):
        refused = error(seen(house, token, body={"filters": [guess]}))
        assert refused == (403, "denied", "The board offers no filter like number 1.")


def test_what_is_wrong_with_a_question_is_not_for_everybody(house: House, shop: Keys) -> None:
    for kind, name, body in (
        ("question", "fragile", TREND),
        ("board", "fragile", {"tiles": [tile("a", 0, question={"saved": "fragile"})]}),
    ):
        assert call(house, shop, "PUT", f"definitions/{kind}/{name}", body).status_code == 200
    token = call(house, shop, "POST", "boards/fragile/links", {}).json()["token"]
    assert value(seen(house, token, "a")) == 12
    house.catalog.remove_definition(shop.project, "question", "fragile")  # as from another release
    assert error(seen(house, token, "a")) == (400, "invalid", "The question of this tile does not work.")
    assert house.client.get(f"/api/v1/shared/{token}").json()["board"]["tiles"][0]["kind"] == ""
    assert error(seen(house, token, "a", {"range": {"date_from": "2026-02-01", "date_to": "2026-01-01"}}))[2] != "The range ends"
    assert call(house, shop, "DELETE", "definitions/board/fragile").status_code == 204
    assert error(seen(house, token, "a")) == (404, "not_found", "The board of this link is gone.")


def test_the_filters_of_a_link_hold_for_all_that_is_seen(house: House, shop: Keys) -> None:
    token = make(house, shop, filters=[{"property": "country", "value": "DE"}])["token"]
    assert value(seen(house, token)) == 6
    assert value(seen(house, token, body={"filters": [{"property": "plan", "value": "pro"}]})) == 3
    refused = error(seen(house, token, "sql"))
    assert refused == (403, "denied", "This tile cannot be limited to the filters of the link, so it is not shown.")
    wrong = call(house, shop, "POST", "boards/shop/links", {"filters": [{"segment": "nobody"}]})
    assert error(wrong) == (404, "not_found", "There is no segment 'nobody'.")


def test_a_link_ends_is_revoked_and_is_listed_without_its_token(house: House, shop: Keys) -> None:
    before = len(call(house, shop, "GET", "boards/shop/links").json())
    ends = datetime.now(UTC) + timedelta(seconds=1)
    short, long = make(house, shop, label="short", expires=ends.isoformat()), make(house, shop, label="long")
    assert value(seen(house, short["token"])) == value(seen(house, long["token"])) == 9
    listed = call(house, shop, "GET", "boards/shop/links")
    assert [one["label"] for one in listed.json()[before:]] == ["short", "long"]
    assert short["token"] not in listed.text
    assert short["token"] not in json.dumps(house.catalog.documents(KIND, shop.project))
    assert call(house, shop, "DELETE", f"boards/shop/links/{long['id']}").status_code == 204
    assert call(house, shop, "DELETE", f"boards/shop/links/{long['id']}").status_code == 204
    status, code, message = error(seen(house, long["token"]))
    assert (status, code, message.startswith("This link was revoked on ")) == (410, "not_found", True)
    later = Links(house.catalog, house.rooms.definitions, lambda: ends)
    with pytest.raises(AlmanacError, match="This link ended on") as ended:
        later.open(short["token"])
    assert ended.value.status == 410
    assert error(call(house, shop, "DELETE", "boards/shop/links/none"))[0] == 404
    past = call(house, shop, "POST", "boards/shop/links", {"expires": "2020-01-01T00:00:00Z"})
    assert error(past) == (400, "invalid", "The link would have ended already.")
    assert error(call(house, shop, "POST", "boards/none/links", {}))[0] == 404


def test_who_may_share(house: House, shop: Keys) -> None:
    other = house.project("no shop of boards")
    for key, status in ((shop.read, 403), (shop.write, 403), (other.admin, 404), ("nobody's", 401)):
        assert call(house, shop, "POST", "boards/shop/links", {}, key=key).status_code == status
        assert call(house, shop, "GET", "boards/shop/links", key=key).status_code == status
        assert call(house, shop, "DELETE", "boards/shop/links/x", key=key).status_code == status


def test_a_link_goes_with_its_project(house: House, shop: Keys) -> None:
    project, _ = house.catalog.create_project("shop that closes")
    definitions = house.rooms.definitions
    definitions.save(project.id, "board", "b", {"title": "B"})
    links = Links(house.catalog, definitions, house.rooms.clock)
    _, token = links.make(project.id, "b", label="", expires=None, filters=[], embed=False, signed=False, author="")
    assert links.open(token).board == "b"
    house.catalog.delete_project(project.id)
    assert error(seen(house, token))[:2] == (404, "not_found")


def test_other_sites_may_frame_what_a_link_lets_them(house: House, shop: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    page = app_files._File(b"<html>", None, "text/html", "tag")
    monkeypatch.setattr(app_files, "_files", lambda: {"index.html": page})

    def ancestors(path: str) -> str:
        return str(house.client.get(path).headers["content-security-policy"].rpartition("frame-ancestors ")[2])

    assert ancestors(f"/app/shared/{make(house, shop, embed=True)['token']}") == "*"
    assert ancestors(f"/app/shared/{make(house, shop)['token']}") == ancestors("/app/boards") == "'none'"
    assert ancestors("/app/shared/none") == "*", "it says in the frame that there is no such link"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_other_token_opens_a_link(house: House, shop: Keys, data: st.DataObject) -> None:
    token = house.__dict__.setdefault("link_of_tests", make(house, shop)["token"] if "link_of_tests" not in house.__dict__ else "")
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[place]))
    cut = data.draw(st.booleans())
    changed = token[:place] if cut else token[:place] + letter + token[place + 1 :]
    with pytest.raises(AlmanacError, match="There is no such link"):
        Links(house.catalog, house.rooms.definitions, house.rooms.clock).open(changed)


# -------------------------------------------------------------------- embedded


def signed(secret: str, payload: Any, *, seconds: float = 60) -> str:
    """As the page on sharing says."""
    body = {"filters": payload, "exp": datetime.now(UTC).timestamp() + seconds} if not isinstance(payload, (str, bytes)) else payload
    text = base64.urlsafe_b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode().rstrip("=")
    return f"{text}.{hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def test_each_viewer_of_an_embedded_board_sees_his_own(house: House, shop: Keys) -> None:
    link = make(house, shop, embed=True, signing=True, filters=[{"property": "plan", "value": "pro"}])
    of_germany = signed(link["secret"], [{"property": "country", "value": "DE"}])
    assert value(seen(house, link["token"], filter=of_germany)) == 3
    assert value(seen(house, link["token"], filter=signed(link["secret"], []))) == 6
    assert house.client.get(f"/api/v1/shared/{link['token']}", params={"filter": of_germany}).status_code == 200
    wrong = {
        "": "This link is for embedding with a signed filter, and there is none.",
        of_germany[:-1]: "The filter is not signed with this link's secret.",
        "x" + of_germany: "The filter is not signed with this link's secret.",
        of_germany.replace(".", ""): "The filter is not signed with this link's secret.",
        signed("another", []): "The filter is not signed with this link's secret.",
        signed(link["secret"], [], seconds=-1): "The signed filter is stale.",
        signed(link["secret"], [], seconds=float("nan")): "The signed filter is stale.",
        signed(link["secret"], b"\xff"): "The signed filter cannot be read.",
        signed(link["secret"], b'{"filters": []}'): "The signed filter cannot be read.",
        signed(link["secret"], b"[1]"): "The signed filter cannot be read.",
    }
    for given_, message in wrong.items():
        for answer in (
            seen(house, link["token"], filter=given_),
            house.client.get(f"/api/v1/shared/{link['token']}", params={"filter": given_}),
        ):
            assert error(answer) == (403, "denied", message)
    assert error(seen(house, link["token"], filter=signed(link["secret"], [{"property": "@nose"}])))[0] == 400
    plain = make(house, shop)
    assert error(seen(house, plain["token"], filter=of_germany)) == (403, "denied", "This link takes no signed filter.")
    assert plain["secret"] == ""
