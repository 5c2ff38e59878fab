"""Where addresses are: by the countries that come with the package, and by files that users name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from structlog.testing import capture_logs
from tools.countries import starts_of

from almanac.core.errors import AlmanacError
from almanac.ingest.agents import Place, Registered, open_places

CITY = {
    "city": {"geoname_id": 2643743, "names": {"de": "London", "en": "London"}},
    "continent": {"code": "EU"},
    "country": {"geoname_id": 2635167, "iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {"latitude": 51.5, "longitude": -0.1},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}, {"iso_code": "LND"}],
}


def mmdb(folder: Path, records: dict[str, object], version: int = 6) -> Path:
    """A file as MaxMind's own library writes it."""
    writer = MMDBWriter(version, "GeoLite2-City", ipv4_compatible=version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    file = folder / "places.mmdb"
    writer.to_db_file(str(file))
    return file


# --------------------------------------------------------- what comes with the package


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),  # a public resolver
        ("193.0.6.139", "NL"),  # RIPE NCC
        ("202.12.29.175", "AU"),  # APNIC
        ("133.11.0.1", "JP"),  # University of Tokyo
        ("143.107.1.1", "BR"),  # University of São Paulo
        ("129.132.1.1", "CH"),  # ETH Zürich
        ("159.226.1.1", "CN"),  # Chinese Academy of Sciences
        ("2001:4860:4860::8888", "US"),
        ("2001:67c:2e8:22::c100:68b", "NL"),  # RIPE NCC
        ("2001:200::1", "JP"),  # WIDE
        ("2a02:2e0::1", "DE"),
        ("240E::1", "CN"),
        ("::ffff:129.132.1.1", "CH"),  # how a socket of both kinds writes it
    ],
)
def test_countries_are_known_without_any_setting(address: str, country: str) -> None:
    assert open_places("").find(address) == Place(country)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "255.255.255.255", "::ffff:192.168.1.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "2001:db8::1", "2002:c000:204::1", "ff02::1", "ffff::1"),
    ],
)
def test_private_and_reserved_addresses_have_no_country(address: str) -> None:
    assert open_places("").find(address) == Place()


@pytest.mark.parametrize("address", ["", "nonsense", "8.8.8", "8.8.8.8:80", "08.8.8.8", "[2001:200::1]", "8.8.8.8\0", "\ud800", "8" * 99])
def test_what_is_no_address_has_no_country(address: str) -> None:
    assert open_places("").find(address) == Place()


def test_the_borders_of_a_private_network() -> None:
    places = open_places("")
    assert [bool(places.find(text).country) for text in ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0")] == [
        True,
        False,
        False,
        True,
    ]


def test_the_table_names_its_source_and_goes_into_the_package() -> None:
    assert Registered().source.startswith("@ip-location-db/asn-country ")
    assert "nro.net" in (Path(__file__).parents[2] / "NOTICE").read_text()
    table = Path(open_places.__code__.co_filename).with_name("countries.npz")
    assert zipfile.is_zipfile(table)
    assert table.stat().st_size < 1_000_000


def test_ranges_become_places_where_a_country_begins() -> None:
    """Gaps and reserved ranges are unknown; of an overlap the earlier keeps its place; neighbours of one country are one."""
    table = [(10, 19, "DE"), (20, 29, "DE"), (25, 39, "FR"), (50, 99, "SE"), (60, 69, "NO"), (100, 100, "FI")]
    assert starts_of(table, [(55, 57, "")], 0) == [
        (0, ""),
        (10, "DE"),
        (30, "FR"),
        (40, ""),
        (50, "SE"),
        (55, ""),
        (58, "SE"),
        (100, "FI"),
        (101, ""),
    ]
    with pytest.raises(ValueError, match="out of order"):
        starts_of([(10, 19, "DE"), (5, 6, "FR")], [], 0)


# ------------------------------------------------------------------- files that users name


