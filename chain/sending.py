"""Sending that does not jam: one transaction at a time, and whatever becomes of it is met.

A transaction that hangs is replaced by one of the same number that pays more. One that the node
lost is sent again. A number that another program's transaction took (two orchestrators may share
an account) is given up for the next, and what is to be sent is asked of the chain anew: had
another done the same, the contract says so. What a process left behind when it was killed hangs
at most until the next transaction replaces it.

Prices in wei, times in seconds.
"""

from __future__ import annotations

import threading
import time

from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound, Web3Exception, Web3RPCError
from web3.types import Nonce, TxParams, TxReceipt, Wei

from chain.node import GAS_MARGIN, NodeChain, call_error
from energy.errors import ChainError

RAISE = 1.25
"""Nodes replace a transaction by one that pays at least a tenth more."""
LEAST_RAISED_WEI = 1_000_000_000
POLL_SECONDS = 0.05

_UNDERPRICED = ("underpriced", "gas price too low", "max fee per gas less than block base fee")
_NUMBER_TAKEN = ("nonce too low", "already been used")
_KNOWN = ("already known", "already imported", "known transaction")


class SteadyChain(NodeChain):
    """A chain whose sender is a local key, and whose transactions come through.

    What hangs for `patience` is replaced, at no more than `most_gas_price`; after `timeout` it is
    an error, and the next transaction goes on from there.
    """

    def __init__(
        self,
        url: str,
        key: bytes,
        gas_price_wei: int = 0,
        depth: int = 0,
        most_gas_price_wei: int = 100_000_000_000,
        patience_seconds: float = 15.0,
        timeout_seconds: float = 120.0,
        chain_id: int | None = None,
    ) -> None:
        super().__init__(url, key, gas_price_wei, depth, chain_id)
        self.most_gas_price_wei = most_gas_price_wei
        self.patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        self.replaced = self.resent = self.resynced = 0
        """How often each of these had to be done."""
        self._sending = threading.Lock()

    def _sent(self, transaction: TxParams) -> TxReceipt:
        with self._sending:
            try:
                return self._checked(self._delivered(transaction), transaction)
            except (OSError, Web3Exception) as error:
                raise call_error("a transaction", error) from error

    def _delivered(self, transaction: TxParams) -> TxReceipt:
        """Send until it is in a block, under one number after the other if need be."""
        end = time.monotonic() + self.timeout_seconds
        while True:
            receipt = self._under_a_number(transaction, end)
            if receipt is not None:
                return receipt
            self.resynced += 1

    def _under_a_number(self, transaction: TxParams, end: float) -> TxReceipt | None:
        """Send under the next number until it is in a block; None if another's took the number."""
        eth, account = self.web3.eth, self._payer
        transaction["from"] = account.address
        number = eth.get_transaction_count(account.address, "latest")
        gas = int(eth.estimate_gas(transaction) * GAS_MARGIN)
        price = self._price()
        if eth.get_transaction_count(account.address, "pending") > number:
            # Something of before hangs there; what it pays is not known.
            price = self._raised(price)
        sent: list[HexBytes] = []
        while True:
            told = self._offer(transaction, number, gas, price, sent)
            if told == "taken" or (receipt := self._awaited(sent, number, end)) is None:
                if eth.get_transaction_count(account.address, "latest") > number:
                    return self._receipt_of(sent)
                if time.monotonic() > end:
                    raise ChainError(
                        f"transaction {number} of {account.address} must be in a block within "
                        f"{self.timeout_seconds:g} s at {price} wei a gas, got none"
                    )
                if told == "underpriced" or self._is_known(sent):
                    self.replaced += told != "underpriced"
                    price = self._raised(price)
                else:
                    self.resent += 1
                continue
            return receipt

    @property
    def _payer(self) -> LocalAccount:
        account: LocalAccount | None = self._account
        assert account is not None
        return account

    def _raised(self, price: int) -> Wei:
        raised = max(int(price * RAISE), price + 1, LEAST_RAISED_WEI)
        return Wei(max(min(raised, self.most_gas_price_wei), price))

    def _offer(
        self, transaction: TxParams, number: Nonce, gas: int, price: Wei, sent: list[HexBytes]
    ) -> str:
        """Give a transaction to the node; return what it says: sent, taken or underpriced."""
        whole = transaction.copy()
        whole.update({"gas": gas, "gasPrice": price, "nonce": number, "chainId": self.chain_id})
        signed = self._payer.sign_transaction(whole)  # type: ignore[arg-type]
        try:
            self.web3.eth.send_raw_transaction(signed.raw_transaction)
        except Web3RPCError as error:
            message = str(error).lower()
            if any(words in message for words in _NUMBER_TAKEN):
                return "taken"
            if any(words in message for words in _UNDERPRICED):
                if price >= self.most_gas_price_wei:
                    raise ChainError(
                        f"transaction {number} must cost at most {self.most_gas_price_wei} wei a "
                        f"gas, got {error}"
                    ) from error
                return "underpriced"
            if not any(words in message for words in _KNOWN):
                raise
        if signed.hash not in sent:
            sent.append(signed.hash)
        return "sent"

    def _awaited(self, sent: list[HexBytes], number: Nonce, end: float) -> TxReceipt | None:
        """Wait for one of the transactions of a number, at most `patience`."""
        until = min(time.monotonic() + self.patience_seconds, end)
        while sent:
            receipt = self._receipt_of(sent)
            if receipt is not None or time.monotonic() > until:
                return receipt
            if self.web3.eth.get_transaction_count(self._payer.address, "latest") > number:
                return self._receipt_of(sent)
            time.sleep(POLL_SECONDS)
        return None

    def _receipt_of(self, sent: list[HexBytes]) -> TxReceipt | None:
        for digest in reversed(sent):
            try:
                return self.web3.eth.get_transaction_receipt(digest)
            except TransactionNotFound:
                continue
        return None

    def _is_known(self, sent: list[HexBytes]) -> bool:
        """Say whether the node still holds the newest of what was sent."""
        try:
            self.web3.eth.get_transaction(sent[-1])
        except (TransactionNotFound, IndexError):
            return False
        return True
