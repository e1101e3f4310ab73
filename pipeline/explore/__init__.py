"""A page on which a visitor draws a digit and sees what the network makes of it."""
