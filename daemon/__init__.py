"""What every daemon of the project is made of, whatever it does.

    table     its settings, from TOML, each error naming file, key, value and limit
    journal   what it says of itself, one event a line
    health    pages on a local port, and systemd
    options   what their commands share
    told      running until it is told to end

Of the project it imports `energy` alone.
"""
