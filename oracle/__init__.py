"""At a site: from field devices to signed readings on the chain.

    models       what the SunSpec models of a device show
    echonet      what ECHONET Lite devices show
    registermap  devices without SunSpec, described by a file; maps/ holds examples
    quantity     what is measured, by whom, with which sign
    device       a site's devices, sampled
    totals       counters that roll over, stand still or are replaced, as running totals
    halfhour     running totals as a slot's reading
    outbox       what is kept on disk until the chain has it
    keys         who signs
    terminal     from samples to readings on the chain
    clock        the site's clock against the chain's
    deployment   the market that a terminal works for, reached and recognised
    service      a terminal that runs by itself; health, journal: what it says of itself
    settings     what it is told, from a table of TOML
    cli          the commands; template, probe, status, screen: what they write and show
    plant        a simulated site's physics, by the weather
    simulator    the same behind Modbus, with what its devices show in simulated_points
    stage        a simulated site that goes with time, and faults as they are typed

A terminal reads its devices and never writes to them.
"""
