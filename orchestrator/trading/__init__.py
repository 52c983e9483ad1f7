"""What a site offers and asks for: strategies, and trying them before a site trusts one."""
