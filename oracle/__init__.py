"""At a site: from field devices to signed readings on the chain.

    modbus     registers over TCP, and what can go wrong with them
    sunspec    which models a device has, and their blocks
    device     a site's devices, sampled
    totals     counters that roll over, stand still or are replaced, as running totals
    halfhour   running totals as a slot's reading
    outbox     what is kept on disk until the chain has it
    terminal   all of it together
    plant      a simulated site's physics
    simulator  the same behind Modbus, with what its devices show in simulated_points

A terminal reads its devices and never writes to them.
"""
