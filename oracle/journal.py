"""The journal of a terminal; `daemon.journal` says how an event is written."""

from __future__ import annotations

import logging

log = logging.getLogger("yui.oracle")
