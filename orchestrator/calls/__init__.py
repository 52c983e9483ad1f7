"""`yui calls`: balancing calls as people send them and read of them."""
