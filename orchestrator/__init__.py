"""The clock that moves slots along, the sites' trading agents, the command line and the pages.

What runs by itself: `moving` (a slot's steps), `trading` (a site's orders), `steering` (its
battery), `service` (all of them for months), `auditing` (the whole chain again).
What is asked of it: `records`, `statements`, `claims`, `planning`, `calls`, `fleet`, `network`,
`council`, each with its part of the command line, and `web`, the same as pages.
What tries it out: `setting` (seven offices), `demo`, `fleet_demo`, `replay`, `verification`.
The files beside these folders are what all commands share.
"""
