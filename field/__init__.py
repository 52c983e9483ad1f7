"""The way to field devices: Modbus TCP and RTU, and the SunSpec models that devices have.

    modbus     registers over TCP or a serial line, and what can go wrong with them
    sunspec    the SunSpec models, as data: where a point stands, what its registers mean
    storage    what these models tell of a battery
    blocks     which models a unit has, and their registers, over a line

`oracle` reads by it, `vpp` reads and commands by it. Of the project it imports `energy` alone.
"""
