"""Who takes part, and under which terms: the sites file, and the series that play a year."""
