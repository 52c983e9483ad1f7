"""`yui council`: what members decide together, in words, signed off line."""
