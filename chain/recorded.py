"""A chain inside this process that keeps all that happened in a file, and can be run again.

The real bytecode on revm (`chain.evm`), one sender, blocks as the replay's clock makes them. The
file holds the transactions and what each logged; opened again, every transaction is run again,
and must log the same. To readers it looks like a node: heights, hashes, logs, transactions.
All of it is final at once (depth 0).

Times in unix seconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from eth_utils.crypto import keccak

from chain.contract import Log, Receipt
from chain.evm import EvmChain
from chain.history import Call, Transaction, direct_calls
from energy.errors import ChainError, Refusal

_TABLES = """
create table if not exists chain (name text primary key, value integer not null);
create table if not exists blocks (number integer primary key, time integer, hash blob);
create table if not exists transactions (
    number integer primary key, block integer not null, recipient text, data blob);
create table if not exists logs (
    number integer primary key, transaction_number integer not null, block integer not null,
    address text not null, topics blob, data blob);
create table if not exists created (number integer primary key, value text not null);
create index if not exists transactions_by_block on transactions (block);
create index if not exists logs_by_block on logs (block);
create index if not exists logs_by_transaction on logs (transaction_number);
"""
_TOPIC = 32
_CREATES = None
_NO_LIMIT = 1 << 62


class RecordedChain:
    """A chain in a file. What was done since `commit` is not in it yet."""

    depth = 0

    def __init__(
        self,
        path: Path,
        start: int = 0,
        chain_id: int = 7_000,
        last_block: int | None = None,
    ) -> None:
        """Open a chain's file, or begin one whose clock stands at `start`.

        Nothing is run again yet: see `run_again`. With `last_block`, the chain is read as if it
        ended there, while another process writes on.
        """
        self._file = sqlite3.connect(path)
        # Others read while this one writes.
        self._file.execute("pragma journal_mode = wal")
        self._file.executescript(_TABLES)
        known = dict(self._file.execute("select name, value from chain"))
        if not known:
            known = {"chain_id": chain_id, "start": start}
            self._file.executemany("insert into chain values (?, ?)", known.items())
            self._file.commit()
        self.chain_id: int = known["chain_id"]
        self._evm = EvmChain(known["start"], self.chain_id)
        self.sender = self._evm.sender
        (last,) = self._file.execute(
            "select max(number) from blocks where number <= ?",
            (_NO_LIMIT if last_block is None else last_block,),
        ).fetchone()
        self._height: int = -1 if last is None else last
        self._hash = bytes(32) if last is None else self.block_hash(last)
        self._waiting: list[bytes] = []
        (count,) = self._file.execute("select count(*) from transactions").fetchone()
        self._count: int = count
        self._is_current = count == 0

    def close(self) -> None:
        """Close the file; what was not committed is lost."""
        self._file.close()

    def commit(self, **marks: int) -> None:
        """Have all that was done on disk, and with it numbers by which to go on from there."""
        self._seal()
        self._file.executemany("insert or replace into chain values (?, ?)", marks.items())
        self._file.commit()

    def counted(self) -> tuple[int, int, int]:
        """Return how many blocks and transactions are kept, and the bytes sent in these."""
        query = "select count(*), coalesce(sum(length(data)), 0) from transactions"
        transactions, size = self._file.execute(query).fetchone()
        return self._height + 1, transactions, size

    def created(self, number: int) -> str:
        """Return the address of the contract that was created as the `number`th, from 0.

        Raises:
            ChainError: if there is none.
        """
        found = self._file.execute("select value from created where number = ? + 1", (number,))
        address = found.fetchone()
        if address is None:
            raise ChainError(f"a contract's number must be one that was created, got {number}")
        return str(address[0])

    def mark(self, name: str) -> int:
        """Return a number that the last commit left; 0 if it left none."""
        found = self._file.execute("select value from chain where name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    def run_again(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Bring the chain's state to where its file ends, by running all of it again.

        `progress` is told transactions done and in all.

        Raises:
            ChainError: if a transaction comes to something else than the file says.
        """
        if self._is_current:
            return
        kept = self._file.execute(
            "select t.number, t.block, b.time, t.recipient, t.data from transactions t "
            "join blocks b on b.number = t.block order by t.number"
        )
        for number, block, moment, to, data in kept:
            if moment != self._evm.now():
                self._evm.set_time(moment)
            try:
                if to is _CREATES:
                    _, receipt = self._evm.deploy(data)
                else:
                    receipt = self._evm.send(to, data)
            except (ChainError, Refusal) as error:
                raise ChainError(
                    f"block {block}: a kept transaction must run again, got {error}"
                ) from error
            if tuple(map(_plain, receipt.logs)) != self._logs_of(number):
                raise ChainError(f"block {block}: a transaction must log what the file says")
            if progress:
                progress(number + 1, self._count)
        self._is_current = True

    # -- as a chain to send to ---------------------------------------------------------------

    def now(self) -> int:
        """Return the clock's time."""
        return self._evm.now()

    def set_time(self, moment: int) -> None:
        """Let the next transactions happen at a moment."""
        self._seal()
        self._evm.set_time(moment)

    def deploy(self, init_code: bytes) -> tuple[str, Receipt]:
        """Create a contract and return its address."""
        self._check_current()
        address, receipt = self._evm.deploy(init_code)
        self._file.execute("insert into created (value) values (?)", (address,))
        return address, self._kept(_CREATES, init_code, receipt)

    def send(self, to: str, data: bytes) -> Receipt:
        """Run a transaction; one that is refused is not kept."""
        self._check_current()
        return self._kept(to, data, self._evm.send(to, data))

    def call(self, to: str, data: bytes) -> bytes:
        """Ask without a transaction."""
        self._check_current()
        return self._evm.call(to, data)

    def calls(self, to: str, data: Sequence[bytes]) -> list[bytes]:
        """Ask many things of a contract, as `call` does."""
        return [self.call(to, one) for one in data]

    # -- as a chain to read ------------------------------------------------------------------

    def height(self) -> int:
        """Return the newest block's number."""
        self._seal()
        return self._height

    def final_height(self) -> int:
        """Return the newest final block's number: the newest."""
        return self.height()

    def head(self) -> tuple[int, int]:
        """Return the newest block's number and time."""
        return self.height(), self._evm.now()

    def at_block(self, number: int) -> RecordedChain:
        """Return the chain as of its newest block.

        Raises:
            ChainError: for another block: only the newest state is at hand.
        """
        if number != self.height():
            raise ChainError(f"a block asked about must be the newest, {self._height}: {number}")
        return self

    def as_final(self) -> RecordedChain:
        """Return the same chain: all of it is final."""
        return self

    def code_at(self, address: str) -> bytes:
        """Return a contract's code."""
        return self._evm.code_at(address).rstrip(b"\0")

    def time_of(self, number: int) -> int:
        """Return a block's time."""
        return int(self._of_block("time", number))

    def block_hash(self, number: int) -> bytes:
        """Return a block's hash, which stands for all before it."""
        return bytes(self._of_block("hash", number))

    def logs(
        self, addresses: str | Sequence[str], first_block: int, last_block: int
    ) -> Iterator[tuple[tuple[int, bytes], Log]]:
        """Yield some contracts' logs with their block's number and hash, in order of the chain."""
        named = _named(addresses)
        found = self._file.execute(
            "select b.number, b.hash, l.address, l.topics, l.data from logs l "
            "join blocks b on b.number = l.block "
            f"where l.block between ? and ? and l.address in ({_marks(named)}) order by l.number",
            (first_block, last_block, *named),
        )
        for number, digest, *log in found:
            yield (number, digest), _log(*log)

    def transactions(
        self, addresses: str | Sequence[str], first_block: int, last_block: int
    ) -> Iterator[Transaction]:
        """Yield the transactions that made some contracts log anything, in order of the chain."""
        named = _named(addresses)
        found = self._file.execute(
            "select t.number, t.block, b.time, t.recipient, t.data from transactions t "
            "join blocks b on b.number = t.block where t.block between ? and ? and exists "
            "(select 1 from logs l where l.transaction_number = t.number "
            f"and l.address in ({_marks(named)})) order by t.number",
            (first_block, last_block, *named),
        )
        for number, block, moment, to, data in found:
            digest, logs = _digest(number, to, data), self._logs_of(number)
            yield Transaction(digest, block, moment, self.sender, to, data, logs)

    def calls_of(self, transaction: Transaction, address: str) -> list[Call] | None:
        """Return the calls by which a transaction made a contract log; None if by another one."""
        return direct_calls(transaction, address)

    def _logs_of(self, transaction: int) -> tuple[Log, ...]:
        found = self._file.execute(
            "select address, topics, data from logs where transaction_number = ? order by number",
            (transaction,),
        )
        return tuple(_log(*log) for log in found)

    def _of_block(self, column: str, number: int) -> int | bytes:
        found = self._file.execute(
            f"select {column} from blocks where number = ?", (number,)
        ).fetchone()
        if found is None:
            raise ChainError(f"a block must be at most {self._height}, got {number}")
        value: int | bytes = found[0]
        return value

    def _check_current(self) -> None:
        if not self._is_current:
            raise ChainError("a chain from a file must be run again before it is asked or told")

    def _kept(self, to: str | None, data: bytes, receipt: Receipt) -> Receipt:
        block, number = self._height + 1, self._count
        digest = _digest(number, to, data)
        self._waiting.append(digest)
        self._count += 1
        self._file.execute(
            "insert into transactions values (?, ?, ?, ?)", (number, block, to, data)
        )
        self._file.executemany(
            "insert into logs (transaction_number, block, address, topics, data) "
            "values (?, ?, ?, ?, ?)",
            (
                (number, block, log.address.lower(), b"".join(log.topics), log.data)
                for log in receipt.logs
            ),
        )
        return Receipt(digest, block, receipt.gas_used, receipt.logs)

    def _seal(self) -> None:
        """Close the block that transactions wait in, if any do."""
        if not self._waiting:
            return
        self._height += 1
        moment = self._evm.now()
        self._hash = keccak(self._hash + moment.to_bytes(8) + b"".join(self._waiting))
        self._file.execute(
            "insert into blocks values (?, ?, ?)", (self._height, moment, self._hash)
        )
        self._waiting.clear()


def _digest(number: int, to: str | None, data: bytes) -> bytes:
    return keccak(number.to_bytes(8) + (to or "").encode() + data)


def _named(addresses: str | Sequence[str]) -> list[str]:
    given = [addresses] if isinstance(addresses, str) else addresses
    return [address.lower() for address in given]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _plain(log: Log) -> Log:
    return Log(log.address.lower(), log.topics, log.data)


def _log(address: str, topics: bytes, data: bytes) -> Log:
    parts = tuple(topics[at : at + _TOPIC] for at in range(0, len(topics), _TOPIC))
    return Log(address, parts, data)
