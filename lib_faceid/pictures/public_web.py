"""A picture from a web address that a stranger wrote: from public machines only, small, and soon or not at all.

The name is resolved once, and the connection goes to the very address that was checked: a name server that gives
another answer the second time changes nothing. Every redirect is checked like the first address. No proxy is used,
because a proxy would resolve the name again.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, urljoin, urlsplit

from lib_faceid.errors import PhotoError
from lib_faceid.pictures.photo import MAX_BASE64_BYTES

__all__ = ["fetch_public", "is_public"]

MAX_BYTES = MAX_BASE64_BYTES
MAX_REDIRECTS = 3
SILENCE_SECONDS = 10.0
"""How long a server may say nothing."""
DEAD_ROUTE_SECONDS = 3.0
"""How long an address is waited for where the host has another one."""
TOTAL_SECONDS = 30.0
"""How long everything may take, redirects included."""
CHUNK_BYTES = 1 << 16
SAFE = "/%:@!$&'()*+,;=~?"  # in a path or a query; everything else is encoded
SEND_IT = "Send the picture itself, as base64."

# Public by their number, and yet no stranger's: what `ipaddress` of some Python in use lets through.
BLOCKED = [
    ip_network(block)
    for block in (
        "100.64.0.0/10",  # providers' own networks; one cloud's metadata
        "168.63.129.16/32",  # Azure's machine agent
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata
        "192.88.99.0/24",  # 6to4 relays
        "2002::/16",  # 6to4: an IPv4 address inside
        "64:ff9b:1::/48",  # NAT64 of a private network
        "fec0::/10",  # one site's own, as it was done once
    )
]
NAT64 = ip_network("64:ff9b::/96")


def fetch_public(url: str) -> bytes:
    """Return what is at a web address, up to `MAX_BYTES`. Raises PhotoError, which names the host and nothing else."""
    deadline = time.monotonic() + TOTAL_SECONDS
    target = _target(url)
    for _ in range(MAX_REDIRECTS + 1):
        with _answer(target, deadline) as response:
            if response.status not in (301, 302, 303, 307, 308):
                return _content(response, target)
            url = urljoin(url, response.headers.get("Location", ""))
        target = _target(url)
    raise PhotoError(f"{_short(target.host)} redirected more than {MAX_REDIRECTS} times. {SEND_IT}")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to a machine that anybody may reach, and not to this one or its neighbours."""
    ip = ip_address(address.partition("%")[0])
    return _is_global(_inside(ip) if isinstance(ip, IPv6Address) else ip)


@dataclass(frozen=True)
class _Target:
    """A checked address, in parts."""

    is_encrypted: bool
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """The value of the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.is_encrypted else 80) else f"{name}:{self.port}"


class _Pinned(HTTPConnection):
    """A connection to one of the checked addresses, whatever the name resolves to meanwhile; it can be cut."""

    def __init__(self, target: _Target, addresses: Sequence[str]) -> None:
        super().__init__(target.host, target.port, timeout=SILENCE_SECONDS)
        self._target, self._addresses = target, addresses
        # Kept, because a response takes the socket over and `close` is then called before it is read.
        self._wire: socket.socket | None = None
        self.is_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers; encrypted, to the host that was named."""
        self.sock = self._wire = self._reached()
        if self._target.is_encrypted:
            context = ssl.create_default_context()
            # The handshake comes after the assignment, so that it can be cut too.
            encrypted = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._wire = encrypted
            encrypted.do_handshake()
        if self.is_cut:
            raise TimeoutError

    def _reached(self) -> socket.socket:
        """Return a connection to the first address that has one: a host may name a route that is dead (IPv6)."""
        for address in self._addresses[:-1]:
            try:
                return socket.create_connection((address, self.port), min(SILENCE_SECONDS, DEAD_ROUTE_SECONDS))
            except OSError:  # noqa: PERF203 - a handful of addresses
                if self.is_cut:
                    raise
        return socket.create_connection((self._addresses[-1], self.port), self.timeout)

    def cut(self) -> None:
        """End whatever is being waited for."""
        self.is_cut = True
        if self._wire is not None:
            with suppress(OSError):  # it has ended already
                self._wire.shutdown(socket.SHUT_RDWR)


def _target(url: str) -> _Target:
    """Return the parts of an address. Raises PhotoError for anything but a plain web address."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:  # no host, or no port, that could be meant
        parts, port, host = urlsplit(""), None, ""
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise PhotoError(f"That is no web address of a picture: http:// or https://, a host and a path. {SEND_IT}")
    path = quote(parts.path or "/", safe=SAFE) + (f"?{quote(parts.query, safe=SAFE)}" if parts.query else "")
    is_encrypted = parts.scheme == "https"
    return _Target(is_encrypted, host, port or (443 if is_encrypted else 80), path)


def _public_addresses(target: _Target) -> tuple[str, ...]:
    """Return the addresses that a host may be reached at, in the system's order.

    Raises PhotoError when one of them is not public.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise PhotoError(f"The host {_short(target.host)} was not found. Check the address. {SEND_IT}") from error
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not all(map(is_public, addresses)):
        raise PhotoError(
            f"{_short(target.host)} is this machine or one of its own network; requests may name public hosts only. "
            f"{SEND_IT}"
        )
    return tuple(dict.fromkeys(addresses))


@contextmanager
def _answer(target: _Target, deadline: float) -> Generator[HTTPResponse, None, None]:
    """Give the response to a GET. Turns whatever goes wrong on the way into PhotoError."""
    connection = _Pinned(target, _public_addresses(target))
    timer = threading.Timer(max(deadline - time.monotonic(), 0), connection.cut)
    timer.daemon = True
    headers = {"Host": target.header, "User-Agent": "sd-webui-faceid", "Accept": "image/*", "Connection": "close"}
    try:
        timer.start()
        connection.request("GET", target.path, headers=headers)
        with connection.getresponse() as response:
            yield response
        if connection.is_cut:  # what was read until then looks like an end
            raise TimeoutError
    except (OSError, HTTPException, ValueError) as error:
        is_slow = connection.is_cut or isinstance(error, TimeoutError)
        why = "took too long" if is_slow else f"could not be read from ({type(error).__name__})"
        raise PhotoError(f"{_short(target.host)} {why}. Try again. Or: {SEND_IT}") from error
    finally:
        timer.cancel()
        connection.close()


def _content(response: HTTPResponse, target: _Target) -> bytes:
    host = _short(target.host)
    if response.status != 200:
        raise PhotoError(f"{host} answered {response.status} instead of a picture. Check the address. {SEND_IT}")
    content = bytearray()
    while len(content) <= MAX_BYTES and (chunk := response.read1(CHUNK_BYTES)):
        content += chunk
    if len(content) > MAX_BYTES:
        raise PhotoError(f"The picture at {host} is larger than {MAX_BYTES >> 20} MiB. Send a smaller one.")
    return bytes(content)


def _is_global(ip: IPv4Address | IPv6Address) -> bool:
    is_odd = ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local or ip.is_loopback
    return ip.is_global and not is_odd and not any(ip in block for block in BLOCKED)


def _inside(ip: IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or else itself."""
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip


def _short(host: str) -> str:
    return host if len(host) <= 60 else f"{host[:59]}…"
