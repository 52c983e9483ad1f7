"""Write the slim ABI and bytecode of the contracts to `chain/abi/`: ours from what brownie
compiled, those of the council from what Safe published (npm, LGPL-3.0), unchanged.

`make abi` runs it; `yui` needs no compiler because of it. `--check` writes nothing and fails
where a file is not current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ("Market", "Origin")
PUBLISHED = {
    "Safe": "Safe.sol",
    "SafeProxy": "proxies/SafeProxy.sol",
    "SafeProxyFactory": "proxies/SafeProxyFactory.sol",
    "CompatibilityFallbackHandler": "handler/CompatibilityFallbackHandler.sol",
    "MultiSendCallOnly": "libraries/MultiSendCallOnly.sol",
}
_ARTIFACTS = ROOT / "node_modules/@safe-global/safe-smart-account/build/artifacts/contracts"


def exported(name: str) -> str:
    """Return a contract's ABI and bytecode as JSON, an entry a line."""
    if name in PUBLISHED:
        build = json.loads((_ARTIFACTS / PUBLISHED[name] / f"{name}.json").read_text())
        codes = {"bytecode": build["bytecode"], "runtime": build["deployedBytecode"]}
    else:
        build = json.loads((ROOT / "build" / "contracts" / f"{name}.json").read_text())
        codes = {"bytecode": "0x" + build["bytecode"].removeprefix("0x")}
    entries = ",\n".join(json.dumps(entry, sort_keys=True) for entry in build["abi"])
    after = ",\n".join(f'"{kind}": "{code}"' for kind, code in codes.items())
    return f'{{"abi": [\n{entries}\n],\n{after}}}\n'


def main(arguments: list[str]) -> None:
    """Write the files, or check them."""
    for name in (*CONTRACTS, *PUBLISHED):
        path = ROOT / "chain" / "abi" / f"{name}.json"
        if arguments == ["--check"]:
            if not path.exists() or path.read_text() != exported(name):
                sys.exit(f"chain/abi/{name}.json must be current: run make abi")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(exported(name))
            print(f"chain/abi/{name}.json written")


if __name__ == "__main__":
    main(sys.argv[1:])