def test_a_named_file_wins(tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    file.write_text("8.8.8.0,8.8.8.255,CH,ZH,Zürich\n")
    places = open_places(str(file))
    assert (places.find("8.8.8.8"), places.find("193.0.6.139")) == (Place("CH", "ZH", "Zürich"), Place())


def test_a_file_in_the_layout_of_geolite2_city(tmp_path: Path) -> None:
    nameless = {"country": {"iso_code": "JP"}, "subdivisions": [], "city": {"names": {"ja": "東京"}}}
    records = {"81.2.69.0/24": CITY, "2001:218::/32": nameless, "1.2.3.0/24": {"continent": {"code": "OC"}}}
    places = open_places(str(mmdb(tmp_path, records)))
    assert places.find("81.2.69.142") == places.find("::ffff:81.2.69.142") == Place("GB", "ENG", "London")
    assert places.find("2001:218:1::9") == Place("JP")
    for address in ("1.2.3.4", "81.2.70.0", "2a00::1", "10.0.0.1", "", "nonsense", "81.2.69.142:80", "::ffff:nonsense.x"):
        assert places.find(address) == Place()


@pytest.mark.parametrize("record", [{"country": {"iso_code": "SE"}}, {"country_code": "SE"}, {"country": "SE", "city": "Lund"}])
def test_files_of_countries_in_their_layouts(tmp_path: Path, record: object) -> None:
    places = open_places(str(mmdb(tmp_path, {"130.237.0.0/16": record, "2001:6b0::/32": record})))
    assert places.find("130.237.28.40").country == places.find("2001:6b0::1").country == "SE"


@pytest.mark.parametrize("record", ["SE", ["SE"], 7, {"country": 7, "subdivisions": ["x"], "city": ["y"]}, {"country_code": 46}])
def test_a_layout_that_nobody_knows_is_an_unknown_place(tmp_path: Path, record: object) -> None:
    assert open_places(str(mmdb(tmp_path, {"130.237.0.0/16": record}))).find("130.237.28.40") == Place()


def test_a_file_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    places = open_places(str(mmdb(tmp_path, {"81.2.69.0/24": CITY}, version=4)))
    assert places.find("81.2.69.142") == places.find("::ffff:81.2.69.142") == Place("GB", "ENG", "London")
    assert places.find("2001:218::1") == Place()


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = mmdb(tmp_path, {"81.2.69.0/24": CITY})
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(AlmanacError, match="cannot be read") as refused:
        open_places(str(file))
    assert refused.value.place == "geo_file"


def test_a_file_that_is_damaged_inside_does_not_stop_the_load(tmp_path: Path) -> None:
    """The tree and the end of the file are whole, the records are not: the first look-up finds out."""
    file = mmdb(tmp_path, {"81.2.69.0/24": CITY})
    content = file.read_bytes()
    records = content.index(bytes(16)) + 16  # sixteen zeros divide the tree from the records
    end = content.rindex(b"\xab\xcd\xefMaxMind.com")
    file.write_bytes(content[:records] + b"\xff" * (end - records) + content[end:])
    places = open_places(str(file))
    with capture_logs() as told:
        assert places.find("81.2.69.142") == places.find("81.2.69.143") == Place()
    assert [entry["event"] for entry in told] == ["the geo file is damaged; some addresses stay without a place"]


@pytest.mark.parametrize("name", ["gone.mmdb", "gone.csv"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AlmanacError, match="does not exist") as refused:
        open_places(str(tmp_path / name))
    assert refused.value.place == "geo_file"


def test_places_of_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    file.write_text(
        "start,end,country,region,city\n"
        "81.2.69.0,81.2.69.255,GB,ENG,London\n"
        "2.125.160.216,2.125.160.223,GB\n"
        "2001:218::,2001:218:ffff:ffff:ffff:ffff:ffff:ffff,JP,13,Tokyo\n"
        "16909056,16909311,AU\n"
    )
    places = open_places(str(file))
    assert places.find("81.2.69.142") == Place("GB", "ENG", "London")
    assert places.find("81.2.69.0") == places.find("81.2.69.255") == Place("GB", "ENG", "London")
    assert places.find("81.2.70.0") == Place()
    assert places.find("2.125.160.220") == Place("GB")
    assert places.find("2001:218:1::9") == Place("JP", "13", "Tokyo")
    assert places.find("1.2.3.4") == Place("AU")  # 16909060 as a number
    assert places.find("::ffff:81.2.69.142") == Place("GB", "ENG", "London")  # how a dual-stack socket writes an IPv4 address
    assert places.find("0.0.0.0") == places.find("") == places.find("nonsense") == places.find("81.2.69.142:80") == Place()


@pytest.mark.parametrize(
    ("name", "text", "place"), [("a.csv", "h,h\nnonsense,x,DE\n", "line 2"), ("a.txt", "", "geo_file"), ("a.mmdb", "no", "geo_file")]
)
def test_a_file_that_is_no_geo_file_is_refused(tmp_path: Path, name: str, text: str, place: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(AlmanacError) as refused:
        open_places(str(file))
    assert place in refused.value.place
