"""`yui fleet` and `yui vpp room`: many sites' batteries together."""
