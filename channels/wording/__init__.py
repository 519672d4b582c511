"""One meaning in several forms: every answer's words, as data, for each locale."""
