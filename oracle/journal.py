"""The journal of a terminal; `energy.journal` says how an event is written."""

from __future__ import annotations

import logging

log = logging.getLogger("yui.oracle")
