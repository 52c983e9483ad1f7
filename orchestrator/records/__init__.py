"""What a store holds, as tables, JSON and CSV."""
