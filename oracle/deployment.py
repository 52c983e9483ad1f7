"""The deployment that a terminal works for: reached, recognised, and its key enrolled there."""

from __future__ import annotations

import asyncio

from chain.market import MarketContract
from chain.node import NodeChain
from chain.terminal import TerminalChain
from energy.errors import SettingError
from energy.units import SLOT_SECONDS
from oracle.keys import CommandSigner, KeySigner, Signer, passphrase_from, unlocked
from oracle.settings import Settings


async def connected(settings: Settings, payer: bytes) -> TerminalChain:
    """Return the deployment of the settings, on the chain that answers there.

    Raises:
        ChainError: if no node answers.
        SettingError: if it is another chain, or no such market is there.
    """
    wanted = settings.chain

    def connect() -> TerminalChain:
        node = NodeChain(wanted.rpc, payer, wanted.gas_price_wei, wanted.confirmations)
        where = f"{settings.path}: [chain]"
        if node.chain_id != wanted.chain_id:
            raise SettingError(
                f"{where} chain_id must be that of {wanted.rpc}, which is {node.chain_id}, "
                f"got {wanted.chain_id}"
            )
        market = MarketContract(node, wanted.market)
        if not node.code_at(wanted.market) or market.domain_separator() != wanted.domain.separator:
            raise SettingError(
                f"{where} market must be a market on {wanted.rpc}, got {wanted.market}"
            )
        return TerminalChain(market)

    return await asyncio.to_thread(connect)


async def check_enrolled(
    chain: TerminalChain, settings: Settings, address: str, now_seconds: int
) -> None:
    """Refuse a key that is not the site's oracle key, now or beyond the order horizon.

    Raises:
        SettingError: naming the key that is enrolled.
    """
    slot = now_seconds // SLOT_SECONDS
    rules = await asyncio.to_thread(lambda: chain.market.rules)
    terms = await chain.terms_of(settings.site, [slot, slot + rules.horizon + 1])
    keys = {each.oracle for each in terms if each.oracle is not None}
    if address not in keys:
        enrolled = ", ".join(sorted(keys)) or "none"
        raise SettingError(
            f"{settings.path}: the key of site {settings.site} must be enrolled, got {address} "
            f"where the market has {enrolled}"
        )


def signer_of(settings: Settings) -> tuple[Signer, bytes]:
    """Return who signs, and the key that pays for transactions.

    Raises:
        SettingError: if the key cannot be opened.
    """
    key = settings.key
    payer = unlocked(key.keystore, passphrase_from(key.passphrase, key.credential))
    domain = settings.chain.domain
    if key.signer:
        assert key.address is not None
        return CommandSigner(domain, key.address, key.signer), payer
    return KeySigner(domain, payer), payer
