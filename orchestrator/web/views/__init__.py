"""What each page shows, as numbers: dataclasses that both the page and its `.json` render."""
