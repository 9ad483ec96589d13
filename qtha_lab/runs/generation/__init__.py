"""Generation of one answer: settings of decoding, and a stream of text."""
