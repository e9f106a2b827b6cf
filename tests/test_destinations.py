"""Which URLs callbacks may go to, and which addresses behind them."""

from ipaddress import ip_address

import pytest

from gateway.destinations import (
    Destination,
    Policy,
    check_url,
    destination,
    is_public,
    parse_origin,
    rewrite,
    target,
)
from gateway.errors import InvalidRequest

PUBLIC = Policy.of([])
LISTED = Policy.of(["http://n8n:5678", "https://N8N.Example.com:443/", "http://[::1]:80"])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://n8n.example.com/webhook-waiting/7?signature=ab", "https://n8n.example.com"),
        ("https://n8n.example.com:443", "https://n8n.example.com"),
        ("HTTPS://N8N.Example.COM/x", "https://n8n.example.com"),
        ("https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example"),
        ("https://a_b.example.com?x", "https://a_b.example.com"),
        ("https://1.1.1.1/x", "https://1.1.1.1"),
        ("https://[2606:4700:4700:0::1111]/x", "https://[2606:4700:4700::1111]"),
    ],
)
def test_public_https_is_allowed_by_default(url: str, origin: str) -> None:
    """Without a list, callbacks go to public hosts by https on port 443."""
    assert check_url(url, PUBLIC) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/webhook-waiting/7",
        "n8n.example.com/x",
        "ftp://n8n.example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://n8n.example.com/x",
        "https://n8n.example.com:5678/x",
        "https://n8n.example.com:0/x",
        "https://n8n.example.com:65536/x",
        "https://n8n.example.com:4٤3/x",
        "https://user@n8n.example.com/x",
        "https://user:secret@n8n.example.com/x",
        "https://n8n.example.com@127.0.0.1/x",
        "https://127.0.0.1\\@n8n.example.com/x",
        "https://n8n.example.com\\.evil.test/x",
        "https://n8n.example.com/x\r\nHost: evil.test",
        "https://n8n.example.com/x y",
        " https://n8n.example.com/x",
        "https://n8n.example.com/x\n",
        "https://n8n.exa\tmple.com/x",
        "https:/n8n.example.com/x",
        "https:///x",
        "https://:443/x",
        "https://n8n.example.com/żółć",
        "https://n8n.example.com./x",
        "https://n8n..example.com/x",
        "https://-n8n.example.com/x",
        "https://n8n%2eexample.com/x",
        "https://" + "a" * 64 + ".example.com/x",
        "https://" + "a." * 130 + "example.com/x",
        "https://n8n.example.com/" + "x" * 4_096,
        "https://localhost/x",
        "https://LOCALHOST/x",
        "https://n8n/x",
        "https://app.localhost/x",
        "https://printer.local/x",
        "https://metadata.google.internal/x",
        "https://127.0.0.1/x",
        "https://127.0.0.1./x",
        "https://127.1/x",
        "https://0/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://0x7f.0.0.1/x",
        "https://0177.0.0.1/x",
        "https://127.0.0.01/x",
        "https://127.0.0.0x1/x",
        "https://1.2.3.4.5/x",
        "https://example.1/x",
        "https://①②⑦.⓪.⓪.①/x",
        "https://127。0。0。1/x",
        "https://１２７.0.0.1/x",
        "https://ⓛocalhost/x",
        "https://10.0.0.8/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:1.1.1.1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://[fe80::1%eth0]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[v1.x]/x",
        "https://[::1/x",
        "https://::1/x",
    ],
)
def test_what_is_not_public_https_is_refused(url: str) -> None:
    """Every trick that makes a client call another host than the text names is refused."""
    with pytest.raises(InvalidRequest, match=r"^callback_url must ") as refusal:
        check_url(url, PUBLIC, field="callback_url")
    assert refusal.value.field == "callback_url"


@pytest.mark.parametrize(
    "url",
    ["http://n8n:5678/x?y", "https://n8n.example.com/x", "http://[0:0::1]/x", "http://N8N:5678"],
)
def test_a_listed_origin_is_allowed_as_it_is(url: str) -> None:
    """The operator may name plain http, other ports and private hosts."""
    check_url(url, LISTED)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/x",
        "http://n8n.example.com/x",
        "http://n8n/x",
        "https://n8n:5678/x",
        "http://n8n:5678@127.0.0.1/x",
        "http://n8n:56789/x",
        "http://n8n.evil.test:5678/x",
    ],
)
def test_a_filled_list_is_the_whole_list(url: str) -> None:
    """Another scheme, port or host than a listed one is refused, public https too."""
    with pytest.raises(InvalidRequest):
        check_url(url, LISTED)


