"""No address leads inside, however it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RefusedError
from mien.server.addresses import is_listed, is_public, take_apart

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"]
INSIDE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:a9fe:a9fe",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_all_others_are_not(address):
    assert not is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_no_private_ipv4_address_is_public_in_any_clothing(number):
    four = ipaddress.IPv4Address(number)
    if four.is_private or four.is_loopback or four.is_link_local or four.is_multicast:
        assert not is_public(str(four))
    for prefix in (0xFFFF << 32, 0, 0x64FF9B << 96, (0x2002 << 112) | (number << 80)):
        assert not is_public(str(ipaddress.IPv6Address(prefix | number)))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://photos.example/a.jpg", "https://photos.example/a.jpg"),
        ("HTTPS://Photos.Example:443", "https://photos.example/"),
        ("https://photos.example./a?b=c#d", "https://photos.example/a?b=c"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x"),
        ("https://[2606:4700:0:0::1111]:443/x", "https://[2606:4700::1111]/x"),
        ("https://a.example/?u=http://127.0.0.1/", "https://a.example/?u=http://127.0.0.1/"),
    ],
)
def test_an_address_has_one_way_to_be_written(url, told):
    assert take_apart(url).url == told


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.jpg",
        "/etc/passwd",
        "//photos.example/a.jpg",
        "file:///etc/passwd",
        "ftp://photos.example/",
        "gopher://photos.example/",
        "data:image/png;base64,AAAA",
        "http://photos.example/",
        "https://",
        "https:///a",
        "https://photos.example:22/",
        "https://photos.example:99999/",
        "https://photos.example:-1/",
        "https://photos.example:x/",
        "https://user@photos.example/",
        "https://user:pw@photos.example/",
        "https://photos.example@127.0.0.1/",
        "https://photos.example\\@127.0.0.1/",
        "https://photos.example\\.evil.example/",
        "https://photos.example /",
        "https://photos.example/a b",
        "https://photos.example/\r\nHost: x",
        "https://photos.example/\x00",
        " https://photos.example/",
        "https://photos.example/" + "a" * 3000,
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.01/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://0/",
        "https://０x7f000001/",
        "https://１２７.０.０.１/",
        "https://ⓔxample.com/",
        "https://localhost。/",
        "https://bücher.example/",
        "https://%31%32%37.0.0.1/",
        "https://photos..example/",
        "https://photos.example../",
        "https://.example/",
        "https://-a.example/",
        "https://a_b.example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[v1.x]/",
        "https://[photos.example]/",
        "https://[127.0.0.1]/",
    ],
)
def test_tricky_addresses_are_refused(url):
    with pytest.raises(RefusedError, match="this address is not fetched"):
        take_apart(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_addresses_that_are_well_written_but_lead_inside_do_not_pass_the_other_check(host):
    assert not is_public(take_apart(f"https://{host}/").host)


def test_plain_http_passes_only_if_allowed():
    assert take_apart("http://photos.example/", allow_http=True).port == 80
    assert take_apart("http://photos.example:443/", allow_http=True).authority.endswith(":443")


@given(st.text(max_size=60))
def test_any_text_is_taken_apart_or_refused_and_hosts_are_plain(text):
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            target = take_apart(url)
        except RefusedError:
            continue
        assert take_apart(target.url) == target
        assert target.host.isascii()
        assert not set(target.host) & set("@/\\%?# ")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("b.jpg", "https://a.example/x/b.jpg"),
        ("/b", "https://a.example/b"),
        ("//b.example/c", "https://b.example/c"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_redirects_are_relative_to_where_they_come_from(place, told):
    assert take_apart("https://a.example/x/a.jpg").follow(place) == told


def test_hosts_are_listed_whole_or_below_a_dot():
    allowed = ("a.example", ".b.example")
    assert is_listed("a.example", allowed)
    assert is_listed("x.b.example", allowed)
    for host in ("x.a.example", "b.example", "xb.example", "a.example.evil.example"):
        assert not is_listed(host, allowed)
