"""Where links lead: to the host of the request, what proxies say of it, or what is set."""

import json

import pytest

from tests.e2e import wire
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import CODE, Gateway


async def init_at(gateway: Gateway, n8n: N8n, *lines: str) -> wire.Answer:
    """Init over a bare socket with these header lines, the Host among them."""
    asked = {"app_code": CODE, "resumeUrl": n8n.wait_for(Execution()), "prompt": "one two"}
    body = json.dumps(asked).encode()
    kind = "Content-Type: application/json"
    head = ["POST /init-stream HTTP/1.1", kind, f"Content-Length: {len(body)}"]
    text = "\r\n".join([*head, "Connection: close", *lines])
    return await wire.exchange(gateway.origin, f"{text}\r\n\r\n".encode() + body)


HOSTS = {
    "gw.example": "http://gw.example/stream/",
    "gw.example:8443": "http://gw.example:8443/stream/",
    "[::1]:5000": "http://[::1]:5000/stream/",
    "127.0.0.1": "http://127.0.0.1/stream/",
}


@pytest.mark.parametrize(("host", "start"), HOSTS.items())
async def test_a_stream_is_at_the_host_of_the_request(
    gateway: Gateway, n8n: N8n, host: str, start: str
) -> None:
    """Where no PUBLIC_URL is set; a stranger's word about another host is not heard."""
    lines = (f"Host: {host}", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https")
    reply = await init_at(gateway, n8n, *lines, "Forwarded: host=evil.example")
    assert reply.json()["streamUrl"].startswith(start)
    await n8n.arrived(1)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "u@evil.example",
        "a:b",
        "a:",
        "[::1",
        "a\\b",
        '"><x>',
        "żółć",
    ],
)
async def test_a_host_that_is_none_is_refused(gateway: Gateway, n8n: N8n, host: str) -> None:
    """Nothing is begun for a request whose link could not be given."""
    reply = await init_at(gateway, n8n, f"Host: {host}")
    assert reply.status == 400
    body = json.dumps({"app_code": CODE, "prompt": "hi"}).encode()
    headers = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body))}
    head = wire.head("POST", gateway.origin, "/assistant/request", headers)
    reply = await wire.exchange(gateway.origin, head + body)
    told = {"code": "INVALID_REQUEST", "message": "The Host header names no host.", "field": "Host"}
    assert (reply.status, reply.json()) == (400, {"error": told})
    assert gateway.busy() == {}
    assert n8n.posts == []


async def test_a_public_url_beats_every_host(n8n: N8n) -> None:
    """With its path."""
    async with Gateway(
        PUBLIC_URL="https://ai.example/gw/", CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        for host in ("evil.example", "a b"):
            reply = await init_at(gateway, n8n, f"Host: {host}")
            assert reply.json()["streamUrl"].startswith("https://ai.example/gw/stream/2")
        await n8n.arrived(2)


async def test_a_trusted_proxy_says_where_the_stream_is(n8n: N8n) -> None:
    """By X-Forwarded-Host and -Proto; nonsense there is refused as anywhere."""
    async with Gateway(
        TRUSTED_PROXIES="127.0.0.0/8", CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        host = ("Host: inside:5000", "X-Forwarded-Host: ai.example")
        reply = await init_at(gateway, n8n, *host, "X-Forwarded-Proto: https")
        assert reply.json()["streamUrl"].startswith("https://ai.example/stream/")
        reply = await init_at(gateway, n8n, *host, "X-Forwarded-Proto: javascript")
        assert reply.status == 400
        reply = await init_at(gateway, n8n, "Host: inside:5000")
        assert reply.json()["streamUrl"].startswith("http://inside:5000/stream/")
        await n8n.arrived(2)


CHAINS = {
    "the first, where nobody says how many there were": ("a.example, b.example", "", "a.example"),
    "the first of two": ("a.example, b.example", "9.9.9.9, 127.0.0.2", "a.example"),
    "not what the caller claims": ("evil.test, a.example", "9.9.9.9", "a.example"),
    "nor before two": ("evil.test,a.example,b.example", "8.8.8.8, 9.9.9.9,127.0.0.2", "a.example"),
    "the only one of two": ("a.example", "9.9.9.9, 127.0.0.2", "a.example"),
}


@pytest.mark.parametrize(("hosts", "passed", "host"), CHAINS.values(), ids=CHAINS)
async def test_the_first_trusted_proxy_says_where_the_stream_is(
    n8n: N8n, hosts: str, passed: str, host: str
) -> None:
    """Of several in a row, each of which adds to the list."""
    async with Gateway(
        TRUSTED_PROXIES="127.0.0.0/8", CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        claimed = [f"X-Forwarded-For: {passed}"] if passed else []
        schemes = hosts.replace("evil.test", "javascript").replace("a.example", "https")
        lines = ("Host: inside:5000", f"X-Forwarded-Host: {hosts}", f"X-Forwarded-Proto: {schemes}")
        reply = await init_at(gateway, n8n, *lines, *claimed)
        assert reply.json()["streamUrl"].startswith(f"https://{host}/stream/")
        reply = await init_at(gateway, n8n, "Host: inside:5000", "X-Forwarded-Host: ,")
        assert reply.status == 400
        await n8n.arrived(1)
