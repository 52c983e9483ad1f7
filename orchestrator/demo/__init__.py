"""`yui demo`: a day from meter to statement on a chain of its own."""
