"""`yui orchestrator run`: the clock that moves slots along, as a service."""
