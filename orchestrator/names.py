"""What a market's sites are called, in English and Japanese."""

from __future__ import annotations

import json
from collections.abc import Mapping

from chain.store import Store
from energy.errors import SettingError
from energy.units import SLOT_LIMIT
from orchestrator.words import short

UNNAMED = {"en": "Site {site}", "ja": "庁舎{site}"}
MOST_LISTED = 12
"""More sites than this are not listed one by one to somebody who has named none of them."""


class SiteNames(dict[int, str]):
    """Names by site; one that nobody has named is called by its number.

    >>> SiteNames({0: "Ogawara"}, "Site {site}")[7]
    'Site 7'
    """

    def __init__(self, named: Mapping[int, str], unnamed: str) -> None:
        super().__init__(named)
        self._unnamed = unnamed

    def __missing__(self, site: int) -> str:
        return self._unnamed.format(site=site)

    def shortened(self) -> SiteNames:
        """Return the names without what all have in common."""
        return SiteNames({site: short(name) for site, name in self.items()}, self._unnamed)


Names = Mapping[str, SiteNames]
"""By language, `en` or `ja`."""


def names_of(store: Store) -> Names:
    """Return the names of every site that a store knows of, also of those enrolled since."""
    kept = kept_names(store)
    sites = sorted({*kept, *store.sites().all_at(SLOT_LIMIT - 1)})
    found = {}
    for place, (language, unnamed) in enumerate(UNNAMED.items()):
        named = {n: kept[n][place] if n in kept else unnamed.format(site=n) for n in sites}
        found[language] = SiteNames(named, unnamed)
    return found


def kept_names(store: Store) -> dict[int, tuple[str, str]]:
    """Return the names that a store was given, in English and Japanese."""
    kept = json.loads(store.setting("names") or "{}")
    return {int(site): (pair[0], pair[1]) for site, pair in kept.items()}


def unnamed(site: int) -> tuple[str, str]:
    """Return what a site is called that nobody has named.

    >>> unnamed(7)
    ('Site 7', '庁舎7')
    """
    return UNNAMED["en"].format(site=site), UNNAMED["ja"].format(site=site)


def called(store: Store, site: int) -> str:
    """Return how an error names a site of a store: in both languages, or by number."""
    names = kept_names(store)
    return listed_name(*names[site]) if site in names else str(site)


def listed_name(name: str, name_ja: str) -> str:
    """Return a site's name in both languages.

    >>> listed_name("Sendai", "仙台合同庁舎")
    'Sendai (仙台)'
    """
    return f"{name} ({short(name_ja)})"


def site_number(names: Names, wanted: str) -> int:
    """Return the number of a site that a person names in either language, or by number.

    Raises:
        SettingError: if there is no such site.
    """
    for language in names.values():
        for site, name in language.items():
            if wanted.lower() in (str(site), name.lower(), short(name)):
                return site
    known = [listed_name(name, names["ja"][site]) for site, name in names["en"].items()]
    if not known:
        raise SettingError(f"a site must be one of the market's, which has none, got {wanted!r}")
    listed = ", ".join(known)
    if len(known) > MOST_LISTED:
        listed = f"{len(known):,}, {known[0]} to {known[-1]}, by name or number"
    raise SettingError(f"a site must be one of {listed}, got {wanted!r}")
