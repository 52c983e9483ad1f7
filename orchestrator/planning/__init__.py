"""`yui plan`: what a battery should do in the coming day, and why."""