def test_the_word_public_adds_public_https_to_a_list() -> None:
    """A list may name private origins and keep everything public."""
    policy = Policy.of(["public", "http://n8n:5678"])
    assert policy == Policy(origins=frozenset({"http://n8n:5678"}), public=True)
    check_url("https://other.example.com/x", policy)
    with pytest.raises(InvalidRequest):
        check_url("http://other.example.com/x", policy)


def test_development_allows_everything_until_a_list_is_given() -> None:
    """A laptop's n8n needs no configuration; a list means what it says in development too."""
    url = "http://localhost:5678/x"
    assert destination(url, Policy.of([], dev_mode=True), {}).trusted
    with pytest.raises(InvalidRequest):
        check_url(url, Policy.of(["public"], dev_mode=True))


@pytest.mark.parametrize(
    "entry", ["n8n.example.com", "https://n8n.example.com/x", "https://*.example.com", "", "*"]
)
def test_an_entry_that_is_no_origin_is_refused(entry: str) -> None:
    """The sentence names the entry, so that its writer finds it."""
    with pytest.raises(ValueError, match="must") as refusal:
        Policy.of([entry])
    assert repr(entry) in str(refusal.value)


def test_origins_have_one_form() -> None:
    """Case, the default port and a last slash make no difference."""
    assert parse_origin("HTTPS://N8N.Example.com:0443/") == "https://n8n.example.com"
    assert parse_origin("http://[0:0::1]:8080") == "http://[::1]:8080"


def test_a_rewrite_keeps_path_and_query_byte_for_byte() -> None:
    """The signature in a URL survives the way into the internal network."""
    rewrites = {"https://n8n.example.com": "http://n8n:5678"}
    tail = "/a%2Fb/../c//?signature=ab%2bcd&x=a+b;c=~%7E#f"
    assert rewrite(f"https://N8N.example.com:443{tail}", rewrites) == f"http://n8n:5678{tail}"
    assert rewrite(f"https://other.example.com{tail}", rewrites) == (
        f"https://other.example.com{tail}"
    )


def test_only_what_the_operator_named_is_trusted() -> None:
    """A listed or rewritten origin may have a private address; any other may not."""
    rewrites = {"https://n8n.example.com": "http://n8n:5678"}
    policy = Policy.of(["public", "http://flow:80"])
    urls = ["https://n8n.example.com/a", "http://flow/b", "https://else.example.com/c"]
    assert [destination(url, policy, rewrites) for url in urls] == [
        Destination("http://n8n:5678/a", "https://n8n.example.com", True),
        Destination("http://flow/b", "http://flow", True),
        Destination("https://else.example.com/c", "https://else.example.com", False),
    ]


@pytest.mark.parametrize("text", ["1.1.1.1", "8.8.8.8", "2606:4700::1", "2a00:1450:4001::8a"])
def test_hosts_of_the_open_internet_are_public(text: str) -> None:
    """Ordinary addresses of both families may be called."""
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::101:101",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:101:101::1",
        "2001:20::1",
        "2001:db8::1",
        "2002::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_lead_inside_are_not_public(text: str) -> None:
    """Private, shared, documented, multicast, mapped and translated forms are all refused."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://n8n.example.com/x?y=%2F", "https://n8n.example.com/x?y=%2F"),
        ("HTTPS://N8N.example.com:443/X?Y#z?a", "https://n8n.example.com/X?Y"),
        ("https://n8n.example.com", "https://n8n.example.com/"),
        ("https://n8n.example.com?x", "https://n8n.example.com/?x"),
        ("https://n8n.example.com#x", "https://n8n.example.com/"),
        ("http://[::0:1]:5678/x", "http://[::1]:5678/x"),
    ],
)
def test_what_a_url_calls_is_written_in_one_way(url: str, called: str) -> None:
    """Path and query as they are; no fragment, no case in the host, no default port."""
    assert target(url) == called
    assert target(called) == called
