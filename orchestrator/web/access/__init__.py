"""Who may see what: accounts, log-in by password or passkey, sessions, and a guard at the door."""
