"""What moves a slot along: clearing, the clock's hand, the relay of signed orders."""
