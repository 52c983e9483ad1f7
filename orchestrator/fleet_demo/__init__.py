"""`yui fleet demo`: a fleet's day, quicker than real, with two balancing calls and three faults.

    site      a site: simulated devices behind Modbus, their dispatch, link and terminal
    plan      the day's joint plan, from what the sites used on days before
    day       the day on a clock of its own, step by step
    cli       the command

What flows is real: Modbus TCP to each battery, MQTT over TLS with certificates and signed
instructions, readings signed and kept by a contract on anvil. The devices are simulated, and the
clock is: a step of it ends when everyone has done what the step asks for.
"""
