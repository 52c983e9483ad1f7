"""What each page's template needs beside its view: charts, and rows of its tables as text."""
