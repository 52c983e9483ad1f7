"""What a council's proposal does, in words: what a member reads before signing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chain.council import ACCOUNT, Act, Proposal
from chain.events import tariff_from
from chain.network.genesis import COIN
from chain.network.profile import Profile
from energy.registry import Ratings, Tariff
from energy.units import start_of
from orchestrator.words import Language, phrase, say_slot

_WORDS: Mapping[str, tuple[str, str]] = {
    "enrol": (
        "Enrol a new site from {slot}: trader {trader}, oracle {oracle}; {ratings}",
        "{slot}から新しい拠点を登録: 取引鍵 {trader}、計量鍵 {oracle}、{ratings}",
    ),
    "amend": (
        "Change site {site} from {slot}: trader {trader}, oracle {oracle}; {ratings}",
        "{slot}から拠点{site}を変更: 取引鍵 {trader}、計量鍵 {oracle}、{ratings}",
    ),
    "suspend": (
        "Suspend site {site} from {slot}; it can be resumed",
        "{slot}から拠点{site}を停止(再開可)",
    ),
    "retire": (
        "Retire site {site} for good from {slot}",
        "{slot}から拠点{site}を廃止(再開不可)",
    ),
    "enactTariff": ("Enact a tariff from {slot}: {bands}", "{slot}から料金を適用: {bands}"),
    "voidOrders": (
        "Void the orders of site {site} for {slots}",
        "拠点{site}の{slots}の注文を無効化",
    ),
    "changeOwner": (
        "Hand the registry of this market to {owner}; only it can hand it back",
        "この市場の登録権限を{owner}へ移す(戻せるのは移管先のみ)",
    ),
    "addOwnerWithThreshold": (
        "Take {owner} into the council; from then on {threshold} must sign",
        "評議会に{owner}を加え、以後{threshold}名の署名を要する",
    ),
    "removeOwner": (
        "Remove {owner} from the council; from then on {threshold} must sign",
        "評議会から{owner}を除き、以後{threshold}名の署名を要する",
    ),
    "swapOwner": (
        "In the council, {owner} takes the place of {old}",
        "評議会で{old}を{owner}に替える",
    ),
    "changeThreshold": (
        "From then on {threshold} must sign for the council",
        "以後、評議会は{threshold}名の署名を要する",
    ),
    "pay": ("Pay {coins} coins for gas to {to}", "{to}へガス代{coins}コインを支払う"),
    "ratings": (
        "orders up to {order:g} kWh, connection {connection:g} kW, generation {generation:g} kW, "
        "{battery}",
        "注文上限{order:g} kWh、受電{connection:g} kW、発電{generation:g} kW、{battery}",
    ),
    "battery": (
        "battery {capacity:g} kWh, {power:g} kW, {efficiency:g} % round trip",
        "蓄電池{capacity:g} kWh・{power:g} kW・往復効率{efficiency:g} %",
    ),
    "no_battery": ("no battery", "蓄電池なし"),
    "band": (
        "{begin}-{end} sells at {selling:g}, buys at {buying:g}, fee {fee:g} JPY/kWh",
        "{begin}-{end} 売{selling:g}・買{buying:g}・系統利用料{fee:g} 円/kWh",
    ),
    "unknown": ("{function}{arguments} of {to}", "{to}の{function}{arguments}"),
    "seats": (
        "{safe}: {threshold} of {owners} must sign",
        "{safe}: {owners}名中{threshold}名の署名を要する",
    ),
    "ask": ("Sign this?", "これに署名するか"),
    "signed": ("{name} has signed {file}", "{name}が{file}に署名した"),
    "executed": (
        "executed in block {block}, {gas:,} gas; waiting until final ...",
        "ブロック{block}で執行、{gas:,} ガス。確定を待っている…",
    ),
    "final": (
        "final: block {block} has {depth} blocks on top",
        "確定: ブロック{block}の上に{depth}ブロックがある",
    ),
    "title": ("Proposal {number} of the council of {name}", "{name}の評議会 第{number}号議案"),
    "hash": ("Hash 0x{hash}", "ハッシュ 0x{hash}"),
    "signers": (
        "Signed by {count} of {needed} needed: {names}",
        "署名 {count} / 必要 {needed}: {names}",
    ),
    "nobody": ("nobody", "なし"),
    "on": ("market {to}", "市場 {to}"),
}


def words_of(proposal: Proposal, profile: Profile, language: Language) -> list[str]:
    """Return a sentence for each act of a proposal; addresses by name where one is known."""
    return [_sentence(act, profile, language) for act in proposal.acts]


def say(language: Language, word: str, **values: Any) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)


def _sentence(act: Act, profile: Profile, language: Language) -> str:
    name = profile.name_of
    if act.contract == ACCOUNT:
        return say(language, "pay", coins=f"{act.value / COIN:,g}", to=name(act.to))
    reader = _READERS.get(act.function)
    if reader is None or act.value:
        return say(
            language, "unknown", function=act.function, arguments=act.arguments, to=name(act.to)
        )
    return say(language, act.function, **reader(language, name, *act.arguments))


Name = Callable[[str], str]
Values = dict[str, Any]


def _site(language: Language, name: Name, *arguments: Any) -> Values:
    *site, slot, trader, oracle, ratings = arguments
    return {
        "site": site[0] if site else None,
        "slot": say_slot(language, slot),
        "trader": name(trader),
        "oracle": name(oracle),
        "ratings": _ratings(language, Ratings(*ratings)),
    }


def _ratings(language: Language, ratings: Ratings) -> str:
    if ratings.battery_power:
        battery = say(
            language,
            "battery",
            capacity=ratings.battery_capacity / 10,
            power=ratings.battery_power / 10,
            efficiency=ratings.battery_efficiency / 10,
        )
    else:
        battery = say(language, "no_battery")
    return say(
        language,
        "ratings",
        order=ratings.order_energy / 1000,
        connection=ratings.import_power / 10,
        generation=ratings.generation_power / 10,
        battery=battery,
    )


def _tariff(language: Language, _: Name, slot: int, words: tuple[int, ...]) -> Values:
    bands: list[tuple[int, int, Tariff]] = []
    for at, word in enumerate(words):
        if bands and bands[-1][2] == tariff_from(word):
            bands[-1] = (bands[-1][0], at + 1, bands[-1][2])
        else:
            bands.append((at, at + 1, tariff_from(word)))
    said = "; ".join(
        say(
            language,
            "band",
            begin=_clock(begin),
            end=_clock(end),
            selling=tariff.selling / 1000,
            buying=tariff.buying / 1000,
            fee=tariff.fee / 1000,
        )
        for begin, end, tariff in bands
    )
    return {"slot": say_slot(language, slot), "bands": said}


def _clock(half_hours: int) -> str:
    return f"{half_hours // 2:02d}:{half_hours % 2 * 30:02d}"


def _slots(language: Language, _: Name, site: int, slots: Any) -> Values:
    listed = [slots] if isinstance(slots, int) else list(slots)
    said = ", ".join(f"{start_of(slot):%Y-%m-%d %H:%M}" for slot in listed)
    return {"site": site, "slots": said}


_READERS: dict[str, Callable[..., Values]] = {
    "enrol": _site,
    "amend": _site,
    "suspend": lambda language, _, site, slot: {"site": site, "slot": say_slot(language, slot)},
    "retire": lambda language, _, site, slot: {"site": site, "slot": say_slot(language, slot)},
    "enactTariff": _tariff,
    "voidOrders": _slots,
    "changeOwner": lambda _, name, owner: {"owner": name(owner)},
    "addOwnerWithThreshold": lambda _, name, owner, threshold: {
        "owner": name(owner),
        "threshold": threshold,
    },
    "removeOwner": lambda _, name, before, owner, threshold: {
        "owner": name(owner),
        "threshold": threshold,
    },
    "swapOwner": lambda _, name, before, old, owner: {"old": name(old), "owner": name(owner)},
    "changeThreshold": lambda _, name, threshold: {"threshold": threshold},
}
