"""`yui network`: the members' nodes, made and kept going."""
