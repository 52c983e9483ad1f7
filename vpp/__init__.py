"""What batteries should do, and making them do it."""
