"""What is measured, one command: `python -m bench NAME --json FILE`."""
