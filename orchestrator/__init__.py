"""The clock that moves slots along, the sites' trading agents, the command line."""
