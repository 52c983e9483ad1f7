"""Write the networks that brownie knows here: a chain of its own, and the one at a URL.

`development` is an anvil that brownie starts on a free port, with London's rules and blocks of
60 M gas; were the port fixed, brownie would attach to, and revert, whatever chain is there.
`yui` is the chain at YUI_RPC_URL. Its brownie id joins chain id and genesis, so that what
brownie remembers of a chain that is gone is not taken for this one.

Run as a program by `deploy/with-tools`: `python deploy/network.py HOME`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from urllib.request import Request, urlopen


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(url: str, method: str, *parameters: object) -> object:
    """Return a node's answer to a JSON-RPC request.

    Raises:
        OSError, ValueError, KeyError: if no node answers there.
    """
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)["result"]


def identity(url: str) -> str:
    """Return what tells the chain at a URL from others: chain id and start of its genesis hash.

    Raises:
        OSError, ValueError, KeyError: if no node answers there.
    """
    genesis = asked(url, "eth_getBlockByNumber", "0x0", False)
    assert isinstance(genesis, dict)
    return f"{int(str(asked(url, 'eth_chainId')), 16)}_{genesis['hash'][2:10]}"


def networks(url: str | None, chain: str, port: int) -> dict[str, object]:
    """Return brownie's network configuration."""
    own = {"id": "development", "name": "A chain of its own", "cmd": "anvil"}
    settings = {
        "port": port,
        "accounts": 10,
        "base_fee": 0,
        "gas_limit": 60_000_000,
        "evm_version": "london",
    }
    live = [{"id": "yui", "name": "The chain at YUI_RPC_URL", "host": url, "chainid": chain}]
    return {
        "live": [{"name": "Yui", "networks": live}] if url else [],
        "development": [{**own, "host": "http://127.0.0.1", "cmd_settings": settings}],
    }


def main() -> None:
    """Write the configuration into the home folder named by the first argument."""
    folder = Path(sys.argv[1]) / ".brownie"
    url = os.environ.get("YUI_RPC_URL")
    try:
        chain = identity(url) if url else ""
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"YUI_RPC_URL must lead to a node, got {url}: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    # JSON is YAML as well.
    (folder / "network-config.yaml").write_text(json.dumps(networks(url, chain, free_port())))


if __name__ == "__main__":
    main()
