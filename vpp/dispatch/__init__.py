"""Hands on the battery: what a site does so that its battery follows what it was told.

    device        a battery as dispatch sees it; `sunspec` and `echonet` speak to one
    instruments   a site's devices, read together
    image         what was read in a cycle, each value with its age
    trust         which device is believed: nonsense takes it out of dispatch
    standing      what the site was told, and what of it is followed now
    limits        what the owner allows
    ledger        the energy of the half hour so far
    controller    from all of these to one set-point: a pure function
    answers       when the battery's power followed what was told
    alarms        what is wrong now
    hand          the set-point onto the device: refreshed, read back, not too often
    site          a cycle of all this, and what a link gives and asks
    store         what survives a kill
    service       `yui vpp run`

It needs no more than the extra `site`: no optimiser, no arrays.

Units: power in W, positive out of the battery (import positive at the meter); energy in Wh; time in
unix seconds, as `vpp.commands` has them.
"""
