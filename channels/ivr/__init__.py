"""The hotline: a telephone dialogue, spoken by telephony providers and by a telephone switch."""
