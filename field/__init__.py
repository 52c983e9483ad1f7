"""The way to field devices: Modbus and SunSpec, ECHONET Lite.

    modbus     registers over TCP or a serial line, and what can go wrong with them
    sunspec    the SunSpec models, as data: where a point stands, what its registers mean
    storage    what these models tell of a battery
    blocks     which models a unit has, and their registers, over a line
    echonet    ECHONET Lite: frames, and what the properties mean; echonet_node: over UDP
    address    where a device is, in a settings file

`oracle` reads by it, `vpp` reads and commands by it. Of the project it imports `energy` alone.
"""
