"""Making a model: recordings become windows, windows a network, a network a bundle."""
