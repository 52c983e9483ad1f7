"""What `yui attest`, `claim` and `verify` say, in English and Japanese."""

from __future__ import annotations

from orchestrator.words import Language, Phrases, phrase

_WORDS: Phrases = {
    "attested": (
        "{day}: attested, {attesting} of {active} sites agree",
        "{day}: 認証済み、{active}庁舎中{attesting}庁舎が一致",
    ),
    "none_due": ("no day is due", "認証すべき日はない"),
    "would_claim": (
        "{day}: {energy_wh} Wh of {rows} rows would be claimed",
        "{day}: {rows}明細の{energy_wh} Whを償却できる(未実行)",
    ),
    "claimed": (
        "{day}: {energy_wh} Wh of {rows} rows claimed in block {block}",
        "{day}: {rows}明細の{energy_wh} Whをブロック{block}で償却した",
    ),
    "left_out": ("{day}: left out, {reason}", "{day}: 対象外({reason})"),
    "proof_holds": (
        "The proof holds: {energy_wh} Wh lead to root {root} of {day}.",
        "証明は正しい: {energy_wh} Whは{day}のルート{root}に至る。",
    ),
    "root_stands": (
        "The root stands: {attesting} of {active_sites} sites attest it. Claimed: {claimed_wh} Wh.",
        "ルートは成立: {active_sites}庁舎中{attesting}庁舎が認証。償却済み {claimed_wh} Wh。",
    ),
    "claim_of_it": (
        "  {energy} Wh from Wh {start}: {beneficiary}, {purpose}",
        "  {start} Wh目から{energy} Wh: {beneficiary}、{purpose}",
    ),
    "ask_a_node": (
        "Whether this root stands, a node says: --rpc or --network; or compare it with --root.",
        "ルートの成否はノードに問う(--rpc、--network)か、--rootと照合する。",
    ),
}


def say(language: Language, word: str, **values: object) -> str:
    """Return a phrase in a language, with values filled in."""
    return phrase(_WORDS, language, word, **values)
