"""The duties of a control room that takes calls: the desk, HTTP, and OpenADR where it is set.

`answering` is one task among the room's others: it ends with them, and goes on where its store is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import uvicorn

from chain.store import opened, stored
from energy.errors import SettingError
from vpp.calls.desk import Desk, Wanted, nothing_wanted
from vpp.calls.evidence import fulfilled
from vpp.calls.fulfilment import Fulfilment
from vpp.calls.rest import app_of
from vpp.calls.room import Planned, Room, unplanned
from vpp.calls.settings import CallSettings, secret_in
from vpp.calls.split import Costs, by_charge
from vpp.calls.store import CallStore
from vpp.calls.ven import Evidence, Ven
from vpp.calls.vtn import Vtn


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(host: str, port: int) -> socket.socket:
    """Return a socket at which calls are taken: on this machine, or a network that is private.

    Raises:
        SettingError: if the address is open to the world, or the port is taken.
    """
    try:
        reachable = host != "localhost" and ip_address(host).is_global
        unspecified = host != "localhost" and ip_address(host).is_unspecified
    except ValueError as error:
        raise SettingError(f"host must be an address, got {host!r}") from error
    if reachable or unspecified:
        raise SettingError(
            f"host must be a loopback or private address, got {host}: "
            "put a proxy with TLS in front of it"
        )
    channel = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind((host, port))
    except OSError as error:
        channel.close()
        raise SettingError(f"port {port} of {host} must be free, got {error}") from error
    return channel


def evidence_of(settings: CallSettings, store: CallStore) -> Evidence | None:
    """Return what reports a call by the chain's readings; None where no chain's store is set."""
    if settings.chain is None:
        return None
    engine = opened(settings.chain)

    def report(name: str) -> Fulfilment:
        with stored(engine) as chain:
            return fulfilled(store, chain, name, settings.reverse_flow)

    return report


async def answering(
    settings: CallSettings,
    room: Room,
    planned: Planned = unplanned,
    costs: Costs = by_charge,
    wanted: Wanted = nothing_wanted,
    ready: asyncio.Future[int] | None = None,
) -> None:
    """Take calls until cancelled; `ready` is told the port.

    Raises:
        SettingError: for an address, a port or a secret that cannot be used.
        StoreError: if a store does not answer.
    """
    token = secret_in(settings.token, "the token of who posts calls")
    store = CallStore.at(settings.store)
    desk = Desk(store, room, planned, costs, wanted)
    channel = listening(settings.host, settings.port)
    config = uvicorn.Config(
        app_of(desk, token, settings.products), log_config=None, access_log=False, lifespan="off"
    )
    async with contextlib.AsyncExitStack() as stack:
        ven = None
        if settings.openadr is not None:
            adr = settings.openadr
            secret = secret_in(adr.client_secret, "the VTN's client secret")
            vtn = Vtn(adr.vtn, adr.client_id, secret, adr.scope, adr.token_url)
            stack.push_async_callback(vtn.close)
            ven = Ven(vtn, desk, adr.ven, settings.products, evidence_of(settings, store))
        duties = await stack.enter_async_context(asyncio.TaskGroup())
        duties.create_task(desk.run())
        duties.create_task(_Server(config).serve([channel]))
        if ven is not None and settings.openadr is not None:
            duties.create_task(ven.run(settings.openadr.poll_seconds))
        if ready is not None:
            ready.set_result(channel.getsockname()[1])
