"""Pure functions that draw a screen's text: values in, lines of (text, role) parts out. No textual here."""
