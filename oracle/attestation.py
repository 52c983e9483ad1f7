"""The duty after each day: recompute its origins from the chain, and sign their root.

The store is the terminal's own, indexed from the node of the settings: nobody else's word is
taken. A terminal whose settings name no ledger of origins attests nothing.
"""

from __future__ import annotations

from chain.attesting import Attestor
from chain.origin import OriginContract
from chain.store import opened
from chain.terminal import TerminalChain
from oracle.keys import Signer
from oracle.settings import Settings


def attestor_of(settings: Settings, chain: TerminalChain, signer: Signer) -> Attestor | None:
    """Return what attests a site's days; None where the settings name no ledger of origins.

    Raises:
        SettingError: if the store cannot be opened.
    """
    if settings.chain.origin is None:
        return None
    origin = OriginContract(chain.node, settings.chain.origin)
    return Attestor(
        opened(str(settings.store)),
        chain.node,
        settings.chain.market,
        origin,
        settings.site,
        lambda attestation: signer.sign_digest(attestation.digest(origin.domain)),
    )
