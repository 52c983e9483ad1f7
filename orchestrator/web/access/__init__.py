"""Who may see and do what on the pages: users, sessions, passkeys, limits, headers."""
