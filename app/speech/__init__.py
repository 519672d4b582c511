"""What the hotline can say: a catalogue of phrases, how numbers and dates are spoken, and how clips are made."""
